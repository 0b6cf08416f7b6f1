"""Our `WebSocket` class and `websocket_app` inside the applications of frameworks."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi, websocket
from litestar.exceptions import WebSocketDisconnect as LitestarDisconnect
from litestar.testing import TestClient as LitestarTestClient
from litestar.types import Receive, Scope, Send  # noqa: TC002 - Litestar reads the annotations
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from wspipe import WebSocket, on_send, websocket_app


def shout(event: Any, _: object) -> Any:
    return {**event, "text": event["text"].upper()}


class ShoutingSocket(WebSocket[Any, Any], pipeline=on_send(shout)):
    """A class with a pipeline of its own."""


@websocket_app(websocket_class=ShoutingSocket)
async def describe(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"at": socket.url.path, "with": socket.path_params})


@websocket_app
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text)


@websocket_app
async def refuse(socket: WebSocket) -> None:
    await socket.send_denial_response(402, {"x-price": "1"}, "pay first")


@websocket_app
async def report(socket: WebSocket[SimpleUser, AuthCredentials]) -> None:
    await socket.accept()
    await socket.send_json(
        {
            "user": socket.user.display_name,
            "auth": socket.auth.scopes,
            "app": type(socket.app).__name__,
            "page": socket.url_for("page", number=3),
            "here": socket.url_for("inner:report"),
            "base": str(socket.base_url),
            "query": dict(socket.query_params),
            "cookies": dict(socket.cookies),
            "headers": dict(socket.headers),
        }
    )


class Gatekeeper(AuthenticationBackend):
    """Knows everybody by the same name."""

    async def authenticate(self, _: object) -> tuple[AuthCredentials, SimpleUser]:
        return AuthCredentials(["chat"]), SimpleUser("ada")


async def page(_: object) -> None:
    """Exist, for its URL."""


def test_a_starlette_route_takes_a_websocket_app() -> None:
    app = Starlette(routes=[WebSocketRoute("/rooms/{room:int}", describe)])
    with TestClient(app).websocket_connect("/rooms/7") as session:
        assert session.receive_json() == {"AT": "/ROOMS/7", "WITH": {"ROOM": 7}}
        with pytest.raises(WebSocketDisconnect) as closed:
            session.receive_text()
        assert closed.value.code == 1000


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_a_mounted_websocket_app_echoes_and_asks_http_to_upgrade(framework: Any) -> None:
    app = framework()
    app.mount("/chat", echo)
    client = TestClient(app)
    with client.websocket_connect("/chat/") as session:
        session.send_text("hi")
        assert session.receive_text() == "hi"
    assert client.get("/chat/").status_code == 426


def test_the_test_client_gets_the_denial_response() -> None:
    client = TestClient(Starlette(routes=[WebSocketRoute("/", refuse)]))
    with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/"):
        pass
    assert (denied.value.status_code, denied.value.text) == (402, "pay first")
    assert denied.value.headers["x-price"] == "1"


def test_the_class_reads_what_starlette_puts_into_the_scope() -> None:
    app = Starlette(
        routes=[
            Mount("/inner", routes=[WebSocketRoute("/ws", report, name="report")], name="inner"),
            Route("/pages/{number}", page, name="page"),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=Gatekeeper())],
    )
    client = TestClient(app, cookies={"flavour": "oat"})
    with client.websocket_connect("/inner/ws?a=1&b=") as session:
        reported = session.receive_json()
        assert reported.pop("headers")["user-agent"] == "testclient"
        assert reported == {
            "user": "ada",
            "auth": ["chat"],
            "app": "Starlette",
            "page": "http://testserver/pages/3",
            "here": "ws://testserver/inner/ws",
            "base": "ws://testserver/",
            "query": {"a": "1", "b": ""},
            "cookies": {"flavour": "oat"},
        }


# Litestar would rather have a subclass of its own class in the annotation.
@pytest.mark.filterwarnings("ignore:.*Reserved kwarg 'socket' declared as 'ShoutingSocket'")
def test_litestar_takes_the_class_as_its_websocket_class() -> None:
    @websocket("/{who:str}", name="greeter")
    async def greet(socket: ShoutingSocket) -> None:
        assert type(socket) is ShoutingSocket
        who = socket.path_params["who"]
        assert socket.connection_state == "init"
        await socket.accept(headers={"X-By": "wspipe"})
        await socket.send_json({"hi": who, "back": socket.url_for("greeter", who="you")})
        assert await socket.receive_bytes() == b"\x00"
        await socket.close(4001, "enough")
        assert socket.route_handler.handler_name == str(greet.handler_name)
        assert socket.connection_state == "disconnect"

    app = Litestar([greet], websocket_class=ShoutingSocket, openapi_config=None)  # type: ignore[arg-type]
    with LitestarTestClient(app).websocket_connect("/ada") as session:
        assert (b"x-by", b"wspipe") in session.extra_headers
        assert session.receive_json(timeout=5) == {
            "HI": "ADA",
            "BACK": "WS://TESTSERVER.LOCAL/YOU",
        }
        session.send_bytes(b"\x00")
        with pytest.raises(LitestarDisconnect) as closed:
            session.receive(timeout=5)
        assert (closed.value.code, closed.value.detail) == (4001, "enough")


def test_litestar_mounts_a_websocket_app() -> None:
    @asgi("/chat", is_mount=True, copy_scope=True)
    async def chat(scope: Scope, receive: Receive, send: Send) -> None:
        await echo(scope, receive, send)

    with LitestarTestClient(Litestar([chat])).websocket_connect("/chat") as session:
        session.send_text("hi")
        assert session.receive_text(timeout=5) == "hi"
