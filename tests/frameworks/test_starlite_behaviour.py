"""Our `WebSocket` behaves as the documented class of Starlite does, which it replaces."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio.lowlevel
import pytest
from litestar.datastructures import Headers as LitestarHeaders
from multidict import CIMultiDict
from starlette.datastructures import Headers as StarletteHeaders

from wspipe import WebSocket, WebSocketDisconnect, WebSocketException
from wspipe.testing import ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
TEXT = {"type": "websocket.receive", "text": "a text"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4007, "reason": "done"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}


class ListedHeaders:
    """Headers of a kind that offers nothing but the list of pairs."""

    def to_header_list(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-test", b"1"), (b"x-test", b"2")]


def socket_of(*events: Event, kind: type[WebSocket] = WebSocket) -> tuple[WebSocket, list[Event]]:
    """Make a socket that receives these events, and the list of what it sends."""
    incoming, sent = deque(events), []

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        return incoming.popleft()

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(event)

    return kind(websocket_scope(), receive=receive, send=send), sent


async def test_accept_takes_the_connect_event_and_answers_once() -> None:
    socket, sent = socket_of(CONNECT)
    await socket.accept()
    await socket.accept()
    assert sent == [ACCEPT]


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-test", b"1"), (b"x-test", b"2")],
        ListedHeaders(),
        LitestarHeaders([(b"x-test", b"1"), (b"x-test", b"2")]),
        CIMultiDict([("X-Test", "1"), ("x-test", "2")]),
        StarletteHeaders(raw=[(b"x-test", b"1"), (b"x-test", b"2")]),
    ],
    ids=["pairs", "listed", "litestar", "multidict", "starlette"],
)
async def test_accept_takes_headers_that_repeat_in_any_form(headers: Any) -> None:
    socket, sent = socket_of(CONNECT)
    await socket.accept(headers=headers)
    assert sent[0]["headers"] == [(b"x-test", b"1"), (b"x-test", b"2")]


async def test_accept_takes_a_dict_of_headers_and_a_subprotocol() -> None:
    socket, sent = socket_of(CONNECT)
    await socket.accept(subprotocols="wamp", headers={"X-Test": "1"})
    assert sent == [{**ACCEPT, "subprotocol": "wamp", "headers": [(b"x-test", b"1")]}]


@pytest.mark.parametrize(
    ("method", "event", "expected"),
    [
        ("receive_text", TEXT, "a text"),
        ("receive_bytes", {"type": "websocket.receive", "bytes": b"\x00"}, b"\x00"),
        ("receive_json", {"type": "websocket.receive", "text": '{"a": 1}'}, {"a": 1}),
    ],
)
async def test_receiving_first_accepts(method: str, event: Event, expected: Any) -> None:
    socket, sent = socket_of(CONNECT, event)
    assert await getattr(socket, method)() == expected
    assert sent == [ACCEPT]


@pytest.mark.parametrize(
    ("method", "data", "event"),
    [
        ("send_text", "text", {"text": "text"}),
        ("send_bytes", b"\x00", {"bytes": b"\x00"}),
        ("send_json", {"a": 1}, {"text": '{"a":1}'}),
    ],
)
async def test_sending_first_accepts(method: str, data: Any, event: Event) -> None:
    socket, sent = socket_of(CONNECT)
    await getattr(socket, method)(data)
    assert sent == [ACCEPT, {"type": "websocket.send", **event}]


async def test_the_connection_state_follows_the_events_received() -> None:
    socket, _ = socket_of(CONNECT, TEXT, DISCONNECT)
    states = [socket.connection_state]
    await socket.accept()
    states.append(socket.connection_state)
    await socket.receive_text()
    states.append(socket.connection_state)
    with pytest.raises(WebSocketDisconnect):
        await socket.receive_text()
    assert [*states, socket.connection_state] == ["init", "connect", "receive", "disconnect"]


@pytest.mark.parametrize("method", ["receive_text", "receive_bytes", "receive_json"])
async def test_a_disconnect_raises_with_the_code_of_the_client(method: str) -> None:
    socket, _ = socket_of(CONNECT, DISCONNECT)
    await socket.accept()
    with pytest.raises(WebSocketDisconnect) as raised:
        await getattr(socket, method)()
    assert raised.value.code == 4007


async def test_the_bare_receive_gives_a_disconnect_once_and_then_raises() -> None:
    socket, _ = socket_of(CONNECT, DISCONNECT)
    await socket.accept()
    assert await socket.receive() == DISCONNECT
    with pytest.raises(WebSocketException):
        await socket.receive()


async def test_a_send_after_the_disconnect_raises_and_sends_nothing() -> None:
    socket, sent = socket_of(CONNECT, DISCONNECT)
    await socket.accept()
    await socket.receive()
    with pytest.raises(WebSocketDisconnect):
        await socket.send_text("too late")
    assert sent == [ACCEPT]


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [((), 1000, ""), ((1001,), 1001, ""), ((4001, "enough"), 4001, "enough")],
)
async def test_close_sends_code_and_reason(arguments: Any, code: int, reason: str) -> None:
    socket, sent = socket_of(CONNECT)
    await socket.accept()
    await socket.close(*arguments)
    assert sent[1] == {"type": "websocket.close", "code": code, "reason": reason}


async def test_close_before_the_accept_rejects() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        await WebSocket(scope, receive, send).close(1001)

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app):
            pytest.fail("the connection was accepted")
    assert (denied.value.status, denied.value.code) == (403, 1001)


@pytest.mark.parametrize(
    ("method", "data", "encoding", "event"),
    [
        ("send_text", "ü", "utf-8", {"text": "ü"}),
        ("send_text", b"\xfc", "latin-1", {"text": "ü"}),
        ("send_bytes", b"\xfc", "utf-8", {"bytes": b"\xfc"}),
        ("send_bytes", "ü", "latin-1", {"bytes": b"\xfc"}),
    ],
)
async def test_text_and_bytes_are_sent_either_way(
    method: str, data: Any, encoding: str, event: Event
) -> None:
    socket, sent = socket_of(CONNECT)
    await getattr(socket, method)(data, encoding=encoding)
    assert sent[1] == {"type": "websocket.send", **event}


@pytest.mark.parametrize("mode", ["text", "binary"])
async def test_json_goes_both_ways_in_both_modes(mode: Any) -> None:
    key, data = ("text", '{"a":[1]}') if mode == "text" else ("bytes", b'{"a":[1]}')
    socket, sent = socket_of(CONNECT, {"type": "websocket.receive", key: data})
    value = await socket.receive_json(mode=mode)
    await socket.send_json(value, mode=mode)
    assert value == {"a": [1]}
    assert sent[1] == {"type": "websocket.send", key: data}


async def test_send_json_takes_a_serializer() -> None:
    socket, sent = socket_of(CONNECT)
    await socket.send_json({"n": 1j}, serializer=str)
    assert sent[1]["text"] == '{"n":"1j"}'


async def test_a_subclass_may_wrap_both_ends_and_extend_the_constructor() -> None:
    seen: list[str] = []

    class Watched(WebSocket):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.scope["called"] = True

        def receive_wrapper(self, receive: Receive) -> Receive:
            inner = super().receive_wrapper(receive)

            async def wrapped() -> Event:
                event = await inner()
                seen.append(event["type"])
                return event

            return wrapped

        def send_wrapper(self, send: Send) -> Send:
            inner = super().send_wrapper(send)

            async def wrapped(event: Event) -> None:
                seen.append(event["type"])
                await inner(event)

            return wrapped

    socket, _ = socket_of(CONNECT, TEXT, kind=Watched)
    await socket.send_text(await socket.receive_text())
    assert socket.scope["called"] is True
    assert seen == [
        "websocket.connect",
        "websocket.accept",
        "websocket.receive",
        "websocket.send",
    ]


async def test_one_task_receives_while_another_sends() -> None:
    async def app(scope: Any, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        await socket.accept()
        to_writer, from_reader = anyio.create_memory_object_stream[Any](1)

        async def read() -> None:
            async with to_writer:
                await to_writer.send(await socket.receive_json())

        async with anyio.create_task_group() as tasks, from_reader:
            tasks.start_soon(read)
            async for value in from_reader:
                await socket.send_json(value)
        await socket.close()

    async with connect(app) as client:
        await client.send_json({"hello": "world"})
        assert await client.receive_json() == {"hello": "world"}


async def test_a_socket_without_ends_raises_where_it_needs_them() -> None:
    socket: WebSocket[Any, Any] = WebSocket(websocket_scope("/path?a=1"))
    assert (socket.url.path, dict(socket.query_params)) == ("/path", {"a": "1"})
    with pytest.raises(Exception, match="without a receive"):
        await socket.accept()
