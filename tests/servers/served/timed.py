"""What takes too long: a route for each limit of `Timeouts`, `SendQueue` and `AuthDeadline`.

`/control` tells what became of the connections with the given names, once they have ended, or sent
all that they had to send.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from time import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import anyio

from wspipe import (
    ASGIConnection,
    Composable,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
    websocket_app,
)
from wspipe_middlewares import AuthDeadline, SendQueue, Timeouts, authenticated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import ASGIApp, Event, Middleware, Receive, Scope, Send

CHUNK = "x" * 65_536


@dataclass
class Record:
    """What became of a connection."""

    sent: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)
    seen: list[Any] = field(default_factory=list)


records: dict[str, Record] = {}


def record_of(scope: Scope) -> Record:
    """Give the record of a connection, which names itself in its query."""
    [name] = parse_qs(scope["query_string"].decode())["name"]
    return records.setdefault(name, Record())


class Note(Composable):
    """Notes how a connection ended; the closest to the server."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Register the note."""

        def note() -> None:
            record, by = record_of(connection.scope), connection.closed_by
            by = by if isinstance(by, str) else type(by).__name__
            record.seen.append([connection.close_code, by, repr(connection.error)])
            record.ended.set()

        connection.exit_stack.callback(note)
        return receive, send


def served(handler: Callable[[WebSocket], Awaitable[None]], *stages: Middleware) -> ASGIApp:
    """Put a pipeline around a handler, from outside."""
    return PipelineMiddleware(websocket_app(handler), Pipeline(Note(), *stages))


