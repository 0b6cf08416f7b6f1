"""An echo in process: what each WebSocket class costs on top of raw ASGI."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import orjson
import starlette.websockets

import wspipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TEXT = "x" * 64
UMLAUTS = "\u00e4" * 64
BINARY = b"x" * 64
JSON = '{"id": 1, "user": "ada", "text": "good morning", "tags": ["a", "b"], "at": 1700000000}'


class Session:
    """A server in memory, which sends the same message `count` times and then disconnects."""

    def __init__(self, data: str | bytes, count: int) -> None:
        self.data = data
        self.left = count
        self.connected = False
        self.answers = 0
        self.last: Any = None
        self.scope: Any = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}

    async def receive(self) -> Any:
        """Give the connect event, then the messages, then the disconnect."""
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        self.left -= 1
        if self.left < 0:
            return {"type": "websocket.disconnect", "code": 1000}
        if isinstance(self.data, str):
            return {"type": "websocket.receive", "text": self.data}
        return {"type": "websocket.receive", "bytes": self.data}

    async def send(self, event: Any) -> None:
        """Take an answer."""
        self.answers += 1
        self.last = event


async def raw_text(session: Session) -> None:
    """Echo text on raw ASGI."""
    receive, send = session.receive, session.send
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def raw_binary(session: Session) -> None:
    """Echo bytes on raw ASGI."""
    receive, send = session.receive, session.send
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def raw_json(session: Session) -> None:
    """Echo JSON on raw ASGI, with orjson."""
    receive, send = session.receive, session.send
    while (event := await receive())["type"] == "websocket.receive":
        value = orjson.loads(event["text"])
        await send({"type": "websocket.send", "text": orjson.dumps(value).decode()})


async def echo_text(socket: Any) -> None:
    """Echo text through a WebSocket class until it raises its disconnect."""
    while True:
        await socket.send_text(await socket.receive_text())


async def echo_binary(socket: Any) -> None:
    """Echo bytes through a WebSocket class until it raises its disconnect."""
    while True:
        await socket.send_bytes(await socket.receive_bytes())


async def echo_json(socket: Any) -> None:
    """Echo JSON through a WebSocket class until it raises its disconnect."""
    while True:
        await socket.send_json(await socket.receive_json())


async def run_raw(echo: Callable[[Session], Awaitable[None]], session: Session) -> float:
    """Time a raw echo, in nanoseconds a message."""
    count = session.left
    await session.receive()
    await session.send({"type": "websocket.accept"})
    start = perf_counter_ns()
    await echo(session)
    return (perf_counter_ns() - start) / count


async def run_class(
    kind: type[Any], echo: Callable[[Any], Awaitable[None]], session: Session
) -> float:
    """Time an echo through a WebSocket class, in nanoseconds a message, the handshake left out."""
    count = session.left
    socket = kind(session.scope, session.receive, session.send)
    await socket.accept()
    socket_ends = (wspipe.WebSocketDisconnect, starlette.websockets.WebSocketDisconnect)
    start = perf_counter_ns()
    with suppress(*socket_ends):
        await echo(socket)
    elapsed = perf_counter_ns() - start
    if session.answers != count + 1:
        raise AssertionError(f"{kind} answered {session.answers - 1} of {count} messages")
    return elapsed / count
