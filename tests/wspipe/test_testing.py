"""`wspipe.testing`: the client in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from wspipe import ProtocolError, WebSocket, WebSocketDisconnect, websocket_app
from wspipe.testing import ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    import starlette.websockets

    from wspipe import ASGIApp, Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio

ACCEPT = {"type": "websocket.accept"}
DENY = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x", b"y")]}


def plays(*events: Event, ends: bool = True) -> ASGIApp:
    """Make an application that sends these events after the connect event."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            await send(event)
        if not ends:
            await receive()

    return app


@websocket_app
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        event = await socket.receive()
        if event["type"] == "websocket.disconnect":
            return
        await socket.send({**event, "type": "websocket.send"})


async def test_messages_of_every_kind_go_there_and_back() -> None:
    async with connect(echo) as client:
        await client.send_text("é")
        assert await client.receive() == "é"
        await client.send_bytes(b"\xff")
        assert await client.receive() == b"\xff"
        await client.send_json({"a": {1}})
        assert await client.receive_json() == {"a": [1]}
        await client.send_text("")
        assert await client.receive() == ""


async def test_a_plain_handler_can_be_connected_to() -> None:
    async def greet(socket: WebSocket) -> None:
        await socket.send_text("hello")

    async with connect(greet) as client:
        assert await client.receive() == "hello"


async def test_any_asgi_application_can_be_connected_to() -> None:
    async def room(socket: starlette.websockets.WebSocket) -> None:
        await socket.accept()
        await socket.send_text(f"room {socket.path_params['number']}")
        await socket.close(4000)

    app = Starlette(routes=[WebSocketRoute("/rooms/{number:int}", room)])
    async with connect(app, "/rooms/5") as client:
        assert await client.receive() == "room 5"


def test_the_scope_says_what_was_asked_for() -> None:
    scope = websocket_scope(
        "/a%20b?q=%20",
        headers={"X-One": "1"},
        subprotocols=["chat"],
        extensions=["tls", "websocket.http.response"],
    )
    assert scope["type"] == "websocket"
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (
        "/a b",
        b"/a%20b",
        b"q=%20",
    )
    assert scope["headers"] == [(b"host", b"testserver"), (b"x-one", b"1")]
    assert scope["subprotocols"] == ["chat"]
    assert scope["extensions"] == {"tls": {}, "websocket.http.response": {}}
    assert list(websocket_scope()["extensions"]) == ["websocket.http.response"]


def test_the_scope_may_have_more_or_something_else() -> None:
    scope = websocket_scope("/a", scope={"client": ("10.0.0.7", 4000), "user": "ann"})
    assert (scope["client"], scope["user"]) == (("10.0.0.7", 4000), "ann")
    assert scope["path"] == "/a"


async def test_what_is_asked_for_arrives_at_the_application() -> None:
    @websocket_app
    async def app(socket: WebSocket) -> None:
        await socket.accept(socket.scope["subprotocols"][1], {"X-Two": "2"})
        await socket.send_json([str(socket.url), socket.headers["x-one"]])

    async with connect(app, "/x?y", headers={"X-One": "1"}, subprotocols=["a", "b"]) as client:
        assert client.subprotocol == "b"
        assert client.headers == [(b"x-two", b"2")]
        assert await client.receive_json() == ["ws://testserver/x?y", "1"]


