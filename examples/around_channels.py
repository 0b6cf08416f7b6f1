"""Put a pipeline around the consumers of Channels, and tell it the patterns of their routes.

Run it from this folder:

    uvicorn around_channels:app
"""

from __future__ import annotations

import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path

from wspipe import ASGIConnection, PipelineMiddleware, Receive, Scope, Send
from wspipe_middlewares import Logging

if not settings.configured:  # a project of Django has a module of settings instead
    settings.configure(DATABASES={})
    django.setup()


class Room(AsyncWebsocketConsumer):
    """The consumer of one connection."""

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Send back what came."""
        room = self.scope["url_route"]["kwargs"]["room"]
        await self.send(f"room {room}: {text_data or bytes_data!r}")


async def lifespan(_: Scope, receive: Receive, send: Send) -> None:
    """Answer the server's startup and shutdown, of which Channels knows nothing."""
    for step in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{step}.complete"})


def tell_route(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Look for the route that Channels will choose."""
    for route in routes:
        if route.pattern.match(connection.scope["path"].lstrip("/")):
            connection.scope["wspipe.route"] = f"/{route.pattern}"
            break
    return receive, send


routes = [path("rooms/<int:room>", Room.as_asgi())]
consumers = PipelineMiddleware(URLRouter(routes), pipeline=tell_route | Logging())
app = ProtocolTypeRouter({"websocket": consumers, "lifespan": lifespan})
