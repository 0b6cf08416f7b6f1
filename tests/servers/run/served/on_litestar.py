"""An application of Litestar."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litestar import Litestar, MediaType, WebSocket, get, websocket
from litestar.datastructures import State  # noqa: TC002 - Litestar reads the type
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.greeting = "started"
    yield
    Path("stopped").touch()  # noqa: ASYNC240 - it serves nobody now


@get("/page", media_type=MediaType.TEXT, sync_to_thread=False)
def page(state: State) -> str:
    return str(state.greeting)


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocols=offered[-1] if offered else None)
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


@websocket("/deny")
async def deny(socket: WebSocket[Any, Any, Any]) -> None:  # noqa: ARG001 - Litestar reads the name
    raise NotAuthorizedException("not you")


app = Litestar([page, echo, deny], lifespan=[lifespan])
