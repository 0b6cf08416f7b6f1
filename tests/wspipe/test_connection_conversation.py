"""`ASGIConnection`: what it knows of the conversation, and what can be done about it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    ProtocolError,
    Traffic,
    WebSocketDisconnect,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from wspipe import Event

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
MESSAGE = {"type": "websocket.receive", "text": "hello"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


class Piped:
    """A connection with the wire stage around it, and lists for a server."""

    def __init__(self, *events: Event, strict: bool = True) -> None:
        self.events = deque(events)
        self.sent: list[Event] = []
        self.connection: ASGIConnection = ASGIConnection(websocket_scope())
        self.receive, self.send = Pipeline().with_wire(strict=strict)(
            self.connection, self.server_receive, self.server_send
        )

    async def server_receive(self) -> Event:
        return self.events.popleft()

    async def server_send(self, event: Event) -> None:
        self.sent.append(event)


def test_two_pipelines_around_one_connection_are_refused() -> None:
    piped = Piped()
    with pytest.raises(ImproperlyConfiguredException, match="has its StateValidation already"):
        Pipeline().with_wire(strict=True)(piped.connection, piped.receive, piped.send)


async def test_the_state_goes_from_init_over_connect_and_receive_to_disconnect() -> None:
    piped = Piped(CONNECT, MESSAGE, DISCONNECT)
    states = [piped.connection.connection_state]
    await piped.receive()
    states.append(piped.connection.connection_state)
    await piped.send({"type": "websocket.accept"})
    states.append(piped.connection.connection_state)
    await piped.receive()
    states.append(piped.connection.connection_state)
    await piped.receive()
    states.append(piped.connection.connection_state)
    assert states == ["init", "connect", "connect", "receive", "disconnect"]


async def test_the_conversation_can_be_read_from_the_connection() -> None:
    piped = Piped(CONNECT, MESSAGE, DISCONNECT)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.receive()
    await piped.send({"type": "websocket.send", "bytes": b"1234567"})
    await piped.receive()
    connection = piped.connection
    assert connection.traffic == Traffic(
        text_received=1, text_bytes_received=5, binary_sent=1, binary_bytes_sent=7
    )
    assert (connection.close_code, connection.close_reason, connection.closed_by) == (
        4001,
        "bye",
        "client",
    )
    assert connection.handshake_status == 101


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close"}, 403),
        ({"type": "websocket.http.response.start", "status": 401, "headers": []}, 401),
    ],
)
async def test_whoever_waits_for_the_handshake_is_told_once(answer: Event, status: int) -> None:
    piped, told = Piped(CONNECT), []

    def note(event: Event) -> None:
        told.append((event, piped.connection.handshake_status, len(piped.sent)))

    piped.connection.on_handshake(note)
    piped.connection.on_handshake(note)
    await piped.receive()
    assert not told
    await piped.send(answer)
    assert told == [(answer, status, 1)] * 2


async def test_closing_from_the_middle_takes_the_connection_from_the_application() -> None:
    piped = Piped(CONNECT, MESSAGE)
    closer = object()
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(4008, "too fast", by=closer)
    assert piped.sent[1:] == [{"type": "websocket.close", "code": 4008, "reason": "too fast"}]
    assert piped.connection.connection_state == "disconnect"
    assert piped.connection.closed_by is closer
    assert await piped.receive() == {
        "type": "websocket.disconnect",
        "code": 4008,
        "reason": "too fast",
    }
    with pytest.raises(WebSocketDisconnect) as refused:
        await piped.send({"type": "websocket.send", "text": "more"})
    assert refused.value.code == 4008
    assert await piped.connection.finish(refused.value) is False
    assert piped.connection.error is None


async def test_closing_from_the_middle_is_by_default_with_1000_and_no_reason() -> None:
    piped = Piped(CONNECT)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(by="somebody")
    assert piped.sent[1:] == [{"type": "websocket.close", "code": 1000, "reason": ""}]


async def test_closing_from_the_middle_again_does_nothing() -> None:
    piped = Piped(CONNECT)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(4000, "x" * 200, by="first")
    await piped.connection.close(4001, by="second")
    (close,) = piped.sent[1:]
    assert (close["code"], len(close["reason"])) == (4000, 123)
    assert piped.connection.closed_by == "first"


class Refusing(Piped):
    """Takes only some events; what becomes of the others is up to the test."""

    refuses: Any

    async def server_send(self, event: Event) -> None:
        await self.refuses(event)
        await super().server_send(event)


async def test_closing_from_the_middle_falls_back_to_1000_where_the_server_wants_another_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refuse(event: Event) -> None:
        if event.get("code", 1000) != 1000:
            raise ValueError("invalid close code")

    piped = Refusing(CONNECT)
    piped.refuses = refuse
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(1008, "not so fast", by="a guard")
    assert piped.sent[1:] == [{"type": "websocket.close", "code": 1000, "reason": "not so fast"}]
    assert piped.connection.closed_by == "a guard"
    assert "refuses close code 1008: invalid close code; closing 1000" in caplog.text
    with pytest.raises(WebSocketDisconnect):
        await piped.send({"type": "websocket.send", "text": "more"})


async def test_closing_from_the_middle_raises_what_the_server_says_to_1000() -> None:
    async def refuse(event: Event) -> None:
        if event["type"] == "websocket.close":
            raise ValueError("no closing here")

    piped = Refusing(CONNECT)
    piped.refuses = refuse
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with pytest.raises(ValueError, match="no closing here"):
        await piped.connection.close(by="a guard")


async def test_closing_from_the_middle_gives_up_where_the_server_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def hang(event: Event) -> None:
        if event["type"] == "websocket.close":
            await anyio.sleep_forever()

    monkeypatch.setattr("wspipe.connection.CLOSE_TIMEOUT", 0.01)
    piped = Refusing(CONNECT)
    piped.refuses = hang
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with anyio.fail_after(5):
        await piped.connection.close(4000, by="a guard")
    assert "the server took no close within 0.01 seconds" in caplog.text
    assert len(piped.sent) == 1
    with pytest.raises(WebSocketDisconnect):
        await piped.send({"type": "websocket.send", "text": "more"})
    assert (await piped.receive())["code"] == 4000


async def test_closing_from_the_middle_refuses_a_code_that_may_not_be_sent() -> None:
    piped = Piped(CONNECT, strict=False)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with pytest.raises(ProtocolError, match="1006 is not a close code"):
        await piped.connection.close(1006, by="me")
    assert piped.sent[1:] == []


async def test_the_end_runs_the_exit_stack_and_keeps_the_error() -> None:
    piped, seen = Piped(), []
    connection, error = piped.connection, ValueError("mine")
    connection.exit_stack.callback(lambda: seen.append(connection.error))
    assert await connection.finish(error) is False
    assert seen == [error]


async def test_an_end_where_nothing_was_registered_suppresses_nothing() -> None:
    piped = Piped()
    assert await piped.connection.finish(None) is False
    assert piped.connection.error is None
