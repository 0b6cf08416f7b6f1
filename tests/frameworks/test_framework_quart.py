"""A Quart application behaves the same behind a pipeline."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from quart import Quart, abort, websocket
from quart.testing import WebsocketResponseError
from quart.testing.connections import WebsocketDisconnectError

from wspipe.testing import websocket_scope

pytestmark = pytest.mark.asyncio

# Quart closes after every exception, that of a late send included.
EXPECTED = {
    "echo": ["accept", "send", "send"],
    "the client leaves at once": ["accept"],
    "the client vanishes": ["accept", "send", "close"],
    "the client leaves unaccepted": ["accept"],
    "the application closes": ["accept", "close"],
    "the application rejects": ["close"],
    "the application denies": [
        "http.response.start",
        "http.response.body",
        "http.response.body",
    ],
    "the application fails unaccepted": ["close"],
    "the application fails": ["accept", "close"],
    "the application sends too late": ["accept", "send", "close"],
}


class ApplicationError(Exception):
    """The application's own failure."""


def make_app() -> Quart:
    app = Quart(__name__)
    app.websocket("/echo")(echo)
    app.websocket("/close")(close)
    app.websocket("/reject")(refuse)
    app.websocket("/deny")(refuse)
    app.websocket("/fail-early")(fail_early)
    app.websocket("/fail")(fail)
    app.websocket("/late")(late)
    app.get("/page")(page)
    app.before_serving(start)
    return app


async def echo() -> None:
    await websocket.accept({"x-by": "quart"}, "chat")
    while True:
        await websocket.send(await websocket.receive())


async def close() -> None:
    await websocket.receive()
    await websocket.close(4001, "enough")


async def refuse() -> None:
    abort(401)


async def fail_early() -> None:
    raise ApplicationError("before the accept")


async def fail() -> None:
    raise ApplicationError(await websocket.receive())


async def late() -> None:
    try:
        await websocket.receive()
    except asyncio.CancelledError:
        await websocket.send("too late")


async def page() -> dict[str, str]:
    return {"a": "page"}


async def start() -> None:
    """Be what runs at the lifespan's startup."""


async def test_a_conversation_is_the_same_behind_a_pipeline(scenario: str, compare: Any) -> None:
    visit = await compare(make_app(), scenario)
    assert visit.sent_types == EXPECTED[scenario]


async def test_http_and_lifespan_pass_as_they_are(pass_through: Any) -> None:
    request = {**websocket_scope("/page"), "type": "http", "scheme": "http", "method": "GET"}
    got = await pass_through(make_app(), request, (0, {"type": "http.request", "body": b""}))
    assert b'{"a":"page"}' in b"".join(
        event.get("body", b"") for what, event in got.at_server if what == "sent"
    )
    lived = await pass_through(
        make_app(),
        {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}},
        (0, {"type": "lifespan.startup"}),
        (1, {"type": "lifespan.shutdown"}),
    )
    assert lived.at_server[-1][1] == {"type": "lifespan.shutdown.complete"}


async def test_the_test_client_sees_no_difference(stack: Any) -> None:
    app = make_app()
    app.asgi_app = stack.wrap(app.asgi_app)
    async with asyncio.timeout(10), app.test_app() as running:
        client = running.test_client()
        response = await client.get("/page")
        assert await response.get_json() == {"a": "page"}
        async with client.websocket("/echo", subprotocols=["chat"]) as session:
            await session.send("hi")
            assert await session.receive() == "hi"
            await session.send(b"\x00")
            assert await session.receive() == b"\x00"
        async with client.websocket("/close") as session:
            await session.send("now")
            with pytest.raises(WebsocketDisconnectError, match="4001"):
                await session.receive()
        with pytest.raises(WebsocketResponseError) as denied:
            async with client.websocket("/deny") as session:
                await session.receive()
        assert denied.value.response.status_code == 401
