"""A route for each guard and policy, and `/control`, which tells what is counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio

from wspipe import Pipeline, PipelineMiddleware, WebSocket, websocket_app
from wspipe_middlewares.connection_limit import ConnectionLimit
from wspipe_middlewares.message_size_limit import MessageSizeLimit, MessageTooBig
from wspipe_middlewares.origin_check import OriginCheck

if TYPE_CHECKING:
    from wspipe import ASGIApp, Composable, Receive, Scope, Send

ran: Counter[str] = Counter()
running: Counter[str] = Counter()
nobody_left: defaultdict[str, anyio.Event] = defaultdict(anyio.Event)


async def echo(socket: WebSocket) -> None:
    """Echo text and binary messages until the client leaves."""
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        ran[socket.scope["path"]] += 1
        await socket.send({**event, "type": "websocket.send"})


async def plain_echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Do the same without a class."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        ran[scope["path"]] += 1
        await send({**event, "type": "websocket.send"})


async def send_as_told(socket: WebSocket) -> None:
    """Send messages of the kinds and sizes that the client asks for, and say what is too big."""
    async for size in socket.iter_json():
        try:
            if size > 0:
                await socket.send_text("x" * size)
            else:
                await socket.send_bytes(b"x" * -size)
        except MessageTooBig as error:
            await socket.send_json([error.kind, error.size, error.limit])


async def send_too_much(socket: WebSocket) -> None:
    """Send what is too big, and do not care."""
    await socket.accept()
    await socket.send_text("x" * 1001)


received = MessageSizeLimit(text_received=1000, binary_received=2000)
sent = MessageSizeLimit(text_received=None, binary_received=None, text_sent=1000, binary_sent=2000)
limits = {
    "/connections/total": ConnectionLimit(2, retry_after=5),
    "/connections/client": ConnectionLimit(per_client=2, proxies=("127.0.0.1",)),
    "/connections/user": ConnectionLimit(per_user=2),
    "/connections/forwarded": ConnectionLimit(
        per_client=2, proxies=("127.0.0.1",), proxy_header="forwarded"
    ),
    "/connections/many": ConnectionLimit(300, per_client=20, proxies=("127.0.0.1",)),
}


def both(path: str, pipeline: Composable) -> dict[str, ASGIApp]:
    """Serve a pipeline around the class and around a plain application."""
    return {
        f"{path}/handler": websocket_app(echo, pipeline=pipeline),
        f"{path}/plain": PipelineMiddleware(plain_echo, pipeline),
    }


@websocket_app
async def control(socket: WebSocket) -> None:
    """Tell how many messages came to a path, and what it holds once nobody is there any more."""
    path = await socket.receive_text()
    if running[path]:
        with anyio.fail_after(20):
            await nobody_left[path].wait()
    limit = limits.get(path.rpartition("/")[0])
    await socket.send_json({"ran": ran[path], "open": limit.open if limit else None})
    await socket.receive()


routes: dict[str, ASGIApp] = {
    "/control": control,
    **both("/origin/own", OriginCheck()),
    **both("/origin/listed", OriginCheck(("https://app.example", "null"), same_origin=False)),
    **both("/origin/missing", Pipeline(OriginCheck(missing="allow"))),
    **both("/size/received", received),
    "/size/sent": websocket_app(send_as_told, pipeline=sent),
    "/size/uncaught": websocket_app(send_too_much, pipeline=sent),
    **{route: app for path, limit in limits.items() for route, app in both(path, limit).items()},
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path, log in whom the query names, and count who is there."""
    path = "/control" if scope["type"] == "lifespan" else scope["path"]
    if path == "/control":
        await control(scope, receive, send)
        return
    scope["user"] = parse_qs(scope["query_string"].decode()).get("user", ["nobody"])[0]
    running[path] += 1
    try:
        await routes[path](scope, receive, send)
    finally:
        running[path] -= 1
        if not running[path]:
            nobody_left.pop(path, anyio.Event()).set()
