"""The same echo with each WebSocket class, and in each framework."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import django.conf
import fastapi
import litestar
import litestar.exceptions
import starlette.websockets

import wspipe

django.conf.settings.configure()

from channels.generic.websocket import (  # noqa: E402 - needs Django's settings
    AsyncJsonWebsocketConsumer,
    AsyncWebsocketConsumer,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.in_process.raw import Kind
    from wspipe import ASGIApp, Middleware

DISCONNECTS = (
    wspipe.WebSocketDisconnect,
    starlette.websockets.WebSocketDisconnect,
    litestar.exceptions.WebSocketDisconnect,
)


# All the classes have the same methods, save for Channels' consumers.


async def text_with(socket: Any) -> None:
    """Echo text through a WebSocket class."""
    await socket.accept()
    with suppress(*DISCONNECTS):
        while True:
            await socket.send_text(await socket.receive_text())


async def binary_with(socket: Any) -> None:
    """Echo bytes through a WebSocket class."""
    await socket.accept()
    with suppress(*DISCONNECTS):
        while True:
            await socket.send_bytes(await socket.receive_bytes())


async def json_with(socket: Any) -> None:
    """Echo JSON through a WebSocket class."""
    await socket.accept()
    with suppress(*DISCONNECTS):
        while True:
            await socket.send_json(await socket.receive_json())


WITH: dict[Kind, Callable[[Any], Awaitable[None]]] = {
    "text": text_with,
    "binary": binary_with,
    "json": json_with,
}


def ours(kind: Kind, pipeline: Middleware | None = None) -> ASGIApp:
    """Give the echo with wspipe's class.

    Args:
        kind: What it echoes.
        pipeline: The stages besides the default chain.
    """
    return wspipe.websocket_app(WITH[kind], pipeline=pipeline)


def with_starlette(kind: Kind) -> ASGIApp:
    """Give the echo with Starlette's class and nothing else of Starlette."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await WITH[kind](starlette.websockets.WebSocket(scope, receive, send))

    return app


def with_fastapi(kind: Kind) -> ASGIApp:
    """Give the echo as a route of FastAPI."""
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def echo(socket: fastapi.WebSocket) -> None:
        await WITH[kind](socket)

    return app


def with_litestar(kind: Kind) -> ASGIApp:
    """Give the echo as a route of Litestar."""

    @litestar.websocket("/")
    async def echo(socket: litestar.WebSocket[Any, Any, Any]) -> None:
        await WITH[kind](socket)

    return litestar.Litestar([echo])


class Consumer(AsyncWebsocketConsumer):
    """Echoes text and bytes."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Answer a message."""
        await self.send(text_data=text_data, bytes_data=bytes_data)


class JsonConsumer(AsyncJsonWebsocketConsumer):
    """Echoes JSON."""

    async def receive_json(self, content: Any, **_: Any) -> None:
        """Answer a message."""
        await self.send_json(content)


def with_channels(kind: Kind) -> ASGIApp:
    """Give the echo as a consumer of Channels."""
    app: ASGIApp = (JsonConsumer if kind == "json" else Consumer).as_asgi()
    return app


PEERS: dict[str, Callable[[Kind], ASGIApp]] = {
    "Starlette": with_starlette,
    "FastAPI": with_fastapi,
    "Litestar": with_litestar,
    "Channels": with_channels,
}
