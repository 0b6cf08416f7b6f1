"""`websocket_app`: what it takes, what it serves, and the class that it assembles."""

from __future__ import annotations

import inspect
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    ProtocolError,
    StateValidation,
    WebSocket,
    WebSocketApp,
    on_send,
    websocket_app,
)
from wspipe.testing import connect

if TYPE_CHECKING:
    from wspipe import Event

pytestmark = pytest.mark.anyio


async def greet(socket: WebSocket) -> None:
    """Say hello."""
    await socket.send_text("hello")


class Greeter:
    async def __call__(self, socket: WebSocket) -> None:
        await greet(socket)

    async def method(self, socket: WebSocket) -> None:
        await greet(socket)


async def greet_with(word: str, socket: WebSocket) -> None:
    await socket.send_text(word)


@pytest.mark.parametrize(
    "handler", [greet, Greeter(), Greeter().method, partial(greet), partial(greet_with, "hello")]
)
async def test_any_async_callable_of_one_socket_is_a_handler(handler: Any) -> None:
    for app in (
        websocket_app(handler),
        websocket_app()(handler),
        websocket_app(pipeline=None)(handler),
    ):
        assert isinstance(app, WebSocketApp)
        async with connect(app) as client:
            assert await client.receive() == "hello"


@pytest.mark.parametrize("handler", [lambda _: None, print, 5, Greeter, "greet"])
def test_what_is_not_async_is_no_handler(handler: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="must be an async function"):
        websocket_app(handler)
    with pytest.raises(ImproperlyConfiguredException, match="must be an async function"):
        websocket_app(pipeline=Pipeline())(handler)


def test_what_is_no_pipeline_is_refused_where_the_application_is_made() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="position 0 of the pipeline"):
        websocket_app(greet, pipeline=5)  # type: ignore[arg-type]


def test_the_application_has_the_name_and_the_words_of_its_handler() -> None:
    app = websocket_app(greet)
    assert (app.__name__, app.__doc__, app.handler) == ("greet", "Say hello.", greet)  # type: ignore[attr-defined]


def test_servers_and_frameworks_see_an_async_application() -> None:
    assert inspect.iscoroutinefunction(websocket_app(greet).__call__)


class Sent(list[Any]):
    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        self.append(event)


async def never() -> Event:
    raise AssertionError("nothing should be received")


async def test_http_is_told_to_upgrade() -> None:
    sent = Sent()
    await websocket_app(greet)({"type": "http"}, never, sent.send)
    start, body = sent
    assert (start["type"], start["status"]) == ("http.response.start", 426)
    assert dict(start["headers"])[b"upgrade"] == b"websocket"
    assert body == {"type": "http.response.body", "body": b"This is a WebSocket endpoint.\n"}


async def test_a_scope_of_another_type_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="cannot serve a scope of type 'mqtt'"):
        await websocket_app(greet)({"type": "mqtt"}, never, Sent().send)


def adding(letter: str) -> Any:
    def add(event: Event, _: ASGIConnection) -> Event:
        return {**event, "text": event["text"] + letter}

    return on_send(add)


class Chat(WebSocket[str, int], pipeline=adding("c") | adding("d")):
    """A class with a pipeline of its own."""


async def test_the_pipeline_of_the_application_lies_around_that_of_the_class() -> None:
    sockets: list[WebSocket] = []

    @websocket_app(pipeline=adding("a") | adding("b"), websocket_class=Chat)
    async def app(socket: Chat) -> None:
        sockets.append(socket)
        await socket.send_text("hello ")

    async with connect(app) as client:
        assert await client.receive() == "hello dcba"
    assert isinstance(sockets[0], Chat)
    assert repr(type(sockets[0])) == repr(Chat)
    assert type(sockets[0]).__doc__ == Chat.__doc__
    assert len(app.pipeline) == 5
    assert len(Chat.pipeline) == 3


@pytest.mark.parametrize(
    ("pipeline", "websocket_class", "strict"),
    [
        (None, WebSocket, True),
        (adding("a"), WebSocket, True),
        (StateValidation(strict=False), WebSocket, False),
        (StateValidation(strict=False) | adding("a"), Chat, False),
    ],
)
async def test_the_wire_stage_is_strict_unless_one_is_named(
    pipeline: Any, websocket_class: Any, *, strict: bool
) -> None:
    app = websocket_app(greet, pipeline=pipeline, websocket_class=websocket_class)
    assert app.pipeline.middlewares[0] == StateValidation(strict=strict)
    assert sum(isinstance(stage, StateValidation) for stage in app.pipeline) == 1


async def test_the_wire_stage_of_the_class_holds_where_the_application_names_none() -> None:
    class Lenient(WebSocket, pipeline=StateValidation(strict=False)): ...

    app = websocket_app(greet, pipeline=adding("a"), websocket_class=Lenient)
    assert app.pipeline.middlewares[0] == StateValidation(strict=False)


async def test_a_generic_class_with_its_parameters_will_do() -> None:
    app = websocket_app(greet, websocket_class=WebSocket[str, int])
    async with connect(app) as client:
        assert await client.receive() == "hello"


async def test_the_initialiser_and_the_methods_of_the_class_are_those_of_the_user() -> None:
    class Polite(WebSocket, pipeline=adding("!")):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.greetings: list[int | None] = []
            self.on_handshake(lambda _: self.greetings.append(self.handshake_status))
            self.inner_send = self.send

        async def greet(self) -> None:
            await self.accept()
            await self.inner_send({"type": "websocket.send", "text": f"{self.greetings}"})

    @websocket_app(websocket_class=Polite)
    async def app(socket: Polite) -> None:
        await socket.greet()

    async with connect(app) as client:
        assert await client.receive() == "[101]!"


@pytest.mark.parametrize("begins", [True, False])
async def test_an_initialiser_that_fails_is_raised_on(*, begins: bool) -> None:
    class Failing(WebSocket):
        def __init__(self, *args: Any) -> None:
            if begins:
                super().__init__(*args)
            raise LookupError("no such room")

    ends: list[bool] = []
    with pytest.raises(LookupError, match="no such room"):
        async with connect(websocket_app(greet, websocket_class=Failing)):
            ends.append(True)
    assert ends == []


async def test_the_class_itself_still_runs_its_end_itself() -> None:
    websocket_app(greet, websocket_class=Chat)
    notes: list[str] = []
    socket: WebSocket = Chat({"type": "websocket"})
    socket.exit_stack.callback(notes.append, "ended")
    async with socket:
        pass
    assert notes == ["ended"]


async def test_an_illegal_event_of_the_handler_is_refused_and_the_connection_goes_on() -> None:
    @websocket_app
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(ProtocolError, match=r"sent 'websocket\.accept' while"):
            await socket.send({"type": "websocket.accept"})
        await socket.send_text("still here")

    async with connect(app) as client:
        assert await client.receive() == "still here"