@pytest.mark.parametrize(
    ("events", "status", "body", "code", "reason"),
    [
        (
            [DENY, {"type": "websocket.http.response.body", "body": b"no"}],
            401,
            b"no",
            None,
            "",
        ),
        (
            [
                DENY,
                {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
                {"type": "websocket.http.response.body", "body": b"pe"},
            ],
            401,
            b"nope",
            None,
            "",
        ),
        ([DENY], 401, b"", None, ""),
        ([{"type": "websocket.close", "code": 4000, "reason": "no"}], 403, b"", 4000, "no"),
        ([{"type": "websocket.close"}], 403, b"", 1000, ""),
        ([], 500, b"", None, ""),
    ],
)
async def test_a_denial_is_raised(
    events: list[Event], status: int, body: bytes, code: int | None, reason: str
) -> None:
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(plays(*events)):
            pytest.fail("the application did not accept")
    it = denied.value
    assert (it.status, it.body, it.code, it.reason) == (status, body, code, reason)
    assert list(it.headers) == ([(b"x", b"y")] if status == 401 else [])


async def test_an_application_that_denied_hears_of_the_end_and_runs_to_its_own() -> None:
    heard: list[Event] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.close"})
        await anyio.lowlevel.checkpoint()
        heard.append(await receive())

    with anyio.fail_after(5), pytest.raises(ConnectionDenied):
        async with connect(app):
            pass
    assert [event["type"] for event in heard] == ["websocket.disconnect"]


async def test_the_applications_close_is_raised_from_receive() -> None:
    close = {"type": "websocket.close", "code": 4000, "reason": "bye"}
    async with connect(plays(ACCEPT, close)) as client:
        with pytest.raises(WebSocketDisconnect, match="bye") as closed:
            await client.receive()
        with pytest.raises(WebSocketDisconnect) as still_closed:
            await client.receive()
        assert closed.value.code == still_closed.value.code == 4000
        assert (client.close_code, client.close_reason) == (4000, "bye")


async def test_a_close_without_a_code_is_1000() -> None:
    async with connect(plays(ACCEPT, {"type": "websocket.close"})) as client:
        with pytest.raises(WebSocketDisconnect) as closed:
            await client.receive()
        assert closed.value.code == client.close_code == 1000


async def test_an_application_that_ends_without_a_close_is_1006() -> None:
    async with connect(plays(ACCEPT)) as client:
        with pytest.raises(WebSocketDisconnect, match="the application has ended") as ended:
            await client.receive()
        assert ended.value.code == 1006


async def test_an_application_that_closes_hears_of_it() -> None:
    heard: list[Event] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.close", "code": 4000, "reason": "bye"})
        heard.append(await receive())

    async with connect(app):
        pass
    assert heard == [{"type": "websocket.disconnect", "code": 4000, "reason": "bye"}]


@pytest.mark.parametrize(
    ("close", "heard"),
    [
        ((), (1000, "")),
        ((4000, "bye"), (4000, "bye")),
        ((1005,), (1005, "")),
        ((None,), (1006, "")),
    ],
)
async def test_the_clients_close_arrives_once(close: Any, heard: tuple[int, str]) -> None:
    events: list[Event] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        events.append(await receive())

    async with connect(app) as client:
        await client.close(*close)
        await client.close(4999)
        assert (client.close_code, client.close_reason) == heard
    assert events == [{"type": "websocket.disconnect", "code": heard[0], "reason": heard[1]}]


async def test_the_end_of_the_block_closes_and_waits_for_the_application() -> None:
    notes: list[str] = []

    @websocket_app
    async def app(socket: WebSocket) -> None:
        async for _ in socket.iter_text():
            pass
        await anyio.sleep(0.001)
        notes.append(f"ended {socket.close_code}")

    async with connect(app):
        assert notes == []
    assert notes == ["ended 1000"]


@pytest.mark.parametrize("events", [[], [ACCEPT]])
async def test_the_applications_error_is_raised(events: list[Event]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await plays(*events)(scope, receive, send)
        raise LookupError("the application's")

    with pytest.raises(LookupError, match="the application's"):
        async with connect(app):
            pass


@pytest.mark.parametrize(
    "events",
    [
        [{"type": "websocket.send", "text": "too early"}],
        [ACCEPT, ACCEPT],
        [ACCEPT, {"type": "websocket.send", "text": "x", "bytes": b"x"}],
        [ACCEPT, {"type": "websocket.close", "code": 1006}],
        [DENY, {"type": "websocket.close"}],
    ],
)
async def test_an_application_that_breaks_the_specification_is_told(events: list[Event]) -> None:
    with pytest.raises(ProtocolError):
        async with connect(plays(*events)):
            pass


async def test_the_failure_of_the_block_is_raised_as_it_is_and_ends_the_application() -> None:
    ended: list[bool] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    with anyio.fail_after(5), pytest.raises(AssertionError, match="the test's"):
        async with connect(app):
            raise AssertionError("the test's")
    assert ended == [True]
