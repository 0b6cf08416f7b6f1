"""A Litestar application behaves the same behind a pipeline."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from litestar import Litestar, WebSocket, get, websocket, websocket_listener
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect
from litestar.middleware import DefineMiddleware
from litestar.testing import TestClient

from wspipe import PipelineMiddleware
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# Litestar has no denial response, and closes after every exception, that of a late send included.
EXPECTED = {
    "echo": ["accept", "send", "send"],
    "the client leaves at once": ["accept"],
    "the client vanishes": ["accept", "send", "close"],
    "the client leaves unaccepted": ["accept"],
    "the application closes": ["accept", "close"],
    "the application rejects": ["close"],
    "the application fails unaccepted": ["close"],
    "the application fails": ["accept", "close"],
    "the application sends too late": ["accept", "close"],
}


class ApplicationError(Exception):
    """The application's own failure."""


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept("chat", headers={"x-by": "litestar"})
    while (message := await socket.receive())["type"] == "websocket.receive":
        await socket.send({**message, "type": "websocket.send"})


@websocket("/close")
async def close(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.receive_text()
    await socket.close(4001, "enough")


@websocket("/reject")
async def reject(socket: WebSocket[Any, Any, Any]) -> None:
    raise NotAuthorizedException(detail=f"not you at {socket.url.path}")


@websocket("/fail-early")
async def fail_early(socket: WebSocket[Any, Any, Any]) -> None:
    raise ApplicationError(socket.url.path)


@websocket("/fail")
async def fail(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise ApplicationError(await socket.receive_text())


@websocket("/late")
async def late(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.receive()
    await socket.send_text("too late")


@websocket_listener("/listener")
async def listener(data: str) -> str:
    return data.upper()


@get("/page", sync_to_thread=False)
def page() -> dict[str, str]:
    return {"a": "page"}


@asynccontextmanager
async def lifespan(_: Litestar) -> AsyncIterator[None]:
    yield


def make_app(**options: Any) -> Litestar:
    return Litestar(
        [echo, close, reject, fail_early, fail, late, listener, page],
        lifespan=[lifespan],
        openapi_config=None,
        **options,
    )


app = make_app()


@pytest.mark.anyio
async def test_a_conversation_is_the_same_behind_a_pipeline(scenario: str, compare: Any) -> None:
    visit = await compare(app, scenario)
    assert visit.sent_types == EXPECTED[scenario]


@pytest.mark.anyio
async def test_http_and_lifespan_pass_as_they_are(pass_through: Any) -> None:
    request = {**websocket_scope("/page"), "type": "http", "scheme": "http", "method": "GET"}
    got = await pass_through(app, request, (0, {"type": "http.request", "body": b""}))
    assert got.at_server[-1][1]["body"] == b'{"a":"page"}'
    lived = await pass_through(
        app,
        {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}},
        (0, {"type": "lifespan.startup"}),
        (1, {"type": "lifespan.shutdown"}),
    )
    assert lived.at_server[-1][1] == {"type": "lifespan.shutdown.complete"}


def wrapped_outside(stack: Any) -> Any:
    return stack.wrap(app)


def wrapped_by_litestar(stack: Any) -> Any:
    return make_app(middleware=[DefineMiddleware(PipelineMiddleware, pipeline=stack.pipeline)])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("place", [wrapped_outside, wrapped_by_litestar])
def test_the_test_client_sees_no_difference(stack: Any, place: Any, backend: Any) -> None:
    with TestClient(place(stack), backend=backend) as client:
        assert client.get("/page").json() == {"a": "page"}
        with client.websocket_connect("/echo", subprotocols=["chat"]) as session:
            assert session.accepted_subprotocol == "chat"
            session.send_text("hi")
            assert session.receive_text(timeout=5) == "hi"
        with client.websocket_connect("/listener") as session:
            session.send_text("shout")
            assert session.receive_text(timeout=5) == "SHOUT"
        with client.websocket_connect("/close") as session:
            session.send_text("now")
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive_text(timeout=5)
            assert (closed.value.code, closed.value.detail) == (4001, "enough")
        with pytest.raises(WebSocketDisconnect) as rejected, client.websocket_connect("/reject"):
            pass
        assert (rejected.value.code, rejected.value.detail) == (4500, "not you at /reject")
