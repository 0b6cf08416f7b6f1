"""A middleware's close that the server does not take in time is sent once more at the end."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import anyio
import pytest

from wspipe import WebSocket, websocket_app
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from wspipe import Event

pytestmark = pytest.mark.anyio

CLOSE = {"type": "websocket.close", "code": 4008, "reason": "too fast"}


class SlowServer:
    """A server that holds the first close that it is given, and takes the next."""

    def __init__(self) -> None:
        self.taken: list[Event] = []
        self.held = False

    async def receive(self) -> Event:
        return {"type": "websocket.connect"}

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close" and not self.held:
            self.held = True
            await anyio.sleep_forever()
        self.taken.append(event)


async def give_up_closing(socket: WebSocket) -> None:
    with anyio.move_on_after(0.01):
        await socket.close(4008, "too fast", by="a guard")
    assert socket.connection_state == "disconnect"


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("fail", [True, False])
async def test_the_close_is_sent_again_at_the_end(*, accept: bool, fail: bool) -> None:
    server, ends = SlowServer(), []

    @websocket_app
    async def app(socket: WebSocket) -> None:
        def note_end() -> None:
            ends.append((socket.close_code, socket.close_reason, socket.closed_by))

        socket.exit_stack.callback(note_end)
        if accept:
            await socket.accept()
        await give_up_closing(socket)
        if fail:
            raise KeyError("a fault")

    with anyio.fail_after(5):
        if fail:
            with pytest.raises(KeyError):
                await app(websocket_scope(), server.receive, server.send)
        else:
            await app(websocket_scope(), server.receive, server.send)
    assert server.taken[-1] == CLOSE
    assert len(server.taken) == 1 + accept
    assert ends == [(4008, "too fast", "a guard")]


@pytest.mark.parametrize("fail", [True, False])
async def test_a_close_that_was_refused_is_tried_again_with_1000_for_the_same_one(
    *, fail: bool
) -> None:
    taken: list[Event] = []
    connection: list[WebSocket] = []

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close" and len(taken) < 3:
            taken.append({"type": "refused"})
            raise RuntimeError("not now")
        taken.append(event)

    @websocket_app
    async def app(socket: WebSocket) -> None:
        connection.append(socket)
        await socket.accept()
        with pytest.raises(RuntimeError, match="not now"):
            await socket.close(4008, "too fast", by="a guard")
        if fail:
            raise KeyError("a fault")

    with anyio.fail_after(5), pytest.raises(KeyError) if fail else nullcontext():
        await app(websocket_scope(), SlowServer().receive, send)
    assert taken[-1] == {"type": "websocket.close", "code": 1000, "reason": "too fast"}
    socket = connection[0]
    assert (socket.close_code, socket.closed_by) == (1000, "a guard")


async def test_an_answer_that_never_settles_does_not_keep_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wspipe.app.CLOSE_TIMEOUT", 0.01)

    async def send(_: Event) -> None:
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            @websocket_app
            async def app(socket: WebSocket) -> None:
                tasks.start_soon(socket.accept)
                await anyio.wait_all_tasks_blocked()

            await app(websocket_scope(), SlowServer().receive, send)
            tasks.cancel_scope.cancel()


async def test_a_close_that_another_task_began_has_its_time() -> None:
    server, gate = SlowServer(), anyio.Event()

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close":
            await gate.wait()
        server.taken.append(event)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            @websocket_app
            async def app(socket: WebSocket) -> None:
                await socket.accept()
                tasks.start_soon(socket.close, 4001)
                await anyio.wait_all_tasks_blocked()

            async def serve() -> None:
                await app(websocket_scope(), server.receive, send)
                assert gate.is_set(), "the server would end the connection now"

            tasks.start_soon(serve)
            await anyio.wait_all_tasks_blocked()
            assert len(server.taken) == 1
            gate.set()
    assert [event.get("code") for event in server.taken] == [None, 4001]
