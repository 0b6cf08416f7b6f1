"""The spans of messages: the handler's time for each received, the send of each sent."""

from __future__ import annotations

import logging
from random import random
from time import time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.context import attach
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)

from wspipe import message_size
from wspipe_middlewares import names
from wspipe_middlewares.handling import Home
from wspipe_middlewares.outcome import Outcome, text_of, type_of
from wspipe_middlewares.route import route_of
from wspipe_middlewares.tracing.carrier import carried_span, naming_span
from wspipe_middlewares.tracing.connection import exception_attributes
from wspipe_middlewares.tracing.current import CurrentSpan
from wspipe_middlewares.tracing.safely import end_span, start_span

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from opentelemetry.util.types import AttributeValue

    from wspipe import ASGIConnection, Event, Receive, Send
    from wspipe_middlewares.tracing.carrier import Carrier
    from wspipe_middlewares.tracing.connection import ConnectionTrace

_logger = logging.getLogger("wspipe")

# As the conventions for messaging call them.
_OPERATIONS: Final = {
    SpanKind.CONSUMER: names.PROCESS.operation,
    SpanKind.PRODUCER: names.SENDING.operation,
}


class MessageTrace:
    """The spans of one connection's messages.

    `span` is that of the message that is being handled. It ends at the next receive, whichever task
    calls that.
    """

    __slots__ = (
        "carrier",
        "carrier_failed",
        "connection",
        "context",
        "current",
        "home",
        "link",
        "ratio",
        "route",
        "span",
        "tracer",
        "unsampled",
    )

    def __init__(
        self, trace: ConnectionTrace, tracer: Tracer, ratio: float, carrier: Carrier | None
    ) -> None:
        self.connection: ASGIConnection = trace.connection
        self.context: SpanContext = trace.context
        self.link: tuple[Link] = (Link(trace.context),)
        # Stands for a message that is not traced, so that a sampler that goes by the parent drops
        # the spans under it.
        self.unsampled: NonRecordingSpan = NonRecordingSpan(
            SpanContext(trace.context.trace_id, trace.context.span_id, is_remote=False)
        )
        self.tracer: Tracer = tracer
        self.ratio: float = ratio
        self.carrier: Carrier | None = carrier
        self.carrier_failed: bool = False
        self.home: Home = Home()
        self.route: str | None = None
        self.span: Span | None = None
        self.current: CurrentSpan | None = None
        self.connection.on_handshake(self.answered)
        self.connection.exit_stack.callback(self.ended)

    def answered(self, _: Event) -> None:
        """Note the route, which is chosen by now."""
        self.route = route_of(self.connection)

    def traced_receive(self, receive: Receive) -> Receive:
        """Wrap a receive."""

        async def receive_and_trace() -> Event:
            self._end_handling()
            current = get_current_span()
            if isinstance(current, CurrentSpan) and current.over:
                current.finish()  # found by a task that was started meanwhile, and receives now
            event = await receive()
            if event["type"] == "websocket.receive":
                self._begin_handling(event)
            return event

        return receive_and_trace

    def traced_send(self, send: Send) -> Send:
        """Wrap a send."""

        def send_and_trace(event: Event) -> Awaitable[None]:
            if event["type"] != "websocket.send":
                return send(event)
            current = get_current_span()
            context = current.get_span_context()
            if context.is_valid and context.span_id != self.context.span_id:
                parent, chosen = current, context.trace_flags.sampled
            else:
                # Of its own accord, save where `unsampled` stands for the message at hand.
                parent = INVALID_SPAN
                chosen = (not context.is_valid or context.trace_flags.sampled) and self._is_chosen()
            return self._send(send, event, parent) if chosen else send(event)

        return send_and_trace

    def ended(self) -> None:
        """End the last message's span, with the error that ended the application, if any."""
        if self.span is None:
            return
        error = Outcome.of(self.connection).error
        if error is not None:
            self.span.add_event("exception", exception_attributes(error))
            _set_error(self.span, error)
        self._end_handling()

    def _is_chosen(self) -> bool:
        return self.ratio >= 1 or random() < self.ratio  # noqa: S311 - no secret hangs on it

    def _begin_handling(self, event: Event) -> None:
        here = self.home.is_here()
        if self._is_chosen():
            parent = INVALID_SPAN if self.carrier is None else self._carried(self.carrier, event)
            now = time_ns()
            span = self._start(SpanKind.CONSUMER, event, parent, now)
            if not here:
                end_span(span, now)
        else:
            span = self.unsampled
        if here:
            self.span, self.current = span, CurrentSpan(span, get_current_span(), self.home)
            attach(set_span_in_context(self.current))

    def _end_handling(self) -> None:
        if self.span is not None and self.current is not None:
            self.current.finish()
            end_span(self.span)
            self.span = self.current = None

    async def _send(self, send: Send, event: Event, parent: Span) -> None:
        span = self._start(SpanKind.PRODUCER, event, parent)
        try:
            if self.carrier is not None and span.is_recording():
                event = self._naming(self.carrier, event, span)
            await send(event)
        except Exception as error:
            _set_error(span, error)
            raise
        finally:
            end_span(span)

    def _start(
        self, kind: SpanKind, event: Event, parent: Span, start_time: int | None = None
    ) -> Span:
        name, route = _OPERATIONS[kind], self.route
        attributes: dict[str, AttributeValue] = {
            names.CONNECTION_ID: self.connection.id,
            names.MESSAGE_TYPE: "text" if event.get("bytes") is None else "binary",
            names.MESSAGE_SIZE: message_size(event),
        }
        if route is not None:
            attributes[names.ROUTE] = route
            name = f"{name} {route}"
        # What hangs under a span of the application needs no link to find the connection.
        links = () if parent.is_recording() else self.link
        context = set_span_in_context(parent)
        return start_span(self.tracer, name, context, kind, attributes, links, start_time)

    def _carried(self, carrier: Carrier, event: Event) -> Span:
        try:
            return carried_span(carrier, {**event})
        except Exception as error:  # noqa: BLE001 - the message need not suffer
            self._report(error)
            return INVALID_SPAN

    def _naming(self, carrier: Carrier, event: Event, span: Span) -> Event:
        try:
            return naming_span(carrier, event, span)
        except Exception as error:  # noqa: BLE001 - likewise
            self._report(error)
            return event

    def _report(self, error: Exception) -> None:
        # Once: a client may be able to make it fail with every message.
        if not self.carrier_failed:
            self.carrier_failed = True
            _logger.error("the carrier of trace context failed", exc_info=error)


def _set_error(span: Span, error: BaseException) -> None:
    span.set_attribute(names.ERROR_TYPE, type_of(error))
    span.set_status(Status(StatusCode.ERROR, text_of(error)))
