"""`websocket_app`: what the exit callbacks can do about an ending."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import ASGIConnection, Pipeline, WebSocket, websocket_app
from wspipe.testing import ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Middleware, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}


def at_exit(register: Callable[[ASGIConnection], object]) -> Middleware:
    """Make a stage that only registers something for the end."""

    def stage(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        register(connection)
        return receive, send

    return stage


suppressing = at_exit(lambda connection: connection.exit_stack.push(lambda *_: True))


def raise_(error: BaseException) -> None:
    raise error


def raising(error: BaseException) -> Middleware:
    return at_exit(lambda connection: connection.exit_stack.callback(raise_, error))


async def fails(socket: WebSocket) -> None:
    await socket.accept()
    raise LookupError("the handler's")


async def returns(socket: WebSocket) -> None:
    await socket.accept()


class Server:
    def __init__(self) -> None:
        self.events: deque[Event] = deque([CONNECT])
        self.sent: list[tuple[Any, ...]] = []
        self.on_close: Callable[[], Any] | None = None

    async def receive(self) -> Event:
        return self.events.popleft()

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close" and self.on_close:
            await self.on_close()
        self.sent.append((event["type"], event.get("code"), event.get("reason")))


ACCEPT = ("websocket.accept", None, None)
FAILED = ("websocket.close", 1011, "")


async def run(handler: Any, *stages: Middleware, server: Server | None = None) -> Server:
    server = server or Server()
    app = websocket_app(handler, pipeline=Pipeline(*stages))
    with anyio.fail_after(5):
        await app(websocket_scope(), server.receive, server.send)
    return server


async def test_a_callback_that_suppresses_keeps_the_error_from_the_server_but_not_the_close() -> (
    None
):
    server = await run(fails, suppressing)
    assert server.sent == [ACCEPT, FAILED]


async def test_a_callback_may_close_otherwise_and_the_error_is_still_raised() -> None:
    async def close_otherwise(connection: ASGIConnection) -> None:
        assert connection.close_code == 1011
        assert isinstance(connection.error, LookupError)
        await connection.close(4011, "sorry", by="recovery")

    connections: list[ASGIConnection] = []

    def register(connection: ASGIConnection) -> None:
        connections.append(connection)
        connection.exit_stack.push_async_callback(close_otherwise, connection)

    server = Server()
    with pytest.raises(LookupError, match="the handler's"):
        await run(fails, at_exit(register), server=server)
    assert server.sent == [ACCEPT, ("websocket.close", 4011, "sorry")]
    (connection,) = connections
    assert (connection.close_code, connection.closed_by) == (4011, "recovery")


async def test_the_planned_end_can_still_be_read_by_the_outer_callbacks_after_a_close() -> None:
    seen: list[tuple[Any, Any]] = []

    def note_first(connection: ASGIConnection) -> None:
        connection.exit_stack.callback(
            lambda: seen.append((connection.close_code, connection.closed_by))
        )

    def close_later(connection: ASGIConnection) -> None:
        connection.exit_stack.push_async_callback(connection.close, 4000, by="an inner stage")

    with pytest.raises(LookupError):
        await run(fails, at_exit(note_first), at_exit(close_later), at_exit(note_first))
    assert seen == [(1011, "application"), (4000, "an inner stage")]


async def test_a_failing_callback_does_not_hide_the_handlers_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()
    with pytest.raises(LookupError, match="the handler's"):
        await run(fails, raising(OSError("a callback's")), server=server)
    assert server.sent == [ACCEPT, FAILED]
    assert "a callback's" in caplog.text


async def test_a_failing_callback_after_a_return_is_raised_once_the_connection_is_closed() -> None:
    server = Server()
    with pytest.raises(OSError, match="a callback's"):
        await run(returns, raising(OSError("a callback's")), server=server)
    assert server.sent == [ACCEPT, ("websocket.close", 1000, "")]


async def test_a_callback_that_fails_after_another_suppressed_does_not_keep_it_open() -> None:
    server = Server()
    with pytest.raises(OSError, match="a callback's"):
        await run(fails, raising(OSError("a callback's")), suppressing, server=server)
    assert server.sent == [ACCEPT, FAILED]


async def test_a_close_that_fails_is_logged_and_does_not_hide_the_handlers_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail() -> None:
        raise ValueError("the server's own bug")

    server = Server()
    server.on_close = fail
    with pytest.raises(LookupError, match="the handler's"):
        await run(fails, server=server)
    assert server.sent == [ACCEPT]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("wspipe", logging.WARNING)
    assert "could not be closed" in record.getMessage()
    assert "the server's own bug" in record.getMessage()


async def test_a_close_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wspipe.app.CLOSE_TIMEOUT", 0.01)
    server = Server()
    server.on_close = anyio.sleep_forever
    with pytest.raises(LookupError, match="the handler's"):
        await run(fails, server=server)
    assert server.sent == [ACCEPT]


async def test_the_callbacks_of_a_rejected_connection_run_without_an_error() -> None:
    errors: list[Any] = []

    def register(connection: ASGIConnection) -> None:
        connection.exit_stack.push(lambda *details: errors.append(details[1]))

    async def denies(socket: WebSocket) -> None:
        await socket.send_denial_response(404)

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(websocket_app(denies, pipeline=at_exit(register))):
            pass
    assert denied.value.status == 404
    assert errors == [None]


async def test_an_eviction_whose_close_was_not_taken_is_closed_again_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wspipe.connection.CLOSE_TIMEOUT", 0.01)
    server = Server()

    async def hang_once() -> None:
        server.on_close = None
        await anyio.sleep_forever()

    async def evicted(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4008, "too fast", by="a guard")
        raise LookupError("the handler's")

    server.on_close = hang_once
    with pytest.raises(LookupError, match="the handler's"):
        await run(evicted, server=server)
    assert server.sent == [ACCEPT, ("websocket.close", 4008, "too fast")]
