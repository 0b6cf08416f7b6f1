"""`WebSocket`: accepting, closing, denying."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import starlette.datastructures
from multidict import CIMultiDict

from wspipe import (
    ClientDisconnected,
    ImproperlyConfiguredException,
    Pipeline,
    ProtocolError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_receive,
)

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
MESSAGE = {"type": "websocket.receive", "text": "hello"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


def close(code: int = 1000, reason: str = "") -> Event:
    return {"type": "websocket.close", "code": code, "reason": reason}


async def test_a_socket_made_without_ends_has_placeholders_that_raise() -> None:
    socket: WebSocket = WebSocket({"type": "websocket"})
    with pytest.raises(ImproperlyConfiguredException, match="made without a receive"):
        await socket.receive()
    with pytest.raises(ImproperlyConfiguredException, match="made without a send"):
        await socket.send(ACCEPT)


async def test_accept_takes_the_connect_event_and_answers_it_once(make: Any) -> None:
    socket, server = make(CONNECT, MESSAGE)
    assert socket.connection_state == "init"
    await socket.accept()
    assert socket.connection_state == "connect"
    await socket.accept(subprotocols="too late")
    assert server.sent == [ACCEPT]
    assert list(server.events) == [MESSAGE]
    assert await socket.receive_text() == "hello"
    assert socket.connection_state == "receive"


async def test_accept_after_the_connect_event_was_received_by_hand(make: Any) -> None:
    socket, server = make(CONNECT, MESSAGE)
    assert await socket.receive() == CONNECT
    await socket.accept()
    assert server.sent == [ACCEPT]
    assert await socket.receive() == MESSAGE


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1", "x-two": "2"},
        CIMultiDict([("X-One", "1"), ("X-Two", "2")]),
        starlette.datastructures.MutableHeaders({"X-One": "1", "X-Two": "2"}),
        starlette.datastructures.ImmutableMultiDict([("X-One", "1"), ("X-Two", "2")]),
        [(b"x-one", b"1"), (b"x-two", b"2")],
    ],
)
async def test_accept_with_a_subprotocol_and_headers(make: Any, headers: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept("chat.v1", headers)
    assert server.sent == [
        {
            "type": "websocket.accept",
            "subprotocol": "chat.v1",
            "headers": [(b"x-one", b"1"), (b"x-two", b"2")],
        }
    ]


@pytest.mark.parametrize(
    "headers", [[("x", "y")], [(b"X", b"y")], {"x": "a\r\nb: c"}, {"sec-websocket-protocol": "x"}]
)
async def test_accept_with_headers_that_cannot_be_is_refused(make: Any, headers: Any) -> None:
    socket, server = make(CONNECT)
    with pytest.raises(ProtocolError, match=r"malformed 'websocket\.accept'"):
        await socket.accept(headers=headers)
    assert server.sent == []
    await socket.accept()
    assert server.sent == [ACCEPT]


@pytest.mark.parametrize(
    "call",
    [
        lambda socket: socket.receive_data("text"),
        lambda socket: socket.receive_text(),
        lambda socket: socket.receive_json(),
        lambda socket: socket.send_text("x"),
        lambda socket: socket.send_bytes(b"x"),
        lambda socket: socket.send_data("x"),
        lambda socket: socket.send_json("x"),
    ],
)
async def test_receiving_and_sending_accept_first(make: Any, call: Any) -> None:
    socket, server = make(CONNECT, {"type": "websocket.receive", "text": "1"})
    await call(socket)
    assert server.sent[0] == ACCEPT


async def test_two_tasks_that_start_at_once_accept_once_and_lose_nothing(make: Any) -> None:
    socket, server = make(CONNECT, MESSAGE)
    received: list[str] = []

    async def receive() -> None:
        received.append(await socket.receive_text())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            tasks.start_soon(socket.send_text, "one")
            tasks.start_soon(socket.send_text, "two")
    assert received == ["hello"]
    assert server.sent[0] == ACCEPT
    assert {event["text"] for event in server.sent[1:]} == {"one", "two"}


async def test_a_stage_may_accept_when_it_sees_the_connect(serve: Any) -> None:
    @on_receive(lifecycle=True)
    async def accept(event: Event, connection: Any) -> Event:
        if event["type"] == "websocket.connect":
            await connection.accept()
        return event

    class Hasty(WebSocket, pipeline=accept): ...

    socket, server = serve(Hasty, CONNECT, MESSAGE)
    with anyio.fail_after(5):
        await socket.accept()
        assert await socket.receive_text() == "hello"
    assert server.sent == [ACCEPT]


async def test_a_connect_that_a_stage_makes_up_is_as_good_as_the_servers(serve: Any) -> None:
    def make_up(_: ASGIConnection, _receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def connect() -> Event:
            return CONNECT

        return connect, send

    class Deceived(WebSocket, pipeline=Pipeline(make_up)): ...

    socket, server = serve(Deceived)
    await socket.accept()
    assert server.sent == [ACCEPT]


async def test_a_denial_and_a_receive_at_once_take_the_connect_once(make: Any) -> None:
    socket, server = make(CONNECT, DISCONNECT)

    async def receive() -> None:
        with pytest.raises(WebSocketDisconnect) as gone:
            await socket.receive_text()
        assert gone.value.code == 4001

    async def deny() -> None:
        with suppress(ProtocolError, ClientDisconnected):  # where the other one accepted first
            await socket.send_denial_response(401)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            tasks.start_soon(deny)
    assert server.sent[0].get("status", ACCEPT) in (401, ACCEPT)


async def test_a_client_that_left_before_the_answer_is_not_accepted(make: Any) -> None:
    socket, server = make(CONNECT, DISCONNECT)
    await socket.receive()
    await socket.receive()
    await socket.accept()
    assert server.sent == []
    with pytest.raises(WebSocketException, match=r"after websocket\.disconnect"):
        await socket.receive_text()
    with pytest.raises(WebSocketDisconnect):
        await socket.send_text("x")


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        ((), close()),
        ((4000,), close(4000)),
        ((4000, None), close(4000)),
        ((1001, "going away"), close(1001, "going away")),
        ((4000, "x" * 123), close(4000, "x" * 123)),
        ((4000, "x" * 124), close(4000, "x" * 123)),
        ((4000, "é" * 62), close(4000, "é" * 61)),
        ((4000, "🦊" * 31), close(4000, "🦊" * 30)),
    ],
)
async def test_close_sends_the_code_and_as_much_of_the_reason_as_fits(
    make: Any, args: Any, sent: Event
) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    await socket.close(*args)
    assert server.sent[1:] == [sent]
    assert socket.connection_state == "disconnect"
    ending = (socket.close_code, socket.close_reason, socket.closed_by)
    assert ending == (sent["code"], sent["reason"], "application")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2000, 5000, "1000", None, True])
async def test_close_with_a_code_that_may_not_be_sent_is_refused(make: Any, code: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    with pytest.raises(ProtocolError, match="is not a close code that may be sent"):
        await socket.close(code)
    assert server.sent == [ACCEPT]
    assert socket.connection_state == "connect"
    await socket.close()


@pytest.mark.parametrize("receives_first", [True, False])
async def test_close_before_the_accept_denies(make: Any, *, receives_first: bool) -> None:
    socket, server = make(CONNECT)
    if receives_first:
        await socket.receive()
    await socket.close(4000, "not you")
    assert server.sent == [close(4000, "not you")]
    assert socket.handshake_status == 403
    assert socket.connection_state == "disconnect"


async def test_close_with_by_is_a_close_from_the_middle(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    await socket.close(4000, "enough", by="the doorkeeper")
    await socket.close(4001, by="another")
    assert server.sent[1:] == [close(4000, "enough")]
    assert socket.closed_by == "the doorkeeper"
    with pytest.raises(WebSocketDisconnect) as refused:
        await socket.send_text("x")
    assert refused.value.code == 4000
    with pytest.raises(WebSocketDisconnect) as over:
        await socket.receive_text()
    assert over.value.code == 4000


@pytest.mark.parametrize("receives_first", [True, False])
async def test_a_denial_response_where_the_server_has_it(
    make: Any, *, receives_first: bool
) -> None:
    socket, server = make(CONNECT)
    if receives_first:
        await socket.receive()
    await socket.send_denial_response(401, {"X-Why": "no token"}, "é")
    assert server.sent == [
        {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [(b"x-why", b"no token")],
        },
        {"type": "websocket.http.response.body", "body": b"\xc3\xa9", "more_body": False},
    ]
    assert (socket.handshake_status, socket.connection_state) == (401, "disconnect")


async def test_a_denial_response_is_a_plain_rejection_elsewhere(make: Any) -> None:
    socket, server = make(CONNECT, extensions={})
    await socket.send_denial_response()
    assert server.sent == [close(1008)]
    assert (socket.handshake_status, socket.connection_state) == (403, "disconnect")


@pytest.mark.parametrize("status", [101, 199, 600, "403"])
async def test_a_denial_with_a_status_that_cannot_be_is_refused(make: Any, status: Any) -> None:
    socket, server = make(CONNECT)
    with pytest.raises(ProtocolError, match="'status' must be"):
        await socket.send_denial_response(status)
    assert server.sent == []


async def test_a_denial_after_the_accept_is_refused(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    with pytest.raises(ProtocolError):
        await socket.send_denial_response()
    assert server.sent == [ACCEPT]


@pytest.mark.parametrize("event", ["text", None, 5, [], {}, {"type": None}], ids=repr)
@pytest.mark.parametrize("accepted", [True, False])
async def test_what_is_no_event_cannot_be_sent(serve: Any, event: Any, *, accepted: bool) -> None:
    socket, server = serve(WebSocket, CONNECT)
    if accepted:
        await socket.accept()
    with pytest.raises(ProtocolError, match="no event"):
        await socket.send(event)
    assert len(server.sent) == accepted
