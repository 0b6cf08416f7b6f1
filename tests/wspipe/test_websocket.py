"""`WebSocket`: accepting, receiving, sending, the same whatever wraps it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    ClientDisconnected,
    ImproperlyConfiguredException,
    ProtocolError,
    Traffic,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_receive,
    on_send,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


class Server:
    """A server made of a list of events to give and a list of those that it took."""

    def __init__(self, *events: Any) -> None:
        self.events = deque(events)
        self.sent: list[Any] = []
        self.fault: OSError | None = None

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        event: Event = self.events.popleft()
        return event

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.sent.append(event)


def pass_on(event: Event, _: ASGIConnection) -> Event:
    return event


def around(receive: Receive) -> Receive:
    async def receive_around() -> Event:
        return await receive()

    return receive_around


def before(send: Send) -> Send:
    async def send_before(event: Event) -> None:
        await send(event)

    return send_before


class Intercepted(WebSocket, pipeline=on_receive(pass_on) | on_send(pass_on)): ...


class Overridden(WebSocket):
    def receive_wrapper(self, receive: Receive) -> Receive:
        return around(super().receive_wrapper(receive))

    def send_wrapper(self, send: Send) -> Send:
        return before(super().send_wrapper(send))


def with_replaced_attributes(*args: Any) -> WebSocket:
    socket: WebSocket = WebSocket(*args)
    socket.receive, socket.send = around(socket.receive), before(socket.send)
    return socket


@pytest.fixture(params=[WebSocket, Intercepted, Overridden, with_replaced_attributes])
def make(request: pytest.FixtureRequest) -> Callable[..., tuple[WebSocket, Server]]:
    """Give what makes a socket, in each of the ways that take another path through the code."""

    def make_socket(*events: Any) -> tuple[WebSocket, Server]:
        server = Server(*events)
        return request.param(websocket_scope(), server.receive, server.send), server

    return make_socket


def text(data: str) -> Event:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> Event:
    return {"type": "websocket.receive", "bytes": data}


@pytest.mark.parametrize(
    ("event", "mode", "data"),
    [
        (text("hello"), "text", "hello"),
        (text(""), "text", ""),
        (text("é🦊"), "text", "é🦊"),
        ({**text("x"), "bytes": None}, "text", "x"),
        (binary(b"\0\xff"), "binary", b"\0\xff"),
        (binary(b""), "binary", b""),
        ({**binary(b"x"), "text": None}, "binary", b"x"),
    ],
)
async def test_a_message_of_the_expected_kind_is_received(
    make: Any, event: Event, mode: Any, data: str | bytes
) -> None:
    socket, _ = make(CONNECT, event, event)
    assert await socket.receive_data(mode) == data
    assert await (socket.receive_text if mode == "text" else socket.receive_bytes)() == data
    size = len(data if isinstance(data, bytes) else data.encode())
    assert socket.traffic == Traffic(messages_received=2, bytes_received=2 * size)


@pytest.mark.parametrize(
    ("event", "mode", "said"),
    [
        (binary(b""), "text", "a binary frame came where text was expected"),
        (text(""), "binary", "a text frame came where binary was expected"),
    ],
)
async def test_a_message_of_the_other_kind_is_an_error_with_code_1003(
    make: Any, event: Event, mode: Any, said: str
) -> None:
    socket, _ = make(CONNECT, event, event)
    receive = socket.receive_text if mode == "text" else socket.receive_bytes
    for receiving in (socket.receive_data(mode), receive()):
        with pytest.raises(WebSocketException, match=said) as error:
            await receiving
        assert error.value.code == 1003
        assert not isinstance(error.value, WebSocketDisconnect)


@pytest.mark.parametrize(
    ("disconnect", "code", "detail"),
    [
        (DISCONNECT, 4001, "the conversation is over: 4001 bye"),
        ({"type": "websocket.disconnect"}, 1005, "the conversation is over: 1005"),
        (
            {"type": "websocket.disconnect", "code": 1006, "reason": None},
            1006,
            "the conversation is over: 1006",
        ),
    ],
)
async def test_a_disconnect_is_raised_with_the_clients_code_and_is_the_last_event(
    make: Any, disconnect: Event, code: int, detail: str
) -> None:
    socket, _ = make(CONNECT, text("hello"), disconnect)
    assert await socket.receive_text() == "hello"
    with pytest.raises(WebSocketDisconnect) as gone:
        await socket.receive_text()
    assert (gone.value.code, gone.value.detail) == (code, detail)
    assert not isinstance(gone.value, OSError)
    assert socket.connection_state == "disconnect"
    for receive in (socket.receive_text, socket.receive_bytes, socket.receive):
        with pytest.raises(WebSocketException, match="after websocket.disconnect") as late:
            await receive()
        assert not isinstance(late.value, WebSocketDisconnect)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.receive"},
        {"type": "websocket.receive", "text": "x", "bytes": b"x"},
        {"type": "websocket.receive", "text": 5},
        text("\ud800"),
        {"type": "websocket.connect"},
        {"type": "websocket.send", "text": "x"},
        {"type": 5},
        {},
        "text",
        None,
    ],
    ids=repr,
)
async def test_an_event_that_the_server_may_not_send_is_refused(make: Any, event: Any) -> None:
    socket, _ = make(CONNECT, event)
    await socket.accept()
    with pytest.raises(ProtocolError) as refused:
        await socket.receive_text()
    assert refused.value.sender == "server"
    assert socket.traffic.messages_received == 0


async def test_iterating_ends_when_the_client_leaves(make: Any) -> None:
    socket, _ = make(CONNECT, text("a"), text("b"), DISCONNECT)
    assert [message async for message in socket.iter_text()] == ["a", "b"]
    socket, _ = make(CONNECT, binary(b"a"), binary(b"b"), DISCONNECT)
    assert [message async for message in socket.iter_bytes()] == [b"a", b"b"]
    socket, _ = make(CONNECT, text("[1]"), text("2"), DISCONNECT)
    assert [message async for message in socket.iter_json()] == [[1], 2]
    socket, _ = make(CONNECT, binary(b"[1]"), binary(b"2"), DISCONNECT)
    assert [message async for message in socket.iter_json("binary")] == [[1], 2]


@pytest.mark.parametrize("name", ["iter_text", "iter_bytes", "iter_json"])
async def test_iterating_ends_at_a_close_from_the_middle_but_not_at_an_error(
    make: Any, name: str
) -> None:
    socket, _ = make(CONNECT)
    await socket.accept()
    await socket.close(by="somebody")
    assert [message async for message in getattr(socket, name)()] == []
    socket, _ = make(CONNECT, DISCONNECT)
    await socket.accept()
    await socket.receive()
    with pytest.raises(WebSocketException, match="after websocket.disconnect"):
        await anext(getattr(socket, name)())


@pytest.mark.parametrize(
    ("method", "data", "options", "sent"),
    [
        ("send_text", "hello", {}, {"text": "hello"}),
        ("send_text", "", {}, {"text": ""}),
        ("send_text", b"\xc3\xa9", {}, {"text": "é"}),
        ("send_text", b"\xe9", {"encoding": "latin-1"}, {"text": "é"}),
        ("send_bytes", b"\0", {}, {"bytes": b"\0"}),
        ("send_bytes", "é", {}, {"bytes": b"\xc3\xa9"}),
        ("send_bytes", "é", {"encoding": "latin-1"}, {"bytes": b"\xe9"}),
        ("send_data", "hello", {}, {"text": "hello"}),
        ("send_data", "é", {"mode": "binary"}, {"bytes": b"\xc3\xa9"}),
        ("send_data", b"\xe9", {"mode": "text", "encoding": "latin-1"}, {"text": "é"}),
    ],
)
async def test_text_and_bytes_are_sent_either_way(
    make: Any, method: str, data: Any, options: dict[str, str], sent: Event
) -> None:
    socket, server = make(CONNECT)
    await getattr(socket, method)(data, **options)
    await getattr(socket, method)(data, **options)
    event = {"type": "websocket.send", **sent}
    assert server.sent == [ACCEPT, event, event]
    (content,) = sent.values()
    size = len(content if isinstance(content, bytes) else content.encode())
    assert socket.traffic == Traffic(messages_sent=2, bytes_sent=2 * size)


@pytest.mark.parametrize("data", [5, None, ["text"], "\ud800"])
async def test_what_is_no_message_is_refused_and_not_sent(make: Any, data: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    for send in (socket.send_text, socket.send_data):
        with pytest.raises(ProtocolError):
            await send(data)
    assert server.sent == [ACCEPT]
    assert socket.traffic == Traffic()


async def test_sending_after_the_client_left_is_a_disconnect_and_an_os_error(make: Any) -> None:
    socket, server = make(CONNECT, DISCONNECT)
    await socket.accept()
    await socket.receive()
    for send in (socket.send_text, socket.send_bytes, socket.send_json):
        with pytest.raises(WebSocketDisconnect) as refused:
            await send("x")
        assert isinstance(refused.value, OSError)
        assert refused.value.code == 4001
    with pytest.raises(WebSocketDisconnect):
        await socket.close()
    assert server.sent == [ACCEPT]


async def test_sending_after_ones_own_close_is_a_protocol_error(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    await socket.close()
    for send in (socket.send_text, socket.send_bytes):
        with pytest.raises(ProtocolError, match="accepted|closed"):
            await send("x")
    with pytest.raises(ProtocolError):
        await socket.close()
    assert len(server.sent) == 2


async def test_a_send_that_the_server_cannot_do_is_a_disconnect(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    server.fault = ConnectionResetError("no route to the client")
    with pytest.raises(ClientDisconnected, match="no route to the client") as gone:
        await socket.send_text("x")
    assert gone.value.code == 1006
    assert gone.value.__cause__ is server.fault
    assert socket.traffic.messages_sent == 0
    assert socket.connection_state == "disconnect"


async def test_one_task_receives_while_others_send(make: Any) -> None:
    to_app, app_receives = anyio.create_memory_object_stream[Any](10)
    socket, server = make()
    server.receive = app_receives.receive
    socket.receive_wrapper(app_receives.receive)
    received: list[str] = []

    async def receive_all() -> None:
        async for message in socket.iter_text():
            received.append(message)

    with to_app, app_receives, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive_all)
            for number in range(3):
                tasks.start_soon(socket.send_text, str(number))
            for event in (CONNECT, text("a"), text("b"), DISCONNECT):
                await to_app.send(event)
                await anyio.wait_all_tasks_blocked()
    assert received == ["a", "b"]
    assert server.sent[0] == ACCEPT
    assert sorted(event["text"] for event in server.sent[1:]) == ["0", "1", "2"]


@pytest.mark.parametrize("mode", ["bytes", "", None])
async def test_an_unknown_mode_is_refused(make: Any, mode: Any) -> None:
    socket, server = make(CONNECT)
    for call in (
        lambda: socket.receive_data(mode),
        lambda: socket.receive_json(mode),
        lambda: socket.send_data("x", mode),
        lambda: socket.send_json("x", mode),
    ):
        with pytest.raises(ImproperlyConfiguredException, match="mode is 'text' or 'binary'"):
            await call()
    assert server.sent == []
