"""An application of Django Channels, which has no lifespan."""

from __future__ import annotations

import django
from channels.exceptions import DenyConnection
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF="on_channels")
django.setup()


def page(_: object) -> HttpResponse:
    return HttpResponse("started")


class Echo(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        offered = self.scope["subprotocols"]
        await self.accept(offered[-1] if offered else None)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Deny(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise DenyConnection


urlpatterns = [path("page", page)]
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path("echo", Echo.as_asgi()), path("deny", Deny.as_asgi())]),
    }
)