async def ponder(_scope: Scope, receive: Receive, _send: Send) -> None:
    """Never answer the handshake."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def echo(socket: WebSocket) -> None:
    """Echo until the client leaves."""
    async for text in socket.iter_text():
        await socket.send_text(text)


async def chat(socket: WebSocket) -> None:
    """Say something now and then."""
    await socket.accept()
    while True:
        await anyio.sleep(0.1)
        await socket.send_text("tick")


async def hang(socket: WebSocket) -> None:
    """Handle the first message for ever."""
    await socket.receive_text()
    await anyio.sleep_forever()


async def hang_a_while(socket: WebSocket) -> None:
    """Handle the first message for two seconds, and receive the next."""
    await socket.receive_text()
    await anyio.sleep(2)
    await socket.receive_text()


async def flood(socket: WebSocket) -> None:
    """Send more than any buffer takes."""
    await socket.accept()
    for _ in range(2000):
        await socket.send_text(CHUNK)


async def count(socket: WebSocket) -> None:
    """Send numbered chunks without a pause, tell how many were taken, and go on at a word."""
    record = record_of(socket.scope)
    await socket.accept()
    number = 0
    try:
        for number in range(1500):
            await socket.send_text(f"{number:06}{CHUNK}")
    except WebSocketDisconnect as error:
        record.seen.append([number, error.code])
        raise
    record.seen.append([number, None])
    record.sent.set()
    with suppress(WebSocketDisconnect):
        await socket.receive_text()  # the client reads on from here
        await socket.send_text("end")
        await socket.receive_text()


async def age(socket: WebSocket) -> None:
    """Send numbered chunks, wait until they are too old, and send a last one."""
    await socket.accept()
    for number in range(500):
        await socket.send_text(f"{number:06}{CHUNK}")
    await anyio.sleep(2)
    record_of(socket.scope).sent.set()
    await socket.send_text("end")
    await socket.receive_text()


async def broadcast(socket: WebSocket) -> None:
    """Join the room; what one says, all are sent, one after the other."""
    room.add(socket)
    try:
        async for text in socket.iter_text():
            for member in list(room):
                with suppress(WebSocketDisconnect):
                    await member.send_text(text)
    finally:
        room.discard(socket)


room: set[WebSocket] = set()
revoked: set[str] = set()


async def log_in(socket: WebSocket) -> None:
    """Take `login`, `login 0.5` and `revoke`."""
    async for text in socket.iter_text():
        word, *seconds = text.split()
        if word == "revoke":
            revoked.add(socket.query_params["name"])
        else:
            expires_at = time() + float(seconds[0]) if seconds else None
            authenticated(socket.scope, expires_at=expires_at)
        await socket.send_text(text)


async def fail_to_tell(_: ASGIConnection) -> bool:
    """Fail."""
    raise OSError("no database")


async def still_welcome(connection: ASGIConnection) -> bool:
    """Tell whether nobody has revoked it."""
    return connection.query_params["name"] not in revoked


def first_letters(event: Event, _: ASGIConnection) -> str | None:
    """Give the last two digits of the number."""
    text: str = event["text"]
    return text[4:6] if text != "end" else None


@websocket_app
async def control(socket: WebSocket) -> None:
    """Tell what became of connections."""
    word, *names = await socket.receive_json()
    answer = []
    for name in names:
        record = records.setdefault(name, Record())
        await (record.sent if word == "sent" else record.ended).wait()
        answer.append(record.seen)
    await socket.send_json(answer)
    await socket.receive()


BOUNDS: dict[str, Any] = {"max_messages": 1000, "max_bytes": 2**22, "max_seconds": 60}
routes: dict[str, ASGIApp] = {
    "/control": control,
    "/timeouts/accept": PipelineMiddleware(ponder, Pipeline(Note(), Timeouts(accept=0.5))),
    "/timeouts/idle": served(echo, Timeouts(idle=0.8)),
    "/timeouts/idle_received": served(chat, Timeouts(idle_received=0.8)),
    "/timeouts/idle_sent": served(hang, Timeouts(idle_sent=0.8, cancel=True, handling=1)),
    "/timeouts/lifetime": served(chat, Timeouts(lifetime=0.8)),
    "/timeouts/handling": served(hang, Timeouts(handling=0.8, cancel=True)),
    "/timeouts/send": served(flood, Timeouts(send=0.8, cancel=True)),
    "/timeouts/handling_kept": served(hang_a_while, Timeouts(handling=0.8)),
    "/timeouts/send_kept": served(flood, Timeouts(send=0.8)),
    "/timeouts/codes": served(echo, Timeouts(idle=0.8, codes={"idle": 4100})),
    "/timeouts/many": served(echo, Timeouts(idle=2, handling=5, send=5)),
    "/queue/close": served(count, SendQueue(**BOUNDS)),
    "/queue/time": served(count, SendQueue(max_bytes=2**30, max_messages=10**6, max_seconds=1)),
    "/queue/drop_oldest": served(count, SendQueue(**BOUNDS, on_overflow="drop_oldest")),
    "/queue/drop_newest": served(count, SendQueue(**BOUNDS, on_overflow="drop_newest")),
    "/queue/latest": served(
        count, SendQueue(max_messages=200, on_overflow="latest", max_bytes=2**24, key=first_letters)
    ),
    "/queue/old/drop_oldest": served(
        age, SendQueue(max_bytes=2**30, max_seconds=1, on_overflow="drop_oldest")
    ),
    "/queue/old/drop_newest": served(
        age, SendQueue(max_bytes=2**30, max_seconds=1, on_overflow="drop_newest")
    ),
    "/queue/room": served(broadcast, SendQueue()),
    "/auth/fail": served(log_in, AuthDeadline(recheck=fail_to_tell, every=0.5)),
    "/auth/keep": served(
        log_in, AuthDeadline(recheck=fail_to_tell, every=0.5, on_recheck_error="keep")
    ),
    "/auth/silent": served(echo, AuthDeadline(within=0.8)),
    "/auth": served(log_in, AuthDeadline(within=0.8, recheck=still_welcome, every=0.5)),
    "/auth/many": served(log_in, AuthDeadline(within=3)),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path."""
    path = "/control" if scope["type"] == "lifespan" else scope["path"]
    await routes[path](scope, receive, send)
