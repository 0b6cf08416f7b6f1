"""Ending a receive that waits; that Granian needs it is seen in tests/servers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.virtual import in_virtual_time
from wspipe import (
    ASGIConnection,
    Composable,
    Event,
    ImproperlyConfiguredException,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
)
from wspipe.application_scope import ApplicationScope
from wspipe.interruption import InterruptibleReceive
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send

in_asyncio = pytest.mark.asyncio


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


@in_asyncio
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


@in_asyncio
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


@in_asyncio
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


@in_asyncio
async def test_it_ends_the_receive_of_wait_for_too() -> None:
    _, socket = await connected()
    task = await waiting(asyncio.wait_for(socket.receive(), 5))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await socket.close(4003, by="operator")
        event = await task
    assert (event["type"], event["code"]) == ("websocket.disconnect", 4003)


@in_asyncio
async def test_a_real_cancellation_stays_one() -> None:
    _, socket = await connected()
    task = await waiting(socket.receive())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@in_asyncio
async def test_a_real_cancellation_at_the_same_time_wins() -> None:
    receive = InterruptibleReceive(asyncio.Queue[Event]().get)
    task = await waiting(receive())
    receive.interrupt()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@in_asyncio
async def test_messages_pass_as_they_are() -> None:
    protocol, socket = await connected()
    protocol.events.put_nowait({"type": "websocket.receive", "text": "hello"})
    assert await socket.receive_text() == "hello"


@in_asyncio
async def test_other_servers_keep_their_receive() -> None:
    async def receive() -> Event:
        return {"type": "websocket.connect"}

    connection: ASGIConnection = WebSocket({"type": "websocket"}, receive)
    assert connection.wire.receive_end is receive


@in_asyncio
async def test_all_that_wait_are_ended() -> None:
    receive = InterruptibleReceive(asyncio.Queue[Event]().get)
    tasks = [await waiting(receive()) for _ in range(3)]
    receive.interrupt()
    async with asyncio.timeout(2):
        events = await asyncio.gather(*tasks)
    assert [event["type"] for event in events] == ["websocket.disconnect"] * 3


@in_asyncio
async def test_who_has_been_cancelled_before_is_ended_all_the_same() -> None:
    receive = InterruptibleReceive(asyncio.Queue[Event]().get)

    async def survive() -> Event:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        return await receive()

    task = await waiting(survive())
    await asyncio.sleep(0.01)
    receive.interrupt()
    async with asyncio.timeout(2):
        assert (await task)["type"] == "websocket.disconnect"


@in_asyncio
async def test_a_cancellation_after_an_interruption_is_a_cancellation() -> None:
    receive = InterruptibleReceive(asyncio.Queue[Event]().get)
    first = await waiting(receive())
    receive.interrupt()
    await first
    second = await waiting(receive())
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second


@in_asyncio
@pytest.mark.parametrize("error", [None, ValueError("on purpose")])
async def test_a_server_that_keeps_the_interruption_to_itself_leaves_no_trace(
    error: Exception | None,
) -> None:
    async def stubborn() -> Event:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(100)
        if error is not None:
            raise error
        return {"type": "websocket.receive", "text": "hello"}

    receive = InterruptibleReceive(stubborn)
    task = await waiting(receive())
    receive.interrupt()
    async with asyncio.timeout(2):
        await asyncio.wait([task])
    assert task.exception() is error
    assert task.cancelling() == 0


# The application's scope.


@pytest.mark.anyio
async def test_a_scope_that_nobody_cancels_changes_nothing() -> None:
    scope = ApplicationScope()
    scope.cancel()  # nothing runs in it
    with scope:
        await anyio.lowlevel.checkpoint()
    with pytest.raises(ValueError, match="on purpose"), scope:
        raise ValueError("on purpose")


@in_asyncio
async def test_who_is_cancelled_may_await_while_it_cleans_up() -> None:
    scope, cleaned = ApplicationScope(), []

    async def application() -> None:
        with scope:
            try:
                await asyncio.sleep(100)
            finally:
                await asyncio.sleep(0.01)
                cleaned.append("all")

    task = await waiting(application())
    scope.cancel()
    scope.cancel()
    async with asyncio.timeout(2):
        await task
    assert cleaned == ["all"]
    assert task.cancelling() == 0


@in_asyncio
async def test_a_cancellation_by_the_server_at_the_same_time_goes_on() -> None:
    scope = ApplicationScope()

    async def application() -> None:
        with scope:
            await asyncio.sleep(100)

    task = await waiting(application())
    scope.cancel()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@in_asyncio
async def test_the_application_does_not_cancel_itself_by_it() -> None:
    scope = ApplicationScope()
    with scope, pytest.raises(ImproperlyConfiguredException, match=r"for another task"):
        scope.cancel()
    await asyncio.sleep(0)  # and nothing is left of it


@in_asyncio
async def test_another_error_in_the_cleaning_up_goes_on() -> None:
    scope = ApplicationScope()

    async def application() -> None:
        with scope:
            try:
                await asyncio.sleep(100)
            finally:
                raise ValueError("on purpose")

    task = await waiting(application())
    scope.cancel()
    with pytest.raises(ValueError, match="on purpose"):
        await task
    assert task.cancelling() == 0


# Of any server, on request.


class Silent(Composable):
    """A stage that closes from another task; behind it a server that never reports the end."""

    def __init__(self, *, allow: bool = True) -> None:
        self.allow = allow
        self.connection: ASGIConnection | None = None
        self.sent: list[Event] = []
        self.events: list[Event] = [{"type": "websocket.connect"}]

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.connection = connection
        if self.allow:
            connection.allow_interruption()
            connection.allow_interruption()
        return receive, send

    async def receive(self) -> Event:
        if not self.events:
            await anyio.sleep_forever()
        return self.events.pop()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(event)

    async def close(self, **options: Any) -> None:
        assert self.connection is not None
        await self.connection.close(4003, "out", by=self, **options)


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and receive until the end."""
    del scope
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        pass
    assert event["code"] == 4003


