"""`WebSocket`: the end of the connection where no runner is there to run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import (
    ASGIConnection,
    ClientDisconnected,
    Composable,
    ProtocolError,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_receive,
    on_send,
)

if TYPE_CHECKING:
    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
MESSAGE = {"type": "websocket.receive", "text": "hello"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


@dataclass(frozen=True)
class Watch(Composable):
    """Notes each event, and the end with what is known of it then."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        notes = connection.scope.setdefault("notes", [])

        async def noted_receive() -> Event:
            event = await receive()
            notes.append(event["type"].removeprefix("websocket."))
            return event

        async def noted_send(event: Event) -> None:
            await send(event)
            notes.append(event["type"].removeprefix("websocket."))

        def ended() -> None:
            notes.append((connection.close_code, connection.closed_by, connection.error))

        connection.exit_stack.callback(ended)
        return noted_receive, noted_send


def refuse(event: Event, connection: ASGIConnection) -> Event:
    if event["type"] in connection.scope.get("refused", ()):
        raise LookupError(event["type"])
    return event


class Bare(WebSocket, pipeline=Watch()): ...


class OnlyEnd(WebSocket):
    """Wraps nothing, so that text takes the short way."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.exit_stack.callback(self.note_end)

    def note_end(self) -> None:
        ending = (self.close_code, self.closed_by, self.error)
        self.scope.setdefault("notes", []).append(ending)


class Refusing(
    WebSocket,
    pipeline=Watch() | on_receive(refuse, lifecycle=True) | on_send(refuse, lifecycle=True),
): ...


KINDS = [Bare, OnlyEnd]


def ends(socket: WebSocket) -> list[Any]:
    return [note for note in socket.scope.get("notes", ()) if isinstance(note, tuple)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["receive", "receive_text", "receive_bytes", "receive_json"])
async def test_it_ends_at_the_delivered_disconnect(serve: Any, kind: Any, method: str) -> None:
    socket, _ = serve(kind, CONNECT, MESSAGE, DISCONNECT)
    await socket.accept()
    await socket.receive_text()
    assert ends(socket) == []
    if method == "receive":
        assert await socket.receive() == DISCONNECT
    else:
        with pytest.raises(WebSocketDisconnect):
            await getattr(socket, method)()
    assert ends(socket) == [(4001, "client", None)]
    with pytest.raises(WebSocketException):
        await socket.receive_text()
    with pytest.raises(WebSocketDisconnect):
        await socket.send_text("x")
    assert len(ends(socket)) == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_it_ends_at_the_sent_close(serve: Any, kind: Any) -> None:
    socket, server = serve(kind, CONNECT, {**DISCONNECT, "code": 4000})
    await socket.accept()
    await socket.close(4000)
    assert len(server.sent) == 2
    assert ends(socket) == [(4000, "application", None)]
    with pytest.raises(ProtocolError):
        await socket.send_text("x")
    await socket.receive()
    assert ends(socket) == [(4000, "application", None)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}])
async def test_it_ends_at_the_denial(serve: Any, kind: Any, extensions: Any) -> None:
    socket, _ = serve(kind, CONNECT, extensions=extensions)
    await socket.send_denial_response(401)
    (ending,) = ends(socket)
    assert ending[1:] == ("application", None)


async def test_it_ends_only_after_the_inner_stages_have_seen_the_event(serve: Any) -> None:
    socket, _ = serve(Bare, CONNECT, DISCONNECT)
    await socket.accept()
    await socket.receive()
    assert socket.scope["notes"] == ["connect", "accept", "disconnect", (4001, "client", None)]
    socket, _ = serve(Bare, CONNECT)
    await socket.accept()
    await socket.close()
    assert socket.scope["notes"] == ["connect", "accept", "close", (1000, "application", None)]


@pytest.mark.parametrize("kind", KINDS)
async def test_it_ends_with_the_block_and_only_once(serve: Any, kind: Any) -> None:
    socket, _ = serve(kind, CONNECT, MESSAGE)
    async with socket as entered:
        assert entered is socket
        await socket.receive_text()
    assert ends(socket) == [(None, "application", None)]

    socket, _ = serve(kind, CONNECT)
    async with socket:
        await socket.accept()
        await socket.close(4000)
    assert ends(socket) == [(4000, "application", None)]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_block_keeps_its_error_and_lets_it_through(serve: Any, kind: Any) -> None:
    socket, _ = serve(kind, CONNECT)
    error = LookupError("mine")

    async def fail() -> None:
        async with socket:
            await socket.accept()
            raise error

    with pytest.raises(LookupError):
        await fail()
    assert ends(socket) == [(None, "application", error)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_disconnect_that_leaves_the_block_is_no_error_of_the_application(
    serve: Any, kind: Any
) -> None:
    socket, _ = serve(kind, CONNECT, DISCONNECT)

    async def receive() -> None:
        async with socket:
            await socket.receive_text()

    with pytest.raises(WebSocketDisconnect):
        await receive()
    assert ends(socket) == [(4001, "client", None)]
    assert socket.error is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["send_text", "send_bytes", "close"])
async def test_it_ends_where_the_server_can_send_no_more(
    serve: Any, kind: Any, method: str
) -> None:
    socket, server = serve(kind, CONNECT)
    await socket.accept()
    server.fault = BrokenPipeError()
    with pytest.raises(ClientDisconnected):
        await getattr(socket, method)(*["x"] if method != "close" else [])
    assert ends(socket) == [(1006, "unknown", None)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["send_text", "receive_text", "receive"])
async def test_it_ends_after_a_close_from_the_middle(serve: Any, kind: Any, method: str) -> None:
    socket, _ = serve(kind, CONNECT)
    await socket.accept()
    await socket.close(4008, by="a guard")
    if method == "receive":
        assert (await socket.receive())["code"] == 4008
    else:
        with pytest.raises(WebSocketDisconnect):
            await getattr(socket, method)(*["x"] if method == "send_text" else [])
    assert ends(socket) == [(4008, "a guard", None)]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_close_from_the_middle_that_is_refused_ends_nothing(serve: Any, kind: Any) -> None:
    socket, _ = serve(kind, CONNECT, MESSAGE)
    await socket.accept()
    with pytest.raises(ProtocolError, match="1006 is not a close code that may be sent"):
        await socket.close(1006, by="a guard")
    assert ends(socket) == []
    assert await socket.receive_text() == "hello"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_failing_callback_is_logged_and_hides_nothing(
    serve: Any, kind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise LookupError("a callback")

    socket, server = serve(kind, CONNECT)
    socket.exit_stack.callback(fail)
    await socket.accept()
    await socket.close()
    assert len(server.sent) == 2
    assert len(ends(socket)) == 1
    assert "LookupError: a callback" in caplog.text


async def test_a_stage_that_raises_at_the_disconnect_does_not_keep_it_from_ending(
    serve: Any,
) -> None:
    socket, _ = serve(Refusing, CONNECT, DISCONNECT, refused=["websocket.disconnect"])
    await socket.accept()
    with pytest.raises(LookupError):
        await socket.receive()
    assert ends(socket) == [(4001, "client", None)]


async def test_a_stage_that_raises_after_the_sent_close_does_not_keep_it_from_ending(
    serve: Any,
) -> None:
    def raise_after(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def raising_send(event: Event) -> None:
            await send(event)
            raise LookupError(event["type"])

        return receive, raising_send

    class Raising(WebSocket, pipeline=Watch() | raise_after): ...

    socket, server = serve(Raising, CONNECT)
    with pytest.raises(LookupError):
        await socket.close()
    assert [event["type"] for event in server.sent] == ["websocket.close"]
    assert ends(socket) == [(1000, "application", None)]


async def test_a_stage_that_refuses_the_close_keeps_the_connection_open(serve: Any) -> None:
    socket, server = serve(Refusing, CONNECT, MESSAGE, refused=["websocket.close"])
    await socket.accept()
    with pytest.raises(LookupError):
        await socket.close()
    assert ends(socket) == []
    assert await socket.receive_text() == "hello"
    assert server.sent == [ACCEPT]
