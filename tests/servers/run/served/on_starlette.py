"""An application of Starlette."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.websockets import WebSocket


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"greeting": "started"}
    Path("stopped").touch()  # noqa: ASYNC240 - it serves nobody now


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(request.state.greeting)


async def echo(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]
    await websocket.accept(offered[-1] if offered else None)
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("not you", 401))


app = Starlette(
    routes=[Route("/page", page), WebSocketRoute("/echo", echo), WebSocketRoute("/deny", deny)],
    lifespan=lifespan,
)
