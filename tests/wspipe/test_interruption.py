"""What Granian needs; that it does is seen in tests/servers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wspipe import ASGIConnection, Event, WebSocket, WebSocketDisconnect
from wspipe.interruption import InterruptibleReceive

pytestmark = pytest.mark.asyncio


class Protocol:
    """A server as Granian is: it sends a close only while nobody waits in receive."""

    __module__ = "granian._granian"

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.lock = asyncio.Lock()
        self.lock_sends = asyncio.Lock()
        self.sent: list[Event] = []

    async def receive(self) -> Event:
        async with self.lock:
            return await self.events.get()

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            async with self.lock, self.lock_sends:
                self.sent.append(event)


async def connected() -> tuple[Protocol, WebSocket]:
    protocol = Protocol()
    socket: WebSocket = WebSocket({"type": "websocket"}, protocol.receive, protocol.send)
    protocol.events.put_nowait({"type": "websocket.connect"})
    await socket.accept()
    return protocol, socket


async def waiting(awaitable: Any) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0)
    return task


async def test_a_close_from_the_middle_ends_the_receive_that_waits() -> None:
    protocol, socket = await connected()
    task = await waiting(socket.receive_text())
    async with asyncio.timeout(2):
        await socket.close(4003, "go away", by="operator")
        with pytest.raises(WebSocketDisconnect) as caught:
            await task
    assert caught.value.code == 4003
    assert [event["code"] for event in protocol.sent] == [4003]
    assert (socket.close_code, socket.closed_by) == (4003, "operator")
    assert task.cancelling() == 0


async def test_several_closes_at_once_end_the_receive_once() -> None:
    protocol, socket = await connected()
    task = await waiting(socket.receive_text())
    async with asyncio.timeout(2):
        await asyncio.gather(socket.close(4003, by="one"), socket.close(4004, by="another"))
        with pytest.raises(WebSocketDisconnect) as caught:
            await task
    assert caught.value.code == 4003
    assert [event["code"] for event in protocol.sent] == [4003]
    assert task.cancelling() == 0


async def test_a_closer_that_gives_up_leaves_the_receive_to_the_others() -> None:
    protocol, socket = await connected()
    task = await waiting(socket.receive_text())
    async with asyncio.timeout(2):
        await protocol.lock_sends.acquire()
        first = await waiting(socket.close(4003, by="one"))
        await waiting(asyncio.wait_for(socket.close(4004, by="another"), 0.001))
        await asyncio.sleep(0.01)
        assert not task.done(), "the server has no close yet"
        protocol.lock_sends.release()
        await first
        with pytest.raises(WebSocketDisconnect):
            await task
    assert [event["code"] for event in protocol.sent] == [4003]


async def test_it_ends_the_receive_of_wait_for_too() -> None:
    _, socket = await connected()
    task = await waiting(asyncio.wait_for(socket.receive(), 5))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await socket.close(4003, by="operator")
        event = await task
    assert (event["type"], event["code"]) == ("websocket.disconnect", 4003)


async def test_a_real_cancellation_stays_one() -> None:
    _, socket = await connected()
    task = await waiting(socket.receive())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_real_cancellation_at_the_same_time_wins() -> None:
    receive = InterruptibleReceive(asyncio.Queue[Event]().get)
    task = await waiting(receive())
    receive.interrupt()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_messages_pass_as_they_are() -> None:
    protocol, socket = await connected()
    protocol.events.put_nowait({"type": "websocket.receive", "text": "hello"})
    assert await socket.receive_text() == "hello"


async def test_other_servers_keep_their_receive() -> None:
    async def receive() -> Event:
        return {"type": "websocket.connect"}

    connection: ASGIConnection = WebSocket({"type": "websocket"}, receive)
    assert connection.wire.receive_end is receive
