"""An application of Django Channels behaves the same behind a pipeline."""

from __future__ import annotations

from typing import Any

import django
import pytest
from django.conf import settings

settings.configure(
    DATABASES={},
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()

from channels.exceptions import AcceptConnection, DenyConnection  # noqa: E402 - needs the settings
from channels.generic.http import AsyncHttpConsumer  # noqa: E402 - likewise
from channels.generic.websocket import (  # noqa: E402 - likewise
    AsyncWebsocketConsumer,
    JsonWebsocketConsumer,
)
from channels.layers import get_channel_layer  # noqa: E402 - likewise
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402 - likewise
from channels.testing import HttpCommunicator, WebsocketCommunicator  # noqa: E402 - likewise
from django.urls import path  # noqa: E402 - likewise

from wspipe.testing import websocket_scope  # noqa: E402 - after the settings, like the others

pytestmark = pytest.mark.asyncio

# Channels denies with a plain close, and the consumer lives until the server's disconnect.
EXPECTED = {
    "echo": ["accept", "send", "send"],
    "the client leaves at once": ["accept"],
    "the client vanishes": ["accept", "send"],
    "the client leaves unaccepted": ["accept"],
    "the application closes": ["accept", "close"],
    "the application rejects": ["close"],
    "the application fails unaccepted": [],
    "the application fails": ["accept"],
    "the application sends too late": ["accept", "send"],
}


class ApplicationError(Exception):
    """The application's own failure."""


class Echo(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.accept("chat", headers=[(b"x-by", b"channels")])

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.send(text_data=text_data, bytes_data=bytes_data)


class Close(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        await self.close(4001, f"enough of {text_data or bytes_data!r}")


class Reject(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise DenyConnection


class FailEarly(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise ApplicationError("before the accept")


class Fail(AsyncWebsocketConsumer):
    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        raise ApplicationError(text_data or bytes_data)


class Late(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        raise AcceptConnection

    async def disconnect(self, code: int) -> None:
        await self.send(f"too late for {code}")


class Group(JsonWebsocketConsumer):
    """A synchronous consumer, which runs in a thread, in a group of the channel layer."""

    groups = ("everybody",)

    def receive_json(self, content: Any) -> None:
        self.send_json({"got": content})

    def announce(self, message: Any) -> None:
        self.send_json(message["content"])


class Page(AsyncHttpConsumer):
    async def handle(self, body: bytes) -> None:
        await self.send_response(200, b"a page for " + body)


websockets = URLRouter(
    [
        path("echo", Echo.as_asgi()),
        path("close", Close.as_asgi()),
        path("reject", Reject.as_asgi()),
        path("fail-early", FailEarly.as_asgi()),
        path("fail", Fail.as_asgi()),
        path("late", Late.as_asgi()),
        path("group", Group.as_asgi()),
    ]
)
app = ProtocolTypeRouter(
    {"http": URLRouter([path("page", Page.as_asgi())]), "websocket": websockets}
)


async def test_a_conversation_is_the_same_behind_a_pipeline(scenario: str, compare: Any) -> None:
    visit = await compare(app, scenario)
    assert visit.sent_types == EXPECTED[scenario]


async def test_http_and_lifespan_pass_as_they_are(pass_through: Any) -> None:
    request = {**websocket_scope("/page"), "type": "http", "scheme": "http", "method": "POST"}
    got = await pass_through(app, request, (0, {"type": "http.request", "body": b"you"}))
    assert got.at_server[-1][1]["body"] == b"a page for you"
    lived = await pass_through(app, {"type": "lifespan"}, (0, {"type": "lifespan.startup"}))
    assert isinstance(lived.error, ValueError), "Channels knows no lifespan"


def wrapped_outside(stack: Any) -> Any:
    return stack.wrap(app)


def wrapped_in_the_router(stack: Any) -> Any:
    return ProtocolTypeRouter({**app.application_mapping, "websocket": stack.wrap(websockets)})


@pytest.mark.parametrize("place", [wrapped_outside, wrapped_in_the_router])
async def test_the_communicators_see_no_difference(stack: Any, place: Any) -> None:
    application = place(stack)
    response = await HttpCommunicator(application, "POST", "/page", b"you").get_response()
    assert response["body"] == b"a page for you"

    echo = WebsocketCommunicator(application, "/echo", subprotocols=["chat"])
    assert await echo.connect() == (True, "chat")
    assert echo.response_headers == [(b"x-by", b"channels")]
    await echo.send_to(bytes_data=b"\x00")
    assert await echo.receive_from() == b"\x00"
    await echo.disconnect()

    close = WebsocketCommunicator(application, "/close")
    assert await close.connect() == (True, None)
    await close.send_to(text_data="this")
    assert await close.receive_output() == {
        "type": "websocket.close",
        "code": 4001,
        "reason": "enough of 'this'",
    }
    await close.disconnect()

    reject = WebsocketCommunicator(application, "/reject")
    assert await reject.connect() == (False, 1000)
    await reject.disconnect()

    with pytest.raises(ApplicationError):
        await WebsocketCommunicator(application, "/fail-early").connect()


async def test_a_group_reaches_a_synchronous_consumer(stack: Any) -> None:
    client = WebsocketCommunicator(stack.wrap(app), "/group")
    assert await client.connect() == (True, None)
    await client.send_json_to({"n": 1})
    assert await client.receive_json_from() == {"got": {"n": 1}}
    await get_channel_layer().group_send("everybody", {"type": "announce", "content": [1, 2]})
    assert await client.receive_json_from() == [1, 2]
    await client.disconnect()
