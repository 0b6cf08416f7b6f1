"""The application that the servers serve: each conversation bare and behind a pipeline.

The conversations are plain ASGI, and handle no error, so that what they are given shows.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from wspipe import PipelineMiddleware, StateValidation, WebSocket, websocket_app
from wspipe_middlewares import MessageSizeLimit, Recovery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Event, Receive, Scope, Send

PIPELINE = (
    StateValidation(strict=True)
    | MessageSizeLimit(text_received=2**18, binary_received=2**18)
    | Recovery()
)
"""What the last column of the tables has around the application."""

PATIENCE = 10.0
"""Seconds that the end of a conversation is waited for."""


@dataclass
class Record:
    """What an application was given in one conversation, in the words of the tables."""

    notes: list[str] = field(default_factory=list)
    may_go_on: anyio.Event = field(default_factory=anyio.Event)
    ended: anyio.Event = field(default_factory=anyio.Event)


records: defaultdict[str, Record] = defaultdict(Record)


@dataclass
class Talk:
    """One conversation; it notes what it is given."""

    record: Record
    server_receive: Receive
    server_send: Send

    async def receive(self) -> Event:
        """Take an event, and note a disconnect."""
        event = await self.server_receive()
        if event["type"] == "websocket.disconnect":
            reason = ", a reason" if event.get("reason") else ""
            self.record.notes.append(f"{event.get('code')}{reason}")
        return event

    async def send(self, kind: str, **content: Any) -> None:
        """Send an event, and note what it raises."""
        try:
            await self.server_send({"type": f"websocket.{kind}", **content})
        except Exception as error:
            self.record.notes.append(f"`{type(error).__name__}`")
            raise

    async def accept(self) -> None:
        """Take the connect event and accept."""
        await self.receive()
        await self.send("accept")


async def raise_before_accept(talk: Talk) -> None:
    """Raise instead of an answer."""
    await talk.receive()
    raise RuntimeError("on purpose")


async def raise_after_accept(talk: Talk) -> None:
    """Raise in the middle."""
    await talk.accept()
    raise RuntimeError("on purpose")


async def raise_after_disconnect(talk: Talk) -> None:
    """Raise when the client has closed."""
    await talk.accept()
    await talk.receive()
    raise RuntimeError("on purpose")


async def return_before_accept(talk: Talk) -> None:
    """Return instead of an answer."""
    await talk.receive()


async def return_after_accept(talk: Talk) -> None:
    """Return in the middle."""
    await talk.accept()


async def accept_with_header(talk: Talk) -> None:
    """Accept with a header."""
    await talk.receive()
    await talk.send("accept", headers=[(b"x-answer", b"yes")])
    await talk.send("close", code=1000)


async def deny_with_body(talk: Talk) -> None:
    """Deny with a body, without a look at what the server offers."""
    await talk.receive()
    await talk.send("http.response.start", status=451, headers=[(b"content-length", b"2")])
    await talk.send("http.response.body", body=b"no")


async def close_twice(talk: Talk) -> None:
    """Close, and close again."""
    await talk.accept()
    await talk.send("close", code=4000)
    await talk.send("close", code=4001)


async def close_with_long_reason(talk: Talk) -> None:
    """Close with a reason of 124 bytes."""
    await talk.accept()
    await talk.send("close", code=4000, reason="x" * 124)


async def close_with_1005(talk: Talk) -> None:
    """Close with a code that no frame may carry."""
    await talk.accept()
    await talk.send("close", code=1005)


async def send_text_and_bytes(talk: Talk) -> None:
    """Send a message that is text and bytes."""
    await talk.accept()
    await talk.send("send", text="text", bytes=b"bytes")
    await talk.send("close", code=1000)


async def send_from_two_tasks(talk: Talk) -> None:
    """Send from two tasks at once."""
    await talk.accept()

    async def send(name: str) -> None:
        for number in range(20):
            await talk.send("send", text=f"{name}{number} ".ljust(2**14, name))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send, "a")
        tasks.start_soon(send, "b")
    await talk.send("close", code=1000)


async def listen(talk: Talk) -> None:
    """Receive until the client leaves."""
    await talk.accept()
    while (await talk.receive())["type"] == "websocket.receive":
        pass


async def send_after_disconnect(talk: Talk) -> None:
    """Receive until the client has left, and send all the same."""
    await listen(talk)
    talk.record.notes.clear()
    await talk.send("send", text="is anyone there?")


async def send_blindly(talk: Talk) -> None:
    """Send when told so, without a look at what came meanwhile."""
    await talk.accept()
    await talk.record.may_go_on.wait()
    for _ in range(10):
        await talk.send("send", text="is anyone there?")


async def measure(talk: Talk) -> None:
    """Receive one message, and close."""
    await talk.accept()
    event = await talk.receive()
    if event["type"] == "websocket.receive":
        talk.record.notes.append("the message")
        await talk.send("close", code=1000)


CONVERSATIONS: dict[str, Callable[[Talk], Awaitable[None]]] = {
    conversation.__name__: conversation
    for conversation in (
        raise_before_accept,
        raise_after_accept,
        raise_after_disconnect,
        return_before_accept,
        return_after_accept,
        accept_with_header,
        deny_with_body,
        close_twice,
        close_with_long_reason,
        close_with_1005,
        send_text_and_bytes,
        send_from_two_tasks,
        listen,
        send_after_disconnect,
        send_blindly,
        measure,
    )
}


async def converse(scope: Scope, receive: Receive, send: Send) -> None:
    """Hold the conversation that the path names, on the record that the query names."""
    record = records[scope["query_string"].decode()]
    name = scope["path"].rpartition("/")[2]
    try:
        await CONVERSATIONS[name](Talk(record, receive, send))
    finally:
        record.ended.set()


@websocket_app
async def control(socket: WebSocket) -> None:
    """Tell what a conversation was given, once it has ended; `go` lets it go on first."""
    command, name = (await socket.receive_text()).split()
    record = records[name]
    if command == "go":
        record.may_go_on.set()
    with anyio.move_on_after(PATIENCE):
        await record.ended.wait()
    await socket.send_json(record.notes)
    await socket.receive()


wrapped = PipelineMiddleware(converse, PIPELINE)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path: `/bare/...`, `/wspipe/...` or `/control`."""
    path = "/control" if scope["type"] == "lifespan" else scope["path"]
    if path == "/control":
        await control(scope, receive, send)
    else:
        await (wrapped if path.startswith("/wspipe/") else converse)(scope, receive, send)
