"""A middleware's close that the server does not take in time is sent once more at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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


async def test_a_close_that_overtakes_an_accept_answers_the_handshake() -> None:
    answers: list[Any] = []
    gate = anyio.Event()

    async def send(event: Event) -> None:
        if event["type"] == "websocket.accept":
            await gate.wait()
            raise RuntimeError("closed already")

    socket: WebSocket = WebSocket(websocket_scope(), SlowServer().receive, send)
    socket.on_handshake(answers.append)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def accept() -> None:
                with pytest.raises(RuntimeError):
                    await socket.accept()

            tasks.start_soon(accept)
            await anyio.wait_all_tasks_blocked()
            await socket.close(4008, "too fast", by="a guard")
            gate.set()
    assert answers == [CLOSE]
    assert socket.handshake_status == 403
