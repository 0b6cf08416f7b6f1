"""A Starlette application behaves the same behind a pipeline."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from wspipe import PipelineMiddleware
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

EXPECTED = {
    "echo": ["accept", "send", "send"],
    "the client leaves at once": ["accept"],
    "the client vanishes": ["accept", "send"],
    "the client leaves unaccepted": ["accept"],
    "the application closes": ["accept", "close"],
    "the application rejects": ["close"],
    "the application denies": ["http.response.start", "http.response.body"],
    "the application fails unaccepted": [],
    "the application fails": ["accept"],
    "the application sends too late": ["accept", "send"],
}


class ApplicationError(Exception):
    """The application's own failure."""


class Echo(WebSocketEndpoint):
    """Starlette's way to write a handler as a class."""

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept("chat", headers=[(b"x-by", b"starlette")])

    async def on_receive(self, websocket: WebSocket, data: str | bytes) -> None:
        send = websocket.send_text if isinstance(data, str) else websocket.send_bytes
        await send(data)  # type: ignore[arg-type]


async def close(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    await websocket.close(4001, "enough")


async def reject(websocket: WebSocket) -> None:
    await websocket.close(4003)


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("not you", 401))


async def fail_early(_: WebSocket) -> None:
    raise ApplicationError("before the accept")


async def fail(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    raise ApplicationError("after a message")


async def late(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive()
    await websocket.send_text("too late")


async def page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[dict[str, str]]:
    yield {"from": "the lifespan"}


app = Starlette(
    routes=[
        WebSocketRoute("/echo", Echo),
        WebSocketRoute("/close", close),
        WebSocketRoute("/reject", reject),
        WebSocketRoute("/deny", deny),
        WebSocketRoute("/fail-early", fail_early),
        WebSocketRoute("/fail", fail),
        WebSocketRoute("/late", late),
        Route("/page", page),
    ],
    lifespan=lifespan,
)


@pytest.mark.anyio
async def test_a_conversation_is_the_same_behind_a_pipeline(scenario: str, compare: Any) -> None:
    visit = await compare(app, scenario)
    assert visit.sent_types == EXPECTED[scenario]


@pytest.mark.anyio
async def test_starlette_finds_the_errors_of_the_server_and_of_the_handler(compare: Any) -> None:
    too_late = await compare(app, "the application sends too late")
    assert isinstance(too_late.error, WebSocketDisconnect)
    assert isinstance(too_late.error.__context__, OSError)
    failed = await compare(app, "the application fails")
    assert isinstance(failed.error, ApplicationError)


@pytest.mark.anyio
async def test_http_and_lifespan_pass_as_they_are(pass_through: Any) -> None:
    request = {**websocket_scope("/page"), "type": "http", "scheme": "http", "method": "GET"}
    got = await pass_through(app, request, (0, {"type": "http.request", "body": b""}))
    assert got.at_server[-1][1]["body"] == b"a page"
    lived = await pass_through(
        app,
        {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}},
        (0, {"type": "lifespan.startup"}),
        (1, {"type": "lifespan.shutdown"}),
    )
    assert [event["type"] for _, event in lived.at_server[1::2]] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def wrapped_outside(stack: Any) -> Any:
    return stack.wrap(app)


def wrapped_by_starlette(stack: Any) -> Any:
    outer = Starlette(routes=[Mount("/", app)])
    outer.add_middleware(PipelineMiddleware, pipeline=stack.pipeline)
    return outer


def wrapped_in_a_mount(stack: Any) -> Any:
    return Starlette(routes=[Mount("/", stack.wrap(app))])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("place", [wrapped_outside, wrapped_by_starlette, wrapped_in_a_mount])
def test_the_test_client_sees_no_difference(stack: Any, place: Any, backend: Any) -> None:
    with TestClient(place(stack), backend=backend) as client:
        assert client.get("/page").text == "a page"
        with client.websocket_connect("/echo", subprotocols=["chat"]) as session:
            assert session.accepted_subprotocol == "chat"
            assert session.extra_headers == [(b"x-by", b"starlette")]
            session.send_json({"a": 1})
            assert session.receive_json() == {"a": 1}
            session.send_bytes(b"\x00")
            assert session.receive_bytes() == b"\x00"
        with client.websocket_connect("/close") as session:
            session.send_text("now")
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive_text()
            assert (closed.value.code, closed.value.reason) == (4001, "enough")
        with pytest.raises(WebSocketDisconnect) as rejected, client.websocket_connect("/reject"):
            pass
        assert rejected.value.code == 4003
        with pytest.raises(WebSocketDenialResponse) as denied, client.websocket_connect("/deny"):
            pass
        assert (denied.value.status_code, denied.value.text) == (401, "not you")
        with pytest.raises(ApplicationError), client.websocket_connect("/fail-early"):
            pass


def test_an_event_out_of_turn_is_a_runtime_error_as_without_a_pipeline(stack: Any) -> None:
    for application in (app, stack.wrap(app)):
        with (
            pytest.raises(RuntimeError, match=r"websocket\.connect"),
            TestClient(application).websocket_connect("/late") as session,
        ):
            session.send({"type": "websocket.connect"})
