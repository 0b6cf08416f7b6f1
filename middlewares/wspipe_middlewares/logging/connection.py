"""The log lines of one connection."""

from __future__ import annotations

import logging
from random import random
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from structlog.contextvars import (
    bind_contextvars,
    unbind_contextvars,
)

from wspipe import message_size
from wspipe_middlewares.headers import header
from wspipe_middlewares.logging.trace_ids import trace_ids, trace_ids_of
from wspipe_middlewares.outcome import VALUE_LIMIT, Outcome, text_of, traceback_of
from wspipe_middlewares.redaction import (
    REDACTED,
    is_secret,
    printable,
    redact_query,
    redact_subprotocol,
)
from wspipe_middlewares.route import route_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from contextvars import Token

    from wspipe import ASGIConnection, Event, Receive, Send

_PATH_LIMIT: Final = 256

_logger = logging.getLogger("wspipe")


class ConnectionLog:
    """What belongs to one connection: its fields, its clock, its logger.

    Args:
        connection: The connection.
        logger: Takes the lines.
        levels: The level of the last line by close code.
        headers: The request headers to log.
        redact: Further names of secrets.
    """

    __slots__ = ("connection", "fields", "levels", "logger", "started", "tokens")

    def __init__(
        self,
        connection: ASGIConnection,
        logger: Any,
        *,
        levels: Mapping[int, str],
        headers: Collection[str],
        redact: Collection[str],
    ) -> None:
        self.connection: ASGIConnection = connection
        self.logger: Any = logger
        self.levels: Mapping[int, str] = levels
        self.fields: dict[str, Any] = _request_fields(connection, headers, redact)
        self.started: float = monotonic()
        self.tokens: Mapping[str, Token[Any]] = bind_contextvars(connection_id=connection.id)
        connection.on_handshake(self.opened)
        connection.exit_stack.callback(self.ended)

    def opened(self, event: Event) -> None:
        """Log that the connection was accepted."""
        if self.connection.handshake_status == 101:
            subprotocol = event.get("subprotocol")
            self.fields["subprotocol"] = subprotocol and redact_subprotocol(subprotocol)
            self._note_route()
            fields = {**self.fields, **trace_ids_of(self.connection)}
            _write(self.logger, "info", "websocket.open", fields)

    def ended(self) -> None:
        """Log how the connection ended."""
        try:
            self._report(Outcome.of(self.connection))
        finally:
            self._unbind()

    def _report(self, outcome: Outcome) -> None:
        traffic, error = outcome.traffic, outcome.error
        if outcome.status != 101:
            self._note_route()
        fields = {
            **self.fields,
            **trace_ids_of(self.connection),
            "status": outcome.status,
            "duration": round(monotonic() - self.started, 6),
            "messages_received": traffic.messages_received,
            "messages_sent": traffic.messages_sent,
            "bytes_received": traffic.bytes_received,
            "bytes_sent": traffic.bytes_sent,
            "code": outcome.code,
            "reason": outcome.reason,
            "closed_by": outcome.closed_by,
            **{f"rate_limit_{decision}": count for decision, count in outcome.limited.items()},
        }
        if outcome.error_type is not None:
            fields["error_type"] = outcome.error_type
        name = "websocket.close"
        if error is not None:
            name = "websocket.error"
            fields["error"] = f"{type(error).__name__}: {text_of(error)}"
            fields["exception"] = traceback_of(error)
        _write(self.logger, self._level(outcome), name, fields)

    def _note_route(self) -> None:
        route = route_of(self.connection)
        if route is not None:
            self.fields["route"] = route

    def _level(self, outcome: Outcome) -> str:
        code = outcome.code
        if outcome.status == 101 and code is not None and code in self.levels:
            return self.levels[code]
        if outcome.error is not None or (outcome.status is not None and outcome.status >= 500):
            return "error"
        by_middleware = not isinstance(self.connection.closed_by, str)
        abnormal = outcome.status != 101 or outcome.error_type is not None or by_middleware
        return "warning" if abnormal else "info"

    def _unbind(self) -> None:
        token = self.tokens["connection_id"]
        if token.var.get(None) != self.connection.id:
            return
        try:
            token.var.reset(token)
        except ValueError:
            # A WebSocket without a runner may end in another task, which has a context of its own.
            unbind_contextvars("connection_id")


class MessageLog:
    """The lines of one connection's messages.

    Args:
        connection: The connection.
        logger: Takes the lines.
        ratio: The share of messages to log.
        preview: How much of a message to show.
    """

    __slots__ = ("connection", "logger", "preview", "ratio")

    def __init__(
        self, connection: ASGIConnection, logger: Any, *, ratio: float, preview: int
    ) -> None:
        self.connection: ASGIConnection = connection
        self.logger: Any = logger
        self.ratio: float = ratio
        self.preview: int = preview

    def logged_receive(self, receive: Receive) -> Receive:
        """Log each message received."""

        async def receive_and_log() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                self._log(event)
            return event

        return receive_and_log

    def logged_send(self, send: Send) -> Send:
        """Log each message that was sent."""

        async def send_and_log(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.send":
                self._log(event)

        return send_and_log

    def _log(self, event: Event) -> None:
        if self.ratio < 1 and random() >= self.ratio:  # noqa: S311 - no secret hangs on it
            return
        limit, data = self.preview, event.get("bytes")
        if data is None:
            kind, preview = "text", printable(event.get("text") or "", limit)
        else:
            kind, preview = "binary", bytes(data[:limit]).hex(" ")
            preview += "…" if len(data) > limit else ""
        fields = {
            "connection_id": self.connection.id,
            "kind": kind,
            "size": message_size(event),
            "preview": preview,
            **(trace_ids() or trace_ids_of(self.connection)),
        }
        _write(self.logger, "debug", event["type"], fields)


def _write(logger: Any, level: str, event: str, fields: dict[str, Any]) -> None:
    try:
        getattr(logger, level)(event, **fields)
    except Exception:
        # A full disk or a value that cannot be rendered is no reason to fail a connection.
        _logger.exception("the line %r could not be logged", event)


def _request_fields(
    connection: ASGIConnection, headers: Collection[str], redact: Collection[str]
) -> dict[str, Any]:
    scope, client = connection.scope, connection.client
    fields: dict[str, Any] = {
        "connection_id": connection.id,
        "path": printable(scope.get("path", ""), _PATH_LIMIT),
        "client": _shown(f"{client.host}:{client.port}") if client else None,
        "user_agent": _shown(header(scope, "user-agent")),
    }
    if query := scope.get("query_string"):
        fields["query"] = _shown(redact_query(query, redact))
    if headers:
        fields["headers"] = {
            name: REDACTED if is_secret(name, redact) else _shown(value)
            for name in headers
            if (value := header(scope, name.lower())) is not None
        }
    return fields


def _shown(value: str | None) -> str | None:
    return None if value is None else printable(value, VALUE_LIMIT)
