"""The alerting rules for Prometheus. Their limits are a start: change them to what is usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import promql

from wspipe_middlewares import names

WINDOW: Final = "5m"

_BY: Final = ("job", names.ROUTE)
_WHERE: Final = f"{{{{ $labels.job }}}} {{{{ $labels.{promql.label(names.ROUTE)} }}}}"
_FAILED: Final = promql.matcher(names.ERROR_TYPE, "!=", "")
_A_FEW: Final = 0.01  # per second, which is three in five minutes
_BY_NO_MIDDLEWARE: Final = promql.matcher(
    names.CLOSED_BY, "=~", "application|client|server|unknown"
)
_BY_CODE: Final = f"[0-9]+|{names.OTHER}"  # what no class of exceptions is called


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule."""

    name: str
    query: str
    lasting: str
    severity: str
    summary: str
    description: str


def alerts() -> list[Alert]:
    """Give all rules."""
    return [
        _abnormal_closes(),
        _errors(),
        _failed_handshakes(),
        _many_rejections(),
        _slow_handlers(),
        _slow_sends(),
        _rate_limit_store(),
        _no_metrics(),
    ]


def _abnormal_closes() -> Alert:
    by_code = promql.matcher(names.ERROR_TYPE, "=~", _BY_CODE)
    return Alert(
        "WebSocketAbnormalCloses",
        f"{_share_of_ends(by_code, _BY_NO_MIDDLEWARE)} > 0.1",
        "10m",
        "warning",
        f"Many connections end abnormally: {_WHERE}",
        "{{ $value | humanizePercentage }} of the connections that end have a close code such as "
        "1006 (the connection is lost) or 1002 (protocol error), and no middleware has closed "
        "them. Look at the dashboard for the codes, and at the proxies in between. Servers that "
        "report a lost connection as 1005, as uvicorn does by default, are not seen here.",
    )


def _errors() -> Alert:
    by_exception = promql.matcher(names.ERROR_TYPE, "!~", _BY_CODE)
    return Alert(
        "WebSocketErrors",
        f"{_share_of_ends(_FAILED, by_exception)} > 0.01 "
        f"and {promql.per_second(names.DURATION, _BY, [_FAILED, by_exception], WINDOW)} > {_A_FEW}",
        "5m",
        "critical",
        f"Handlers raise exceptions: {_WHERE}",
        "{{ $value | humanizePercentage }} of the connections that end do so by an exception of "
        "the application. The log lines named websocket.error have the tracebacks.",
    )


def _failed_handshakes() -> Alert:
    return Alert(
        "WebSocketHandshakesFail",
        f"{promql.per_second(names.REJECTED, _BY, [_FAILED], WINDOW)} > {_A_FEW}",
        "5m",
        "critical",
        f"Handshakes fail by the server's fault: {_WHERE}",
        "{{ $value | humanize }} per second are answered with a status of 500 or more, end in an "
        "exception or get no answer.",
    )


def _many_rejections() -> Alert:
    rejected = promql.per_second(names.REJECTED, ["job"], [], WINDOW)
    ended = promql.per_second(names.DURATION, ["job"], [], WINDOW)
    return Alert(
        "WebSocketManyRejections",
        f"{rejected} / ({rejected} + ({ended} or 0 * {rejected})) > 0.5",
        "10m",
        "warning",
        "More connections are rejected than served: {{ $labels.job }}",
        "{{ $value | humanizePercentage }} of the connections end before they are accepted. The "
        "dashboard tells the status and which middleware rejects: an attack, a limit that is too "
        "low, or a client with the wrong address.",
    )


def _slow_handlers() -> Alert:
    return Alert(
        "WebSocketSlowHandlers",
        f"{promql.quantile(0.99, names.PROCESS_DURATION, _BY, [], WINDOW)} > 1",
        "10m",
        "warning",
        f"Handlers are slow: {_WHERE}",
        "One message in a hundred takes {{ $value | humanizeDuration }} or longer until the "
        f"application receives again. It takes Metrics({names.PROCESS_DURATION.option}=True).",
    )


def _slow_sends() -> Alert:
    return Alert(
        "WebSocketSlowSends",
        f"{promql.quantile(0.99, names.SEND_DURATION, _BY, [], WINDOW)} > 1",
        "10m",
        "warning",
        f"Clients take messages slowly: {_WHERE}",
        "One send in a hundred takes {{ $value | humanizeDuration }} or longer: clients do not "
        "read as fast as they are written to. "
        f"It takes Metrics({names.SEND_DURATION.option}=True).",
    )


def _rate_limit_store() -> Alert:
    limit = promql.label(names.RATE_LIMIT)
    errors = promql.per_second(names.STORE_ERRORS, ["job", names.RATE_LIMIT], [], WINDOW)
    return Alert(
        "WebSocketRateLimitStoreFails",
        f"{errors} > {_A_FEW}",
        "5m",
        "critical",
        "The store of a rate limit does not answer: "
        f"{{{{ $labels.job }}}} {{{{ $labels.{limit} }}}}",
        "{{ $value | humanize }} requests per second fail. Meanwhile each process does what "
        "on_store_error says, which by default is to limit by itself. The log tells the error.",
    )


def _no_metrics() -> Alert:
    return Alert(
        "WebSocketMetricsAbsent",
        f"absent({promql.series(names.ACTIVE)})",
        "15m",
        "warning",
        "No application tells of WebSocket connections",
        "Nothing that is scraped has metrics of connections: the applications are down, are not "
        "scraped, have no Metrics middleware, or had no connection since they started.",
    )


def _share_of_ends(*matchers: str) -> str:
    some = promql.per_second(names.DURATION, _BY, matchers, WINDOW)
    return f"{some} / {promql.per_second(names.DURATION, _BY, [], WINDOW)}"
