"""`ASGIConnection`: what it knows of itself and of the scope."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from wspipe import (
    Address,
    ASGIConnection,
    ImproperlyConfiguredException,
    PipelineMiddleware,
    Traffic,
)
from wspipe.testing import connect, websocket_scope

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from wspipe import Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio


def test_the_id_is_random_and_stays() -> None:
    one, two = ASGIConnection({}), ASGIConnection({})
    assert len(one.id) == 16
    assert set(one.id) <= set("0123456789abcdef")
    assert one.id == one.id != two.id


async def test_a_connection_made_without_ends_says_so() -> None:
    connection: ASGIConnection = ASGIConnection({})
    with pytest.raises(ImproperlyConfiguredException, match="made without a receive"):
        await connection.receive()
    with pytest.raises(ImproperlyConfiguredException, match=r"without a send.*websocket\.close"):
        await connection.send({"type": "websocket.close"})


async def test_a_connection_without_a_pipeline_says_so_and_is_in_its_initial_state() -> None:
    connection: ASGIConnection = ASGIConnection({})
    assert connection.connection_state == "init"
    assert connection.traffic == Traffic()
    assert (connection.close_code, connection.close_reason, connection.closed_by) == (
        None,
        "",
        None,
    )
    with pytest.raises(ImproperlyConfiguredException, match="no pipeline is around"):
        await connection.close(by="me")
    with pytest.raises(ImproperlyConfiguredException, match="no pipeline is around"):
        connection.on_handshake(print)


def test_connections_can_be_referred_to_weakly() -> None:
    connection: ASGIConnection = ASGIConnection({})
    assert connection in weakref.WeakSet([connection])


def test_the_scope_is_read_on_first_use_only() -> None:
    scope = {**websocket_scope("/x?a=1"), "headers": [(b"host", b"here"), (b"cookie", b"c=1")]}
    connection: ASGIConnection = ASGIConnection(scope)
    assert str(connection.url) == "ws://here/x?a=1"
    assert str(connection.base_url) == "ws://here/"
    for name in ("url", "base_url", "headers", "query_params", "cookies"):
        assert getattr(connection, name) is getattr(connection, name)


@pytest.mark.parametrize(
    ("client", "address"),
    [(("10.0.0.1", 5), Address("10.0.0.1", 5)), (["::1", 5], Address("::1", 5)), (None, None)],
)
def test_the_client_is_an_address_where_the_server_tells(client: Any, address: Any) -> None:
    assert ASGIConnection({"client": client}).client == address


def test_the_state_and_the_path_params_are_those_of_the_scope() -> None:
    scope: Scope = {"path_params": {"room": 5}}
    connection: ASGIConnection = ASGIConnection(scope)
    assert connection.path_params == {"room": 5}
    connection.state.greeting = "hello"
    assert scope["state"] == {"greeting": "hello"}
    assert connection.state.greeting == "hello"
    assert ASGIConnection({}).path_params == {}


@pytest.mark.parametrize("name", ["app", "route_handler", "user", "auth", "session"])
def test_what_nothing_has_set_raises_and_what_something_set_is_given(name: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=f"'{name}' is not in the scope"):
        getattr(ASGIConnection({}), name)
    value = object()
    assert getattr(ASGIConnection({name: value}), name) is value


def test_the_session_can_be_set_and_cleared() -> None:
    connection: ASGIConnection = ASGIConnection({})
    connection.set_session({"visits": 1})
    assert connection.session == {"visits": 1}
    connection.clear_session()
    assert connection.session == connection.scope["session"] == {}


def test_the_logger_carries_the_id() -> None:
    connection: ASGIConnection = ASGIConnection({})
    with structlog.testing.capture_logs() as lines:
        connection.logger.info("hello", answer=42)
    (line,) = lines
    assert (line["event"], line["connection_id"], line["answer"]) == ("hello", connection.id, 42)


async def test_the_url_of_a_route_comes_from_starlettes_router() -> None:
    urls: list[str] = []

    def note_url(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def noting_send(event: Event) -> None:
            urls.append(connection.url_for("chat:room", number=5))
            await send(event)

        return receive, noting_send

    async def room(socket: WebSocket) -> None:
        await socket.accept()

    rooms = Mount("/chat", name="chat", routes=[WebSocketRoute("/{number:int}", room, name="room")])
    app = PipelineMiddleware(Starlette(routes=[rooms]), pipeline=note_url)
    async with connect(app, "/chat/1"):
        pass
    assert urls == ["ws://testserver/chat/5"]


class HTTPPath(str):
    """The path of an HTTP route, as Starlette gives it."""

    __slots__ = ()
    protocol = "http"


@pytest.mark.parametrize(("scheme", "expected"), [("ws", "http"), ("wss", "https")])
def test_the_url_of_an_http_route_is_an_http_url(scheme: str, expected: str) -> None:
    class OfPages:
        def url_path_for(self, name: str) -> str:
            return HTTPPath(f"/{name}")

    connection: ASGIConnection = ASGIConnection(
        {**websocket_scope(), "scheme": scheme, "router": OfPages()}
    )
    assert connection.url_for("page") == f"{expected}://testserver/page"


class Router:
    def url_path_for(self, name: str, **params: Any) -> str:
        return f"/{name}/{params['number']}"

    route_reverse = url_path_for


@pytest.mark.parametrize(
    "scope", [{"router": Router()}, {"app": Router()}, {"app": Router(), "router": None}]
)
@pytest.mark.parametrize(
    ("root_path", "root"), [("", ""), ("/api", "/api"), ("/an api/", "/an%20api")]
)
def test_the_url_of_a_route_is_absolute_and_below_the_root(
    scope: Scope, root_path: str, root: str
) -> None:
    connection: ASGIConnection = ASGIConnection(
        {**websocket_scope(), "scheme": "wss", "root_path": root_path, **scope}
    )
    assert connection.url_for("room", number=5) == f"wss://testserver{root}/room/5"


def test_without_a_router_there_are_no_urls_of_routes() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="the URL of 'room': no router"):
        ASGIConnection(websocket_scope()).url_for("room")
