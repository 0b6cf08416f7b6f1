"""`websocket_app`: handlers that go on until the client has left, and after."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from wspipe import (
    ClientDisconnected,
    StateValidation,
    WebSocket,
    WebSocketDisconnect,
    websocket_app,
)

pytestmark = pytest.mark.anyio

DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


async def receives_text(socket: WebSocket) -> None:
    await socket.receive_text()


async def sends_after_the_end(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.send_text("x")


async def closes_after_the_end(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.close()


async def raises_a_group(socket: WebSocket) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.receive_text)


async def iterates(socket: WebSocket) -> None:
    async for _ in socket.iter_text():
        pass


@pytest.mark.parametrize(
    "handler",
    [receives_text, sends_after_the_end, closes_after_the_end, raises_a_group, iterates],
)
async def test_that_the_client_left_is_no_error_and_nothing_is_sent(
    new_run: Any, handler: Any
) -> None:
    it = await new_run(DISCONNECT).serve(handler)
    assert it.sent == ["accept"]
    assert it.seen == [(4001, "client", None, 101)]
    assert it.raised is None


async def test_an_error_after_the_client_left_is_one(new_run: Any) -> None:
    error = LookupError("mine")

    async def handler(socket: WebSocket) -> None:
        await iterates(socket)
        raise error

    it = await new_run(DISCONNECT).serve(handler)
    assert it.sent == ["accept"]
    assert it.seen == [(4001, "client", error, 101)]
    assert it.raised is error


async def test_a_group_with_an_error_in_it_is_an_error(new_run: Any) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(WebSocketDisconnect) as gone:
            await socket.receive_text()
        raise ExceptionGroup("both", [gone.value, LookupError("mine")])

    it = await new_run(DISCONNECT).serve(handler)
    assert isinstance(it.raised, ExceptionGroup)
    assert it.seen == [(4001, "client", it.raised, 101)]


async def test_a_server_that_can_send_no_more_is_no_error_of_the_handler(new_run: Any) -> None:
    it = new_run()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        it.fault = ConnectionResetError("gone")
        with pytest.raises(ClientDisconnected):
            await socket.send_text("x")
        await socket.send_text("y")

    await it.serve(handler)
    assert it.sent == ["accept"]
    assert it.seen == [(1006, "unknown", None, 101)]
    assert it.raised is None


async def test_a_lenient_class_gets_the_servers_own_error_which_is_no_error_either(
    new_run: Any,
) -> None:
    class Lenient(WebSocket, pipeline=StateValidation(strict=False)): ...

    it = new_run()

    @websocket_app(websocket_class=Lenient)
    async def app(socket: Lenient) -> None:
        await socket.accept()
        it.fault = BrokenPipeError("gone")
        await socket.send_text("x")

    await app(it.scope, it.receive, it.send)
    assert it.sent == ["accept"]
