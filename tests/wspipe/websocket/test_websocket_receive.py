"""`WebSocket`: receiving, the same whatever wraps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wspipe import ProtocolError, Traffic, WebSocketDisconnect, WebSocketException

if TYPE_CHECKING:
    from wspipe import Event

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


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
    expected = (
        Traffic(text_received=2, text_bytes_received=2 * size)
        if mode == "text"
        else Traffic(binary_received=2, binary_bytes_received=2 * size)
    )
    assert socket.traffic == expected


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
        with pytest.raises(WebSocketException, match=r"after websocket\.disconnect") as late:
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


async def test_an_iteration_may_be_left_and_taken_up_again(make: Any) -> None:
    socket, _ = make(CONNECT, text("a"), text("b"), text("c"))
    async for message in socket.iter_text():
        assert message == "a"
        break
    assert await anext(socket.iter_text()) == "b"
    assert await socket.receive_text() == "c"


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
    with pytest.raises(WebSocketException, match=r"after websocket\.disconnect"):
        await anext(getattr(socket, name)())
