"""Put a pipeline around an application of a framework; Starlette stands for any.

Run it from this folder:

    uvicorn around_starlette:app
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from wspipe import PipelineMiddleware
from wspipe_middlewares import Logging


async def home(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("The WebSocket is at /echo.\n")


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(message)


starlette = Starlette(routes=[Route("/", home), WebSocketRoute("/echo", echo)])
app = PipelineMiddleware(starlette, pipeline=Logging())
