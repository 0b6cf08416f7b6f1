"""An application that takes a moment for each message, and drains when it is told to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from wspipe import PipelineMiddleware, WebSocket, websocket_app
from wspipe_middlewares import Drain

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send

drain = Drain(deadline=8, spacing=0.02)
received: defaultdict[str, list[str]] = defaultdict(list)
closed_in_turn: list[int] = []
turn = 0


@websocket_app(pipeline=drain)
async def handler(socket: WebSocket) -> None:
    """Answer each message a moment later."""
    mine = received[socket.query_params["name"]]
    async for text in socket.iter_text():
        mine.append(text)
        await anyio.sleep(0.001 * (len(mine) % 10))
        await socket.send_text(text)


async def plain_application(scope: Scope, receive: Receive, send: Send) -> None:
    """Do the same without a class."""
    mine = received[scope["query_string"].decode().removeprefix("name=")]
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        mine.append(event["text"])
        await anyio.sleep(0.001 * (len(mine) % 10))
        await send({"type": "websocket.send", "text": event["text"]})


@websocket_app
async def control(socket: WebSocket) -> None:
    """Drain, and tell what came of it and what was received."""
    await socket.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_count_turns)
        drained = await drain.drain()
        tasks.cancel_scope.cancel()
    report = {"drained": asdict(drained), "received": received, "turns": closed_in_turn}
    await socket.send_json(report)
    await socket.receive()


async def _count_turns() -> None:
    global turn  # noqa: PLW0603 - the process serves one test
    while True:
        turn += 1
        await checkpoint()


routes = {
    "/control": control,
    "/handlers": handler,
    "/plain": PipelineMiddleware(plain_application, drain),
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path; note in which turn of the event loop each is closed."""

    async def noted_send(event: Event) -> None:
        if event["type"] == "websocket.close":
            closed_in_turn.append(turn)
        await send(event)

    path = "/control" if scope["type"] == "lifespan" else scope["path"]
    await routes[path](scope, receive, noted_send)