@in_virtual_time
async def test_a_receive_that_the_server_does_not_end_is_ended_after_a_while() -> None:
    server, ended = Silent(), []

    async def serve() -> None:
        app = PipelineMiddleware(listen, server)
        await app(websocket_scope(), server.receive, server.send)
        ended.append(anyio.current_time())

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await anyio.sleep(1)
        await server.close(linger=7)
    assert ended == [start + 8]
    assert [event["type"] for event in server.sent] == ["websocket.accept", "websocket.close"]
    assert server.connection is not None
    assert server.connection.closed_by is server


@in_virtual_time
async def test_a_connection_that_ends_by_itself_is_not_lingered_for() -> None:
    server = Silent()

    async def leave(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await anyio.sleep(2)

    async def serve() -> None:
        await PipelineMiddleware(leave, server)(websocket_scope(), server.receive, server.send)

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve)
        await anyio.sleep(1)
        await server.close(linger=100)
        assert anyio.current_time() == start + 2
        await server.close(linger=100)
        assert anyio.current_time() == start + 2


@in_virtual_time
async def test_who_did_not_ask_for_it_has_no_receive_ended() -> None:
    server = Silent(allow=False)
    async with anyio.create_task_group() as tasks:
        app = PipelineMiddleware(listen, server)
        tasks.start_soon(app, websocket_scope(), server.receive, server.send)
        await anyio.sleep(1)
        await server.close(linger=1)
        with anyio.move_on_after(100) as waited:
            await anyio.sleep_forever()
        tasks.cancel_scope.cancel()
    assert waited.cancelled_caught


@in_virtual_time
async def test_a_class_without_a_runner_has_its_receive_ended_too() -> None:
    server = Silent()

    class Socket(WebSocket, pipeline=server):
        pass

    ended: list[Any] = []
    async with (
        Socket(websocket_scope(), server.receive, server.send) as socket,
        anyio.create_task_group() as tasks,
    ):

        async def listen() -> None:
            with suppress(WebSocketDisconnect):
                await socket.receive_text()
            ended.append(anyio.current_time())

        await socket.accept()
        tasks.start_soon(listen)
        await anyio.sleep(1)
        start = anyio.current_time()
        await socket.close(4003, by="operator", linger=7)
    assert ended == [start + 7]


@in_virtual_time
async def test_ends_that_are_bound_late_can_be_interrupted_too() -> None:
    server = Silent()

    class Socket(WebSocket, pipeline=server):
        pass

    socket: WebSocket = Socket(websocket_scope())
    receive = socket.receive_wrapper(server.receive)
    assert socket.wire.receive_end is socket.wire.interruptible
    assert (await receive())["type"] == "websocket.connect"
