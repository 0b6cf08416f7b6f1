"""An application of FastAPI."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

state: dict[str, Any] = {}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    state["greeting"] = "started"
    yield
    Path("stopped").touch()  # noqa: ASYNC240 - it serves nobody now


app = FastAPI(lifespan=lifespan)


@app.get("/page", response_class=PlainTextResponse)
async def page() -> str:
    return str(state["greeting"])


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    offered = websocket.scope["subprotocols"]
    await websocket.accept(offered[-1] if offered else None)
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


@app.websocket("/deny")
async def deny(_: WebSocket) -> None:
    raise WebSocketException(4003, "not you")
