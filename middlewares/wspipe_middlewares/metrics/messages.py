"""The metrics of single messages, each behind an option."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from wspipe import message_size
from wspipe_middlewares import names
from wspipe_middlewares.handling import Home
from wspipe_middlewares.metrics.recorder import Recorder, attributes_of
from wspipe_middlewares.outcome import Outcome, type_of
from wspipe_middlewares.route import route_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from wspipe import ASGIConnection, Event, Receive, Send


class MessageMetrics:
    """The metrics of one connection's messages.

    Args:
        connection: The connection.
        recorder: Takes what is measured.
    """

    __slots__ = ("connection", "delivered", "recorder", "route")

    def __init__(self, connection: ASGIConnection, recorder: Recorder) -> None:
        self.connection: ASGIConnection = connection
        self.recorder: Recorder = recorder
        self.route: str | None = None
        self.delivered: tuple[float, dict[str, str]] | None = None
        connection.on_handshake(self._note_route)

    def sized_receive(self, receive: Receive) -> Receive:
        """Record the size of each message received."""

        async def receive_and_size() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                self._record_size("receive", event)
            return event

        return receive_and_size

    def sized_send(self, send: Send) -> Send:
        """Record the size of each message sent."""

        async def send_and_size(event: Event) -> None:
            await send(event)
            if event["type"] == "websocket.send":
                self._record_size("transmit", event)

        return send_and_size

    def timed_receive(self, receive: Receive) -> Receive:
        """Record the time from each message's delivery to the next receive."""
        home = Home()
        self.connection.exit_stack.callback(self._end_handling_with_error)

        async def receive_and_time() -> Event:
            self._end_handling(None)
            event = await receive()
            if event["type"] == "websocket.receive" and home.is_here():
                self.delivered = perf_counter(), self._attributes(event)
            return event

        return receive_and_time

    def timed_send(self, send: Send) -> Send:
        """Record the time of each send of a message."""

        def send_and_time(event: Event) -> Awaitable[None]:
            return send(event) if event["type"] != "websocket.send" else send_timed(event)

        async def send_timed(event: Event) -> None:
            started, error_type = perf_counter(), None
            try:
                await send(event)
            except Exception as error:
                error_type = type_of(error)
                raise
            finally:
                attributes = self._attributes(event, error_type)
                self.recorder.send_duration.record(perf_counter() - started, attributes)

        return send_and_time

    def _note_route(self, _: Event) -> None:
        self.route = route_of(self.connection)

    def _end_handling_with_error(self) -> None:
        if self.delivered is not None:
            error = Outcome.of(self.connection).error
            self._end_handling(None if error is None else type_of(error))

    def _end_handling(self, error_type: str | None) -> None:
        if self.delivered is None:
            return
        started, attributes = self.delivered
        self.delivered = None
        if error_type is not None:
            attributes[names.ERROR_TYPE] = error_type
        self.recorder.process_duration.record(perf_counter() - started, attributes)

    def _record_size(self, direction: str, event: Event) -> None:
        attributes = {names.DIRECTION: direction, **self._attributes(event)}
        self.recorder.size.record(message_size(event), attributes)

    def _attributes(self, event: Event, error_type: str | None = None) -> dict[str, str]:
        attributes = attributes_of(self.route)
        attributes[names.MESSAGE_TYPE] = "text" if event.get("bytes") is None else "binary"
        if error_type is not None:
            attributes[names.ERROR_TYPE] = error_type
        return attributes
