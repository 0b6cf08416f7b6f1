"""`WebSocket`: sending, the same whatever wraps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ClientDisconnected,
    ImproperlyConfiguredException,
    ProtocolError,
    Traffic,
    WebSocketDisconnect,
)

if TYPE_CHECKING:
    from wspipe import Event

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
MESSAGE = {"type": "websocket.receive", "text": "hello"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


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
    expected = (
        Traffic(binary_sent=2, binary_bytes_sent=2 * size)
        if isinstance(content, bytes)
        else Traffic(text_sent=2, text_bytes_sent=2 * size)
    )
    assert socket.traffic == expected


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
        with pytest.raises(ProtocolError, match=r"closed; legal .* here: nothing"):
            await send("x")
    with pytest.raises(ProtocolError):
        await socket.close()
    assert len(server.sent) == 2


@pytest.mark.parametrize("method", ["send_text", "send_bytes", "send_json"])
async def test_a_send_that_is_awaited_later_is_judged_then(make: Any, method: str) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    sending = getattr(socket, method)(b"x" if method == "send_bytes" else "x")
    await socket.close()
    with pytest.raises(ProtocolError):
        await sending
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
        received.extend([message async for message in socket.iter_text()])

    with to_app, app_receives, anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive_all)
            for number in range(3):
                tasks.start_soon(socket.send_text, str(number))
            for event in (CONNECT, MESSAGE, MESSAGE, DISCONNECT):
                await to_app.send(event)
                await anyio.wait_all_tasks_blocked()
    assert received == ["hello", "hello"]
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
