"""The panels of the Grafana dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import promql

from wspipe_middlewares import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.names import Metric

WINDOW: Final = "$__rate_interval"

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN: Final = ('job=~"$job"', promql.matcher(names.ROUTE, "=~", "$route"))
_PANEL_WIDTH: Final = 8
_PANEL_HEIGHT: Final = 8


def dashboard() -> dict[str, Any]:
    """Give the dashboard, to be imported into Grafana 10 or newer."""
    panels = [
        _open_connections(),
        _opened_and_ended(),
        _rejected(),
        _messages(),
        _bytes(),
        _errors(),
        _quantiles("Duration of connections", names.DURATION, "s", (0.5, 0.95)),
        _quantiles("Time in the handler", names.PROCESS_DURATION, "s", (0.5, 0.95, 0.99)),
        _quantiles("Time to send", names.SEND_DURATION, "s", (0.5, 0.95, 0.99)),
        _quantiles("Size of messages", names.SIZE, "bytes", (0.5, 0.95, 0.99), names.DIRECTION),
        _rate_limits("Decisions of rate limits", names.DECISIONS, names.DECISION),
        _rate_limits("Errors of the rate limits' store", names.STORE_ERRORS, names.ERROR_TYPE),
    ]
    for number, panel in enumerate(panels):
        row, column = divmod(number, 24 // _PANEL_WIDTH)
        panel["id"] = number + 1
        panel["gridPos"] = {
            "x": column * _PANEL_WIDTH,
            "y": row * _PANEL_HEIGHT,
            "w": _PANEL_WIDTH,
            "h": _PANEL_HEIGHT,
        }
    return {
        "uid": "wspipe",
        "title": "WebSockets (wspipe)",
        "description": "Connections and messages, as wspipe's Metrics middleware tells them.",
        "tags": ["wspipe", "websocket"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": panels,
    }


def _open_connections() -> dict[str, Any]:
    query = promql.total(names.ACTIVE, [names.ROUTE], _CHOSEN)
    return _panel("Open connections", names.ACTIVE, "short", [(query, _legend(names.ROUTE))])


def _opened_and_ended() -> dict[str, Any]:
    # Whoever opened has ended, or adds to those that are open.
    ended = promql.per_second(names.DURATION, [], _CHOSEN, WINDOW)
    more = promql.slope(names.ACTIVE, _CHOSEN, WINDOW)
    opened = f"clamp_min({more} + ({ended} or vector(0)), 0)"
    by_code = promql.per_second(names.DURATION, [names.CLOSE_CODE], _CHOSEN, WINDOW)
    targets = [(opened, "opened"), (by_code, f"ended {_legend(names.CLOSE_CODE)}")]
    return _panel("Connections opened and ended", names.DURATION, "cps", targets)


def _rejected() -> dict[str, Any]:
    by = [names.STATUS, names.CLOSED_BY]
    query = promql.per_second(names.REJECTED, by, _CHOSEN, WINDOW)
    return _panel("Connections rejected", names.REJECTED, "cps", [(query, _legend(*by))])


def _messages() -> dict[str, Any]:
    by = [names.DIRECTION, names.MESSAGE_TYPE]
    query = promql.per_second(names.MESSAGES, by, _CHOSEN, WINDOW)
    return _panel("Messages", names.MESSAGES, "cps", [(query, _legend(*by))])


def _bytes() -> dict[str, Any]:
    by = [names.DIRECTION, names.MESSAGE_TYPE]
    query = promql.per_second(names.MESSAGE_BYTES, by, _CHOSEN, WINDOW)
    return _panel("Bytes of messages", names.MESSAGE_BYTES, "Bps", [(query, _legend(*by))])


def _errors() -> dict[str, Any]:
    matchers = [*_CHOSEN, promql.matcher(names.ERROR_TYPE, "!=", "")]
    targets = [
        (promql.per_second(metric, [names.ERROR_TYPE], matchers, WINDOW), f"{when} {legend}")
        for metric, when in ((names.DURATION, "open:"), (names.REJECTED, "handshake:"))
        for legend in [_legend(names.ERROR_TYPE)]
    ]
    panel = _panel("Errors", names.DURATION, "cps", targets)
    panel["description"] = f"By type: {names.ATTRIBUTES[names.ERROR_TYPE].meaning}."
    return panel


def _rate_limits(title: str, metric: Metric, attribute: str) -> dict[str, Any]:
    by = [names.RATE_LIMIT, attribute]
    # They are counted by limit, not by route.
    query = promql.per_second(metric, by, _CHOSEN[:1], WINDOW)
    return _panel(title, metric, "cps", [(query, _legend(*by))])


def _quantiles(
    title: str, metric: Metric, unit: str, shares: Sequence[float], *by: str
) -> dict[str, Any]:
    legend = _legend(*by)
    targets = [
        (promql.quantile(share, metric, by, _CHOSEN, WINDOW), f"p{share * 100:g} {legend}".strip())
        for share in shares
    ]
    return _panel(title, metric, unit, targets)


def _panel(
    title: str, metric: Metric, unit: str, targets: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    option = "" if metric.option is None else f" It takes Metrics({metric.option}=True)."
    return {
        "title": title,
        "description": metric.description + option,
        "type": "timeseries",
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query}
            | {"legendFormat": legend}
            for number, (query, legend) in enumerate(targets)
        ],
    }


def _legend(*attributes: str) -> str:
    return " ".join(f"{{{{{promql.label(attribute)}}}}}" for attribute in attributes)


def _variables() -> list[dict[str, Any]]:
    active = promql.series(names.ACTIVE)
    routes = promql.select(active, _CHOSEN[:1])
    return [
        {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
        _choice("job", "Job", f"label_values({active}, job)"),
        _choice("route", "Route", f"label_values({routes}, {promql.label(names.ROUTE)})"),
    ]


def _choice(name: str, title: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": title,
        "type": "query",
        "datasource": _SOURCE,
        "query": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }
