"""The demo's application: a chat room behind a pipeline, written as your own might be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from anyio import create_task_group, move_on_after

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    Event,
    Pipeline,
    ProtocolError,
    Receive,
    Scope,
    Send,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_receive,
    websocket_app,
)
from wspipe.cli import web
from wspipe.cli.room import PATIENCE, Room
from wspipe.cli.watch import Watch
from wspipe_middlewares import Logging, Metrics, RateLimit, Tracing  # noqa: TID251 - it stands on both
from wspipe_middlewares.names import ROUTE_KEY  # noqa: TID251 - likewise

# The pipeline: a guard and an interceptor of our own, among observers that read the engine's tally
# and a limit that people who chat never meet.


@dataclass(frozen=True, slots=True)
class Guard(Composable):
    """Deny whatever does not come from the demo's own page."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap nothing: who is in needs no guarding."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Decide before the handler sees the connection."""
        if connection.scope["path"] != "/chat":
            raise ConnectionRejected(404, body="The chat is at /chat.\n")
        origin, host = connection.headers.get("origin"), connection.headers.get("host")
        if origin is not None and origin.partition("://")[2] != host:
            raise ConnectionRejected(403, body="The chat is for this site's own page.\n")


@on_receive
def smile(event: Event, _: ASGIConnection) -> Event:
    """Turn :) into 🙂 before the handler sees it."""
    text = event.get("text")
    return event if text is None else {**event, "text": text.replace(":)", "🙂")}


room: Room = Room()
watch: Watch = Watch()
limit: RateLimit = RateLimit("300/second", burst=200, key="connection")
pipeline: Pipeline = (
    Logging()
    | Tracing(span="connection")
    | Metrics(message_size=True, process_duration=True, send_duration=True)
    | Guard()
    | watch
    | limit
    | smile
)


# The handler: one call for each connection, from the accept to the end.


@websocket_app(pipeline=pipeline)
async def chat(socket: WebSocket) -> None:
    """Let a tab take part in the room."""
    await socket.accept()
    await socket.send_json(
        {
            "type": "welcome",
            "id": socket.id,
            "pipeline": [repr(stage) for stage in socket.pipeline],
            "limit": {"rate": limit.rate, "burst": limit.burst},
        }
    )
    try:
        async with room.seat(socket):
            async for message in socket.iter_json():
                await answer(socket, message)
    except WebSocketDisconnect:
        return  # it left before it had its answer
    except WebSocketException as error:
        await socket.close(error.code, error.detail)  # it sent something that is not JSON


async def answer(socket: WebSocket, message: object) -> None:
    """Do what a message asks for."""
    match message:
        case {"type": "say", "name": str(name), "text": str(text)}:
            await room.tell({"type": "said", "name": name, "text": text})
        case {"type": "flood", "number": int(number)}:
            await socket.send_json({"type": "echo", "number": number})
        case {"type": "illegal"}:
            try:
                await socket.send({"type": "websocket.accept"})
            except ProtocolError as error:
                await socket.send_json({"type": "refusal", "detail": error.detail})
        case _:
            await socket.send_json({"type": "unknown"})


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the page and, at /chat, what it talks to."""
    if scope["type"] == "http":
        await web.respond(scope["path"], watch.visits, send)
    else:
        if scope["path"] == "/chat":
            scope[ROUTE_KEY] = "/chat"  # a framework's router would tell
        await chat(scope, receive, send)


async def close_all() -> None:
    """Close the open connections, as a server that stops should."""
    with move_on_after(PATIENCE):
        async with create_task_group() as tasks:
            for visit in watch.visits.open.values():
                goodbye = partial(visit.connection.close, 1001, "the demo was stopped", by="server")
                tasks.start_soon(goodbye)
