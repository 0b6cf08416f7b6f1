"""`Logging`: an event when a connection opens, one when it ends, on structlog."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, cast

import structlog
from structlog.contextvars import (
    bind_contextvars,
    get_contextvars,
    reset_contextvars,
    unbind_contextvars,
)

from wspipe import (
    ASGIConnection,
    Composable,
    Event,
    ImproperlyConfiguredException,
    Receive,
    Send,
)
from wspipe_middlewares.redaction import REDACTED, is_secret, printable, redact_query

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

_PATH_LIMIT: Final = 256
_VALUE_LIMIT: Final = 256
_TRACEBACK_LINES: Final = 100

# The codes of an ordinary end: normal closure, going away, none given (RFC 6455 section 7.4.1),
# service restart (IANA registry) and the application's own.
_ORDINARY_CODES: Final = frozenset({1000, 1001, 1005, 1012, *range(3000, 5000)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging(Composable):
    """Log each connection to structlog: `websocket.open`, then `websocket.close` or `.error`.

    Whatever the handler logs meanwhile carries the `connection_id`, by structlog's contextvars.
    Secrets in the query are hidden, and control characters from the client are escaped.

    Without `messages` nothing is wrapped, so that a message costs nothing more.

    # Order

    Put it first, so that it also sees connections that another middleware rejects or closes.

    Args:
        messages: Log each message too, at debug level: `websocket.receive` and `websocket.send`.
        preview: How many characters (of text) or bytes (of binary data) of a message to show.
        headers: The request headers to log, by name. Those that carry secrets are hidden.
        redact: Further query parameters and headers to hide; case, `-` and `_` do not matter.
        logger: A structlog logger; by default the one named `wspipe`.
    """

    messages: bool = False
    preview: int = 64
    headers: tuple[str, ...] = ()
    redact: frozenset[str] = frozenset()
    logger: Any = None

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            ImproperlyConfiguredException: `preview` is negative, or `headers` one text.
        """
        if self.preview < 0:
            raise ImproperlyConfiguredException(detail=f"preview is 0 or more, not {self.preview}")
        if isinstance(self.headers, str):
            raise ImproperlyConfiguredException(
                detail=f"headers is a tuple of names, such as ({self.headers!r},)"
            )

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Watch the connection."""
        logger = self.logger or structlog.get_logger("wspipe")
        log = _ConnectionLog(self, connection, logger)
        connection.on_handshake(log.opened)
        connection.exit_stack.callback(log.ended)
        if not self.messages:
            return receive, send
        return log.logged_receive(receive), log.logged_send(send)

    def describe(self, connection: ASGIConnection) -> dict[str, Any]:
        """Collect what a connection's log lines say of its request."""
        scope = connection.scope
        client = connection.client
        fields: dict[str, Any] = {
            "connection_id": connection.id,
            "path": printable(scope.get("path", ""), _PATH_LIMIT),
            "client": _shown(f"{client.host}:{client.port}") if client else None,
            "user_agent": _shown(connection.headers.get("user-agent")),
        }
        if query := scope.get("query_string"):
            fields["query"] = _shown(redact_query(query, self.redact))
        if self.headers:
            fields["headers"] = {
                name: REDACTED if is_secret(name, self.redact) else _shown(value)
                for name in self.headers
                if (value := connection.headers.get(name)) is not None
            }
        return fields


class _ConnectionLog:
    """What belongs to one connection: its fields, its clock, its logger."""

    __slots__ = ("config", "connection", "fields", "logger", "started", "tokens")

    def __init__(self, config: Logging, connection: ASGIConnection, logger: Any) -> None:
        self.config = config
        self.connection = connection
        self.logger = logger
        self.fields = config.describe(connection)
        self.started = monotonic()
        self.tokens: Mapping[str, Token[Any]] = bind_contextvars(connection_id=connection.id)

    def opened(self, event: Event) -> None:
        if self.connection.handshake_status == 101:
            self.fields["subprotocol"] = _shown(event.get("subprotocol"))
            self.logger.info("websocket.open", **self.fields)

    def ended(self) -> None:
        try:
            self.report()
        finally:
            self.unbind()

    def report(self) -> None:
        connection, traffic = self.connection, self.connection.traffic
        by, error = connection.closed_by, connection.error
        fields = {
            **self.fields,
            "status": connection.handshake_status,
            "duration": round(monotonic() - self.started, 6),
            "messages_received": traffic.messages_received,
            "messages_sent": traffic.messages_sent,
            "bytes_received": traffic.bytes_received,
            "bytes_sent": traffic.bytes_sent,
            "code": connection.close_code,
            "reason": _shown(connection.close_reason),
            "closed_by": by if isinstance(by, str | None) else type(by).__name__,
        }
        if isinstance(error, BaseExceptionGroup):
            # What is no Exception in it is a cancellation, which is no error.
            error, _ = cast("BaseExceptionGroup[BaseException]", error).split(Exception)
        if isinstance(error, Exception):
            fields["error"] = f"{type(error).__name__}: {_shown(_text(error))}"
            self.logger.error("websocket.error", **fields, exception=_traceback(error))
        else:
            getattr(self.logger, self.level())("websocket.close", **fields)

    def unbind(self) -> None:
        if get_contextvars().get("connection_id") != self.connection.id:
            return
        try:
            reset_contextvars(**self.tokens)
        except ValueError:
            # A WebSocket without a runner may end in another task, which has a context of its own.
            unbind_contextvars("connection_id")

    def level(self) -> str:
        status, code = self.connection.handshake_status, self.connection.close_code
        if status is not None and status >= 500:
            return "error"
        if status != 101 or not isinstance(self.connection.closed_by, str):
            return "warning"
        return "info" if code is None or code in _ORDINARY_CODES else "warning"

    def logged_receive(self, receive: Receive) -> Receive:
        async def receive_and_log() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                self.message("websocket.receive", event)
            return event

        return receive_and_log

    def logged_send(self, send: Send) -> Send:
        async def send_and_log(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.send":
                self.message("websocket.send", event)

        return send_and_log

    def message(self, name: str, event: Event) -> None:
        limit = self.config.preview
        data = event.get("bytes")
        if data is None:
            data = event.get("text") or ""
            preview = printable(data, limit)
        else:
            preview = bytes(data[:limit]).hex(" ") + ("…" if len(data) > limit else "")
        self.logger.debug(
            name,
            connection_id=self.connection.id,
            kind="text" if isinstance(data, str) else "binary",
            size=len(data if isinstance(data, bytes) else data.encode("utf-8", "replace")),
            preview=preview,
        )


def _text(error: Exception) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the log line must not fail where the error cannot be shown
        return "<str() failed>"


def _traceback(error: Exception) -> str:
    """Render a traceback here, because the exception may quote the client.

    Each line is escaped, and indented, so that none can pass for a log line.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  {printable(line, _VALUE_LIMIT)}" for line in lines[-_TRACEBACK_LINES:])


def _shown(value: str | None) -> str | None:
    return None if value is None else printable(value, _VALUE_LIMIT)
