"""An application of Quart."""

from __future__ import annotations

from pathlib import Path

from quart import Quart, abort, websocket

app = Quart("on_quart")
state: dict[str, str] = {}


@app.before_serving
async def start() -> None:
    state["greeting"] = "started"


@app.after_serving
async def stop() -> None:
    Path("stopped").touch()  # noqa: ASYNC240 - it serves nobody now


@app.get("/page")
async def page() -> str:
    return state["greeting"]


@app.websocket("/echo")
async def echo() -> None:
    offered = websocket.requested_subprotocols
    await websocket.accept(subprotocol=offered[-1] if offered else None)
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/deny")
async def deny() -> None:
    abort(401)
