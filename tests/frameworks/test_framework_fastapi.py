"""A FastAPI application behaves the same behind a pipeline."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Response, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.testclient import TestClient

from wspipe import PipelineMiddleware
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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
    "a parameter is refused": ["close"],
    "the application sends too late": ["accept", "send"],
}


class ApplicationError(Exception):
    """The application's own failure."""


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield


app = FastAPI(lifespan=lifespan)


async def accepted(websocket: WebSocket) -> AsyncIterator[WebSocket]:
    """Be a dependency with a cleanup, which FastAPI runs around the handler."""
    await websocket.accept()
    yield websocket


Accepted = Annotated[Any, Depends(accepted)]


async def nobody() -> None:
    raise WebSocketException(code=4003, reason="not you")


@app.websocket("/echo")
async def echo(websocket: WebSocket) -> None:
    await websocket.accept("chat", headers=[(b"x-by", b"fastapi")])
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send({**message, "type": "websocket.send"})


@app.websocket("/close")
async def close(websocket: Accepted) -> None:
    await websocket.receive_text()
    await websocket.close(4001, "enough")


@app.websocket("/reject", dependencies=[Depends(nobody)])
async def reject(websocket: WebSocket) -> None:
    await websocket.accept()


@app.websocket("/deny")
async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(Response("not you", 401))


@app.websocket("/fail-early")
async def fail_early(_websocket: WebSocket) -> None:
    raise ApplicationError("before the accept")


@app.websocket("/fail")
async def fail(websocket: Accepted) -> None:
    await websocket.receive_text()
    raise ApplicationError("after a message")


@app.websocket("/late")
async def late(websocket: Accepted) -> None:
    await websocket.receive()
    await websocket.send_text("too late")


@app.websocket("/rooms/{number}")
async def room(websocket: WebSocket, number: int) -> None:
    await websocket.close(3000 + number)


@app.get("/page")
async def page() -> dict[str, str]:
    return {"a": "page"}


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


def wrapped_by_fastapi(stack: Any) -> Any:
    outer = FastAPI()
    outer.add_middleware(PipelineMiddleware, pipeline=stack.pipeline)
    outer.mount("/", app)
    return outer


@pytest.mark.parametrize("place", [wrapped_outside, wrapped_by_fastapi])
def test_the_test_client_sees_no_difference(stack: Any, place: Any) -> None:
    with TestClient(place(stack)) as client:
        assert client.get("/page").json() == {"a": "page"}
        with client.websocket_connect("/echo", subprotocols=["chat"]) as session:
            assert session.accepted_subprotocol == "chat"
            session.send_text("hi")
            assert session.receive_text() == "hi"
        with client.websocket_connect("/close") as session:
            session.send_text("now")
            with pytest.raises(WebSocketDisconnect) as closed:
                session.receive_text()
            assert (closed.value.code, closed.value.reason) == (4001, "enough")
        with pytest.raises(WebSocketDisconnect) as rejected, client.websocket_connect("/reject"):
            pass
        assert (rejected.value.code, rejected.value.reason) == (4003, "not you")
        with pytest.raises(ApplicationError), client.websocket_connect("/fail-early"):
            pass
