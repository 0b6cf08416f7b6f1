"""The bench of the wire tests: a real pipeline in front of a server made of lists."""

from __future__ import annotations

from collections import deque
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import ASGIConnection, Pipeline
from wspipe.state_machine import (
    ACCEPTED,
    CLOSED,
    CONNECTED,
    DENYING,
    DISCONNECTED,
    REJECTED,
    UNANNOUNCED,
    UNANSWERED,
    WAITING,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    import anyio

    from tests.wspipe.wire_support import Model
    from wspipe import Event
    from wspipe.wire import Wire

CONNECT: Event = {"type": "websocket.connect"}
MESSAGE: Event = {"type": "websocket.receive", "text": "hello"}
DISCONNECT: Event = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
ACCEPT: Event = {"type": "websocket.accept"}
CLOSE: Event = {"type": "websocket.close", "code": 4000, "reason": "enough"}
DENY: Event = {"type": "websocket.http.response.start", "status": 401, "headers": []}

# What brings a new conversation into a state: the application's events, then the server's.
ANSWERS = {
    UNANSWERED: (),
    ACCEPTED: (ACCEPT,),
    CLOSED: (ACCEPT, CLOSE),
    DENYING: (DENY,),
    REJECTED: (CLOSE,),
}
NEWS = {
    WAITING: (),
    CONNECTED: (CONNECT,),
    DISCONNECTED: (CONNECT, DISCONNECT),
    UNANNOUNCED: (MESSAGE,),
}


class Server:
    """A server that hands out what is in its `inbox` and keeps what it takes.

    Attributes:
        inbox: The events to hand out.
        offered: What was sent to it, refused events included.
        taken: What it took.
        fault: What its `send` raises, if anything.
        refuses: What its `send` raises for a certain event, by the event's `id`.
        unknown_codes: The close codes that it refuses, as Daphne does with most.
        hold: While set, `receive` and `send` wait for it.
    """

    def __init__(self) -> None:
        self.inbox: deque[Any] = deque()
        self.offered: list[Any] = []
        self.taken: list[Any] = []
        self.fault: BaseException | None = None
        self.refuses: dict[int, BaseException] = {}
        self.unknown_codes: set[int] = set()
        self.hold: anyio.Event | None = None

    async def receive(self) -> Event:
        if self.hold is not None:
            await self.hold.wait()
        return self.inbox.popleft()

    async def send(self, event: Event) -> None:
        self.offered.append(event)
        if self.hold is not None:
            await self.hold.wait()
        fault = self.refuses.get(id(event), self.fault)
        if fault is not None:
            raise fault
        if self.unknown_codes and event.get("code") in self.unknown_codes:
            raise ValueError(f"invalid close code {event['code']}")
        self.taken.append(event)


class Bench:
    """A connection with its wire stage, as `Pipeline` assembles it, and its server."""

    def __init__(self, *, strict: bool, extensions: Sequence[str]) -> None:
        scope = {"type": "websocket", "extensions": {name: {} for name in extensions}}
        self.server = Server()
        self.connection: ASGIConnection = ASGIConnection(scope)
        pipeline = Pipeline().with_wire(strict=strict)
        self.receive, self.send = pipeline(self.connection, self.server.receive, self.server.send)

    async def hear(self, event: Any) -> Event:
        """Receive this event from the server."""
        self.server.inbox.append(event)
        return await self.receive()

    async def reach(self, received: str, sent: str) -> Bench:
        """Lead the conversation into a state."""
        for event in ANSWERS[sent]:
            await self.send(event)
        for event in NEWS[received]:
            await self.hear(event)
        return self

    async def open(self) -> Bench:
        """Lead the conversation to where messages may flow, and forget how it got there."""
        await self.reach(CONNECTED, ACCEPTED)
        self.server.offered.clear()
        self.server.taken.clear()
        return self

    @property
    def wire(self) -> Wire:
        """The state of the conversation."""
        return self.connection.wire

    @property
    def ending(self) -> tuple[Any, str, Any]:
        """How it ended: code, reason and who closed."""
        connection = self.connection
        return connection.close_code, connection.close_reason, connection.closed_by

    def now(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine that has nothing to wait for, without an event loop."""
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it waits for something")


@pytest.fixture(scope="session")
def make_bench() -> Callable[..., Bench]:
    """Give the maker of benches: lenient, with denial responses, unless told otherwise."""

    def make(
        *, strict: bool = False, extensions: Sequence[str] = ("websocket.http.response",)
    ) -> Bench:
        return Bench(strict=strict, extensions=extensions)

    return make


@pytest.fixture(scope="session")
def naive_model() -> type[Model]:
    """Give the model of wire_support.py, which no import finds in pytest's importlib mode."""
    spec = spec_from_file_location("wire_support", Path(__file__).with_name("wire_support.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Model
