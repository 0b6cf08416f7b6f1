"""A server in memory, which times the messages of any ASGI application."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe import ASGIApp, Event, Scope

TEXT = "x" * 64

HEADERS = [
    (b"host", b"chat.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept-language", b"en-US,en;q=0.5"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"origin", b"https://chat.example"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
]


def scope() -> Scope:
    """Make the scope of a browser's connection."""
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss",
        "path": "/",
        "raw_path": b"/",
        "root_path": "",
        "query_string": b"room=7",
        "headers": [*HEADERS],
        "client": ("192.0.2.1", 50_000),
        "server": ("192.0.2.2", 443),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
        "state": {},
    }


class Session:
    """One connection, whose client sends the same message `count` times and then leaves.

    Attributes:
        answers: How many messages the application has sent.
        messages: Nanoseconds from the first message to the end of the last one's handling.
        whole: Nanoseconds of all of it.
        opened: Nanoseconds until it is asked for the first event.
        shaken: Nanoseconds until it is asked for the second, the handshake being answered.
    """

    def __init__(self, data: str | bytes, count: int) -> None:
        self.scope = scope()
        self.answers = 0
        self.messages = self.whole = self.opened = self.shaken = 0
        self._start = 0
        self._key = "text" if isinstance(data, str) else "bytes"
        self._data = data
        self._count = count
        self._events = self._script()

    def _script(self) -> Iterator[Event]:
        self.opened = perf_counter_ns() - self._start
        yield {"type": "websocket.connect"}
        start = perf_counter_ns()
        self.shaken = start - self._start
        for _ in range(self._count):
            yield {"type": "websocket.receive", self._key: self._data}
        self.messages = perf_counter_ns() - start
        yield {"type": "websocket.disconnect", "code": 1001, "reason": ""}

    async def receive(self) -> Event:
        """Give the next event."""
        for event in self._events:
            return event
        in_vain: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        event: Event = await in_vain
        return event

    async def send(self, event: Event) -> None:
        """Take an event."""
        if event["type"] == "websocket.send":
            self.answers += 1

    async def serve(self, app: ASGIApp) -> None:
        """Have an application serve it, to the end.

        Raises:
            AssertionError: The application has not answered each message.
        """
        self._start = perf_counter_ns()
        await app(self.scope, self.receive, self.send)
        self.whole = perf_counter_ns() - self._start
        if self.answers != self._count:
            raise AssertionError(f"{app} answered {self.answers} of {self._count} messages")


async def time_messages(app: ASGIApp, data: str | bytes, count: int) -> float:
    """Have one conversation; give the nanoseconds of a message."""
    session = Session(data, count)
    await session.serve(app)
    return session.messages / count


class Phases(NamedTuple):
    """The nanoseconds of a connection without a message."""

    whole: float
    build: float
    handshake: float
    end: float


async def time_connections(app: ASGIApp, count: int) -> Phases:
    """Open and end connections without a message, and give what one took."""
    sessions = [Session(TEXT, 0) for _ in range(count)]
    for session in sessions:
        await session.serve(app)
    whole = sum(session.whole for session in sessions) / count
    opened = sum(session.opened for session in sessions) / count
    shaken = sum(session.shaken for session in sessions) / count
    return Phases(whole, opened, shaken - opened, whole - shaken)
