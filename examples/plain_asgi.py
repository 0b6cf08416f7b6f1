"""Put a pipeline around an application without a framework, which tells its own routes.

Run it from this folder:

    uvicorn plain_asgi:app
"""

from __future__ import annotations

from wspipe import PipelineMiddleware, Receive, Scope, Send
from wspipe_middlewares import Logging


async def room(receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def deny(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def lifespan(receive: Receive, send: Send) -> None:
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    elif scope["path"].startswith("/rooms/"):
        scope["wspipe.route"] = "/rooms/{room}"
        await room(receive, send)
    else:
        await deny(receive, send)


app = PipelineMiddleware(dispatch, pipeline=Logging())
