"""The span of a connection: of its handshake, or of all of it."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.context import attach, create_key, get_current, get_value, set_value
from opentelemetry.propagators.textmap import Getter
from opentelemetry.trace import (
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from wspipe_middlewares import names
from wspipe_middlewares.headers import header, header_values
from wspipe_middlewares.outcome import VALUE_LIMIT, Outcome, text_of, traceback_of, type_of
from wspipe_middlewares.redaction import printable, redact_query, redact_subprotocol
from wspipe_middlewares.route import route_of
from wspipe_middlewares.tracing.current import CurrentSpan
from wspipe_middlewares.tracing.safely import end_span, extract_parent, start_span

if TYPE_CHECKING:
    from collections.abc import Collection

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext
    from opentelemetry.util.types import AttributeValue

    from wspipe import ASGIConnection, Event, Scope

_PATH_LIMIT: Final = 1024
_OWNER: Final = create_key("wspipe.connection")


class ConnectionTrace:
    """The span of one connection, current until the handshake is answered or to the end.

    Args:
        connection: The connection.
        tracer: Makes the span.
        whole: Whether the span lasts until the connection ends.
        messages: Whether messages are traced. Where the span is not sampled it then stays current,
            so that a sampler that goes by the parent drops the application's spans too.
        redact: Further query parameters to hide.
    """

    __slots__ = (
        "before",
        "connection",
        "context",
        "current",
        "ended_at",
        "span",
        "stays_current",
        "whole",
    )

    def __init__(
        self,
        connection: ASGIConnection,
        tracer: Tracer,
        *,
        whole: bool,
        messages: bool,
        redact: Collection[str],
    ) -> None:
        parent = get_current()
        self.before: Context = parent
        outer = get_current_span(parent)
        kind = SpanKind.SERVER
        if not outer.get_span_context().is_valid:
            parent = extract_parent(connection.scope, parent, _HEADERS)
        elif not outer.get_span_context().is_remote:
            kind = SpanKind.INTERNAL
        attributes = _request_attributes(connection, redact)
        span = start_span(tracer, attributes[names.METHOD], parent, kind, attributes)
        # Let go at its end, because an idle connection should weigh little.
        self.span = span if span.is_recording() else None
        self.context: SpanContext = span.get_span_context()
        self.connection: ASGIConnection = connection
        self.whole: bool = whole
        self.stays_current: bool = whole or (messages and not self.sampled)
        self.ended_at: int | None = None
        if self.span is not None:
            connection.scope[names.SPAN_CONTEXT_KEY] = self.context
        self.current: CurrentSpan = CurrentSpan(span if self.context.is_valid else outer, outer)
        attach(set_value(_OWNER, self, set_span_in_context(self.current, parent)))
        connection.on_handshake(self.answered)
        connection.exit_stack.callback(self.ended)

    @property
    def sampled(self) -> bool:
        """Whether the span is sampled."""
        return self.context.trace_flags.sampled and self.span is not None

    def answered(self, event: Event) -> None:
        """Note how the handshake was answered; end the span where it lasts no longer."""
        status, span = self.connection.handshake_status, self.span
        if status != 101:
            # Who denied it is known at the end of the connection.
            self.ended_at = time_ns()
        elif span is not None and span.is_recording():
            if subprotocol := event.get("subprotocol"):
                span.set_attribute(names.SUBPROTOCOL, redact_subprotocol(subprotocol))
            self._describe_handshake(span, status)
            if not self.whole:
                self._end(span)
        if status != 101 or not self.stays_current:
            self.current.finish()

    def ended(self) -> None:
        """Tell how the connection ended, where the span is still open."""
        self.current.finish()
        if get_value(_OWNER) is self:
            attach(self.before)
        span = self.span
        if span is None or not span.is_recording():
            return
        outcome = Outcome.of(self.connection)
        if outcome.status != 101:
            self._describe_handshake(span, outcome.status)
        span.set_attributes(_end_attributes(outcome))
        if outcome.error is not None:
            span.add_event("exception", exception_attributes(outcome.error))
        if outcome.error_type is not None:
            span.set_attribute(names.ERROR_TYPE, outcome.error_type)
            description = None if outcome.error is None else text_of(outcome.error)
            span.set_status(Status(StatusCode.ERROR, description))
        self._end(span)

    def _describe_handshake(self, span: Span, status: int | None) -> None:
        route = route_of(self.connection)
        if status is not None:
            span.set_attribute(names.STATUS, status)
        if route is not None:
            span.set_attribute(names.ROUTE, route)
            span.update_name(f"{_method(self.connection)} {route}")

    def _end(self, span: Span) -> None:
        end_span(span, self.ended_at)
        self.span = None


def exception_attributes(error: BaseException) -> dict[str, str]:
    """Describe an exception, for an event of a span.

    The text is escaped here: it may quote the client, and what is not UTF-8 fails to export.
    """
    return {
        names.EXCEPTION_TYPE: type_of(error),
        names.EXCEPTION_MESSAGE: text_of(error),
        names.EXCEPTION_STACKTRACE: traceback_of(error),
    }


class _Headers(Getter["Scope"]):
    """Reads the request headers for the propagator."""

    def get(self, carrier: Scope, key: str) -> list[str] | None:
        return header_values(carrier, key.lower()) or None

    def keys(self, carrier: Scope) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier.get("headers") or ()]


_HEADERS: Final = _Headers()


def _method(connection: ASGIConnection) -> str:
    # RFC 8441 section 5 and RFC 9220: from HTTP/2 on, a WebSocket is opened by CONNECT.
    version = connection.scope.get("http_version") or "1.1"
    return "GET" if version < "2" else "CONNECT"


def _request_attributes(
    connection: ASGIConnection, redact: Collection[str]
) -> dict[str, AttributeValue]:
    scope, url = connection.scope, connection.base_url
    host, port = connection.client or (None, None)
    query = scope.get("query_string")
    agent = header(scope, "user-agent")
    attributes: dict[str, AttributeValue | None] = {
        names.METHOD: _method(connection),
        names.SCHEME: url.scheme,
        names.PATH: printable(scope.get("path", ""), _PATH_LIMIT),
        names.QUERY: printable(redact_query(query, redact), _PATH_LIMIT) if query else None,
        # As it came: what a client sends need not be fit to be decoded.
        names.SERVER_ADDRESS: printable(url.raw_host or "", VALUE_LIMIT) or None,
        names.SERVER_PORT: url.port,
        names.CLIENT_ADDRESS: printable(host, VALUE_LIMIT) if host else None,
        names.CLIENT_PORT: port or None,
        names.PROTOCOL_VERSION: scope.get("http_version"),
        names.USER_AGENT: None if agent is None else printable(agent, VALUE_LIMIT),
        names.CONNECTION_ID: connection.id,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _end_attributes(outcome: Outcome) -> dict[str, AttributeValue]:
    traffic = outcome.traffic
    attributes: dict[str, AttributeValue] = {
        names.MESSAGES_RECEIVED: traffic.messages_received,
        names.MESSAGES_SENT: traffic.messages_sent,
        names.BYTES_RECEIVED: traffic.bytes_received,
        names.BYTES_SENT: traffic.bytes_sent,
        names.CLOSED_BY: outcome.closed_by,
    }
    if outcome.code is not None:
        attributes[names.CLOSE_CODE] = str(outcome.code)
        attributes[names.CLOSE_REASON] = outcome.reason
    for decision, count in outcome.limited.items():
        attributes[names.LIMITED[decision]] = count
    return attributes
