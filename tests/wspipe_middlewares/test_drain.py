"""`Drain` closes each connection between two messages, at a moment of its own."""

from __future__ import annotations

import gc
import weakref
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from math import inf, nan
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from wspipe import (
    ASGIConnection,
    Event,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
    on_receive,
    websocket_app,
)
from wspipe.testing import Client, ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import Drain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from wspipe import ASGIApp, Receive, Scope, Send
    from wspipe_middlewares.drain import Drained

ENDLESS: dict[str, Any] = {"deadline": 3600, "spacing": 3600}
MESSAGE = {"type": "websocket.receive", "text": "hello"}


class Desk:
    """An application that answers each message when it may, and remembers what it received."""

    def __init__(self, *stages: Any, **options: Any) -> None:
        self.drain = Drain(**options)
        self.received: list[str] = []
        self.may_answer = anyio.Event()
        self.app = websocket_app(self.serve, pipeline=Pipeline(*stages, self.drain))

    async def serve(self, socket: WebSocket) -> None:
        async for text in socket.iter_text():
            self.received.append(text)
            await self.may_answer.wait()
            await socket.send_text(f"done: {text}")


async def all_of(client: Client) -> list[str | bytes]:
    """Give what a client receives until it is closed."""
    received = []
    while True:
        try:
            received.append(await client.receive())
        except WebSocketDisconnect:
            return received


@asynccontextmanager
async def clients_of(app: ASGIApp, count: int) -> AsyncGenerator[list[Client], None]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(connect(app)) for _ in range(count)]


async def ready() -> None:
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()


def counts(drained: Drained) -> tuple[int, int, int]:
    return drained.closed, drained.interrupted, drained.ended


def in_virtual_time(function: Callable[[], Awaitable[None]]) -> None:
    trio.run(function, clock=MockClock(autojump_threshold=0))


# Between two messages.


@pytest.mark.anyio
async def test_who_waits_in_receive_is_closed() -> None:
    desk = Desk()
    desk.may_answer.set()
    async with connect(desk.app) as client:
        await client.send_text("1")
        assert await client.receive() == "done: 1"
        await ready()
        with anyio.fail_after(5):
            drained = await desk.drain.drain()
        assert await all_of(client) == []
        assert (client.close_code, client.close_reason) == (1012, "service restart")
    assert counts(drained) == (1, 0, 0)
    assert 0 <= drained.seconds < 5


@pytest.mark.anyio
async def test_code_and_reason_are_told() -> None:
    desk = Desk(code=4001, reason="à bientôt")
    async with connect(desk.app) as client:
        await ready()
        await desk.drain.drain()
        await all_of(client)
        assert (client.close_code, client.close_reason) == (4001, "à bientôt")


@pytest.mark.anyio
async def test_who_handles_a_message_is_closed_at_its_next_receive() -> None:
    desk, closed = Desk(), []
    async with connect(desk.app) as client, anyio.create_task_group() as tasks:

        async def listen() -> None:
            closed.extend(await all_of(client))
            closed.append(str(client.close_code))

        await client.send_text("1")
        await client.send_text("2")
        await ready()
        tasks.start_soon(listen)
        tasks.start_soon(desk.drain.drain)
        await ready()
        assert closed == []
        desk.may_answer.set()
        with anyio.fail_after(5):
            assert counts(await desk.drain.drain()) == (1, 0, 0)
    assert closed == ["done: 1", "1012"]
    assert desk.received == ["1"]


@pytest.mark.anyio
async def test_the_application_comes_back_after_a_failure_to_receive() -> None:
    """A receive that raises is not a message."""

    @on_receive
    def picky(event: Event, _: ASGIConnection) -> Event:
        if event.get("text") == "bad":
            raise LookupError
        return event

    drain, may_return = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=picky | drain)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(LookupError):
            await socket.receive_text()
        await may_return.wait()

    async with connect(app) as client:
        await client.send_text("bad")
        await ready()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 0)
        may_return.set()


@pytest.mark.anyio
async def test_a_cancelled_receive_leaves_the_right_state() -> None:
    drain, may_answer = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(3):
            with anyio.move_on_after(0):
                await socket.receive_text()
        text = await socket.receive_text()
        await may_answer.wait()
        await socket.send_text(text)
        with anyio.move_on_after(0):
            await socket.receive_text()

    async with connect(app) as client, anyio.create_task_group() as tasks:
        await ready()
        await client.send_text("1")
        await ready()
        tasks.start_soon(drain.drain)
        await ready()
        assert drain._open.entries  # noqa: SLF001 - it is handled still
        may_answer.set()
        assert await all_of(client) == ["1"]
        assert client.close_code == 1012


@pytest.mark.anyio
async def test_who_has_given_up_to_receive_handles_no_message() -> None:
    drain, hold = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())
        with anyio.move_on_after(0):
            await socket.receive_text()
        await hold.wait()

    async with connect(app) as client:
        await client.send_text("1")
        await ready()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 0)
        assert await all_of(client) == ["1"]
        hold.set()


@pytest.mark.anyio
async def test_who_only_sends_is_closed_at_its_moment() -> None:
    drain, hold = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        await hold.wait()

    async with connect(app) as client:
        await ready()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 0)
        await all_of(client)
        hold.set()


@pytest.mark.anyio
async def test_of_several_tasks_that_receive_none_may_handle_a_message() -> None:
    drain = Drain(**ENDLESS)
    doors = {str(number): anyio.Event() for number in range(2)}
    waiting: list[anyio.CancelScope] = []

    async def work(socket: WebSocket) -> None:
        while True:
            with anyio.CancelScope() as scope:
                waiting.append(scope)
                try:
                    text = await socket.receive_text()
                finally:
                    waiting.remove(scope)
                await doors[text].wait()
                await socket.send_text(text)

    async def work_until_closed(socket: WebSocket, crew: anyio.CancelScope) -> None:
        with suppress(WebSocketDisconnect):
            await work(socket)
        crew.cancel()  # a server reports the end once

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(work_until_closed, socket, tasks.cancel_scope)

    async with connect(app) as client, anyio.create_task_group() as tasks:
        await ready()
        await client.send_text("0")
        await client.send_text("1")
        await ready()
        [scope] = waiting
        scope.cancel()
        await ready()
        assert len(waiting) == 1
        assert waiting != [scope]  # it receives again, while two messages are handled
        tasks.start_soon(drain.drain)
        doors["0"].set()
        assert await client.receive() == "0"
        await ready()
        assert drain._open.entries  # noqa: SLF001 - one is handled still
        doors["1"].set()
        assert await all_of(client) == ["1"]
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 0)


@pytest.mark.anyio
async def test_what_a_stage_has_in_hand_reaches_no_application_that_is_closed() -> None:
    go_on = anyio.Event()

    @on_receive
    async def slow(event: Event, _: ASGIConnection) -> Event:
        if event["type"] == "websocket.receive":
            await go_on.wait()
        return event

    desk = Desk(slow)
    async with connect(desk.app) as client:
        await client.send_text("1")
        await ready()
        assert counts(await desk.drain.drain()) == (1, 0, 0)
        go_on.set()
        assert await all_of(client) == []
    assert desk.received == []


@pytest.mark.anyio
async def test_at_the_deadline_who_handles_a_message_is_closed_all_the_same() -> None:
    desk = Desk(deadline=0)
    async with connect(desk.app) as client, connect(desk.app) as idle:
        await client.send_text("1")
        await ready()
        drained = await desk.drain.drain()
        assert await all_of(client) == await all_of(idle) == []
        assert client.close_code == idle.close_code == 1012
        desk.may_answer.set()
    assert counts(drained) == (1, 1, 0)


# The handshake.


@pytest.mark.anyio
async def test_who_drains_lets_nobody_in() -> None:
    desk = Desk(deadline=7, reason="moving house")
    assert counts(await desk.drain.drain()) == (0, 0, 0)
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(desk.app):
            pass
    assert denied.value.status == 503
    assert dict(denied.value.headers)[b"retry-after"] in {b"6", b"7"}
    assert denied.value.body == b"moving house\n"
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(desk.app, extensions=()):
            pass
    assert (denied.value.code, denied.value.reason) == (1012, "moving house")


def test_it_says_to_come_back_when_the_deadline_is_over() -> None:
    async def main() -> None:
        desk = Desk(deadline=7)
        await desk.drain.drain()
        for slept, told in [(0, b"7"), (0.5, b"7"), (4.5, b"2"), (60, b"1")]:
            await anyio.sleep(slept)
            with pytest.raises(ConnectionDenied) as denied:
                async with connect(desk.app):
                    pass
            assert dict(denied.value.headers)[b"retry-after"] == told

    in_virtual_time(main)


@pytest.mark.anyio
async def test_who_is_in_the_handshake_is_denied_at_once() -> None:
    drain, hold = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=drain)
    async def app(_: WebSocket) -> None:
        await hold.wait()

    denials: list[tuple[int, int | None]] = []

    async def knock() -> None:
        with pytest.raises(ConnectionDenied) as denied:
            async with connect(app):
                pass
        denials.append((denied.value.status, denied.value.code))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(knock)
        await ready()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (3, 0, 0)
        hold.set()
    assert denials == [(403, 1012)] * 3


@pytest.mark.anyio
async def test_who_is_still_with_an_earlier_stage_never_comes_in() -> None:
    hold = anyio.Event()

    class Porter:
        def __call__(
            self, connection: ASGIConnection, receive: Receive, send: Send
        ) -> tuple[Receive, Send]:
            assert connection.scope
            return receive, send

        async def admit(self, _: ASGIConnection) -> None:
            await hold.wait()

    desk = Desk(Porter(), **ENDLESS)

    async def knock() -> None:
        with pytest.raises(ConnectionDenied):
            async with connect(desk.app):
                pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(knock)
        await ready()
        assert counts(await desk.drain.drain()) == (1, 0, 0)
        hold.set()


# The end.


@pytest.mark.anyio
async def test_all_who_drain_get_the_same_end() -> None:
    desk, ends = Desk(), []

    async def drain() -> None:
        ends.append(await desk.drain.drain())

    async with connect(desk.app), anyio.create_task_group() as tasks:
        await ready()
        for _ in range(3):
            tasks.start_soon(drain)
    ends.append(await desk.drain.drain())
    assert [counts(each) for each in ends] == [(1, 0, 0)] * 4
    assert all(each is ends[0] for each in ends)


@pytest.mark.anyio
async def test_where_the_first_is_cancelled_the_second_goes_on() -> None:
    desk, ends = Desk(**ENDLESS), []

    async def drain() -> None:
        ends.append(await desk.drain.drain())

    async with clients_of(desk.app, 2) as clients, anyio.create_task_group() as tasks:
        await clients[0].send_text("1")
        await ready()
        async with anyio.create_task_group() as first:
            first.start_soon(drain)
            await ready()
            first.cancel_scope.cancel()
        assert ends == []
        tasks.start_soon(drain)
        await ready()
        desk.may_answer.set()
        assert await all_of(clients[0]) == ["done: 1"]
        await clients[1].close()
    assert [counts(each) for each in ends] == [(1, 0, 1)]


@pytest.mark.anyio
async def test_it_ends_at_once_when_nobody_is_left() -> None:
    desk = Desk(**ENDLESS)
    desk.may_answer.set()
    async with clients_of(desk.app, 5) as clients, anyio.create_task_group() as tasks:
        await ready()
        tasks.start_soon(desk.drain.drain)
        await all_of(clients[0])
        await ready()
        assert [client.close_code for client in clients[1:]] == [None] * 4
        for client in clients[1:]:
            await client.close()
        with anyio.fail_after(5):
            assert counts(await desk.drain.drain()) == (1, 0, 4)


@pytest.mark.anyio
async def test_who_has_left_is_not_waited_for_while_its_application_cleans_up() -> None:
    drain, hold = Drain(**ENDLESS), anyio.Event()

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        async for _ in socket.iter_text():
            await socket.close()
            await hold.wait()
        await hold.wait()

    async with connect(app) as first, connect(app) as second, connect(app) as third:
        await first.close()  # which the application hears
        await second.send_text("close")  # and does not receive on
        await ready()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 1)
        await all_of(third)
        assert (second.close_code, third.close_code) == (None, 1012)
        hold.set()


@pytest.mark.anyio
async def test_nothing_is_kept_of_who_has_left() -> None:
    drain, left = Drain(), []

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        left.append(weakref.ref(socket))
        await all_messages(socket)

    for _ in range(3):
        async with connect(app) as client:
            await client.send_text("hello")
    gc.collect()
    assert [each() for each in left] == [None] * 3
    assert counts(await drain.drain()) == (0, 0, 0)


async def all_messages(socket: WebSocket) -> None:
    async for _ in socket.iter_text():
        pass


# The moments.


def moments_of(count: int, **options: Any) -> tuple[list[float], list[int]]:
    """Tell when each of so many is closed, in virtual time, and in which order."""
    moments: list[float] = []
    order: list[int] = []
    desk = Desk(**options)

    async def main() -> None:
        async with clients_of(desk.app, count) as clients, anyio.create_task_group() as tasks:

            async def listen(number: int) -> None:
                await all_of(clients[number])
                moments.append(anyio.current_time() - start)
                order.append(number)

            for number in range(count):
                tasks.start_soon(listen, number)
            await trio.testing.wait_all_tasks_blocked()
            start = anyio.current_time()
            drained = await desk.drain.drain()
            assert counts(drained) == (count, 0, 0)
            assert drained.seconds == pytest.approx(anyio.current_time() - start)

    in_virtual_time(main)
    return moments, order


def test_each_has_a_moment_of_its_own_and_the_oldest_is_first() -> None:
    moments, order = moments_of(5, deadline=10, spacing=0.1)
    assert moments == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert order == list(range(5))


def test_the_moments_of_many_leave_a_quarter_of_the_deadline_for_the_last() -> None:
    moments, order = moments_of(100, deadline=10, spacing=1)
    assert moments == pytest.approx([0.075 * number for number in range(100)])
    assert order == list(range(100))


def test_without_spacing_all_are_closed_at_once() -> None:
    moments, _ = moments_of(20, deadline=10, spacing=0)
    assert max(moments) < 0.1


@pytest.mark.anyio
async def test_each_is_closed_in_a_turn_of_its_own() -> None:
    """Also where their moments have passed; but trio may run one of them in the next one's."""
    turn, turns, closed = 0, [], anyio.Event()
    drain = Drain(spacing=0)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def noted_send(event: Event) -> None:
            if event["type"] == "websocket.close":
                turns.append(turn)
            await send(event)

        await PipelineMiddleware(websocket_app(all_messages), drain)(scope, receive, noted_send)

    async def spin() -> None:
        nonlocal turn
        while not closed.is_set():
            turn += 1
            await checkpoint()

    async with clients_of(app, 30), anyio.create_task_group() as tasks:
        await ready()
        tasks.start_soon(spin)
        await drain.drain()
        closed.set()
    assert len(turns) == 30
    assert len(set(turns)) > 15


def test_who_has_left_takes_no_moment() -> None:
    async def main() -> None:
        desk = Desk(spacing=1)
        async with clients_of(desk.app, 6) as clients:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(desk.drain.drain)
                await anyio.sleep(0.5)
                for client in clients[1:4]:
                    await client.close()
            drained = await desk.drain.drain()
            assert counts(drained) == (3, 0, 3)
            assert drained.seconds == pytest.approx(2)

    in_virtual_time(main)


def test_a_message_may_take_until_the_deadline() -> None:
    async def main() -> None:
        ends: list[float] = []
        drain = Drain(deadline=10)

        @websocket_app(pipeline=drain)
        async def app(socket: WebSocket) -> None:
            async for text in socket.iter_text():
                await anyio.sleep(float(text))
                await socket.send_text("done")

        async def talk(client: Client, seconds: float, answers: list[str]) -> None:
            await client.send_text(str(seconds))
            assert await all_of(client) == answers
            ends.append(anyio.current_time())

        cases: list[tuple[float, list[str]]] = [(4, ["done"]), (9.5, ["done"]), (60, [])]
        async with clients_of(app, 3) as clients, anyio.create_task_group() as tasks:
            for client, case in zip(clients, cases, strict=True):
                tasks.start_soon(talk, client, *case)
            await trio.testing.wait_all_tasks_blocked()
            start = anyio.current_time()
            assert counts(await drain.drain()) == (2, 1, 0)
        assert [end - start for end in ends] == pytest.approx([4, 9.5, 10])

    in_virtual_time(main)


# Servers that do not take a close.


class Line:
    """A connection to an application whose server's send is ours."""

    def __init__(self, app: ASGIApp, on_close: Callable[[], Awaitable[None]]) -> None:
        self.app, self.on_close = app, on_close
        self.to_app, self.app_receives = anyio.create_memory_object_stream[Event](9)
        self.to_app.send_nowait({"type": "websocket.connect"})
        self.closes: list[float] = []

    async def run(self) -> None:
        with self.to_app, self.app_receives:
            await self.app(websocket_scope(), self.app_receives.receive, self.send)

    async def send(self, event: Event) -> None:
        if event["type"] == "websocket.close":
            self.closes.append(anyio.current_time())
            await self.on_close()
            self.to_app.send_nowait({"type": "websocket.disconnect", "code": 1006})


async def take() -> None:
    pass


async def break_() -> None:
    raise RuntimeError("broken on purpose")


def test_one_that_is_stuck_holds_up_no_other() -> None:
    async def main() -> None:
        drain = Drain(deadline=2, spacing=0.1)
        app = PipelineMiddleware(websocket_app(all_messages), drain)
        lines = [Line(app, partial(anyio.sleep, inf)), *[Line(app, take) for _ in range(4)]]
        async with anyio.create_task_group() as tasks:
            for line in lines:
                tasks.start_soon(line.run)
                await trio.testing.wait_all_tasks_blocked()
            start = anyio.current_time()
            drained = await drain.drain()
            firsts = [line.closes[0] - start for line in lines]
            assert firsts == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
            assert counts(drained) == (5, 0, 0)
            assert drained.seconds <= 2 + 5 + 0.1
            tasks.cancel_scope.cancel()

    in_virtual_time(main)


@pytest.mark.anyio
async def test_one_that_is_refused_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    drain = Drain(spacing=0)
    app = PipelineMiddleware(websocket_app(all_messages), drain)
    lines = [Line(app, break_), Line(app, take)]
    async with anyio.create_task_group() as tasks:
        for line in lines:
            tasks.start_soon(line.run)
            await ready()
        with anyio.fail_after(5):
            await drain.drain()
        assert all(line.closes for line in lines)
        tasks.cancel_scope.cancel()
    assert "took no close: RuntimeError('broken on purpose')" in caplog.text


@pytest.mark.anyio
async def test_an_application_that_gives_up_while_it_is_closed_is_closed_all_the_same() -> None:
    """Its receive is cancelled while the server takes the close."""
    give_up, taken, hold = anyio.CancelScope(), anyio.Event(), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        assert scope
        assert await receive() == MESSAGE
        await hold.wait()
        with give_up:
            await receive()
        await anyio.sleep(inf)

    async def hang_once() -> None:
        if not give_up.cancel_called:
            give_up.cancel()
            await anyio.sleep(inf)
        taken.set()

    drain = Drain(deadline=1)
    line = Line(PipelineMiddleware(app, drain), hang_once)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        line.to_app.send_nowait(MESSAGE)
        await ready()
        tasks.start_soon(drain.drain)
        await ready()
        hold.set()
        with anyio.fail_after(5):
            assert counts(await drain.drain()) == (1, 0, 0)
        assert taken.is_set()
        tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_the_server_has_taken_the_close_before_the_application_hears_of_it() -> None:
    """A message that comes meanwhile ends its receive; if it returns, the server ends all."""
    drain, may_take, told = Drain(), anyio.Event(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        told.append((await receive())["type"])

    line = Line(PipelineMiddleware(app, drain), may_take.wait)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        await ready()
        tasks.start_soon(drain.drain)
        await ready()
        line.to_app.send_nowait(MESSAGE)
        await ready()
        assert len(line.closes) == 1
        assert told == []
        may_take.set()
    assert told == ["websocket.disconnect"]
    assert counts(await drain.drain()) == (1, 0, 0)


# All of it, at random.

talks = st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=6)


@given(
    talks=talks,
    start=st.integers(0, 30),
    pause=st.integers(0, 3),
    backend=st.sampled_from(["asyncio", "trio"]),
)
@settings(deadline=None)
def test_what_was_received_is_answered(
    talks: list[list[int]], start: int, pause: int, backend: str
) -> None:
    drain = Drain(spacing=0)
    received: dict[str, list[str]] = {}

    @websocket_app(pipeline=drain)
    async def app(socket: WebSocket) -> None:
        mine = received.setdefault(socket.query_params["name"], [])
        async for text in socket.iter_text():
            mine.append(text)
            for _ in range(int(text.partition(":")[2])):
                await checkpoint()
            await socket.send_text(text)

    async def talk(name: str, texts: list[str]) -> None:
        with suppress(ConnectionDenied):
            async with connect(app, f"/?name={name}") as client:
                for text in texts:
                    for _ in range(pause):
                        await checkpoint()
                    await client.send_text(text)
                answers = await all_of(client)
                assert answers == received[name] == texts[: len(answers)]
                assert client.close_code == 1012
            return
        assert not received.get(name)

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            for name, turns in enumerate(talks):
                texts = [f"{number}:{each}" for number, each in enumerate(turns)]
                tasks.start_soon(talk, str(name), texts)
            for _ in range(start):
                await checkpoint()
            with anyio.fail_after(10):
                drained = await drain.drain()
            assert drained.interrupted == drained.ended == 0

    anyio.run(main, backend=backend)


# The options.

BAD: list[tuple[dict[str, Any], str]] = [
    ({"deadline": -1}, "deadline=-1 must be a number of seconds from 0 to 3600"),
    ({"deadline": 3601}, "deadline=3601 must be a number of seconds from 0 to 3600"),
    ({"deadline": nan}, "deadline=nan must be"),
    ({"deadline": "5"}, "deadline='5' must be"),
    ({"deadline": True}, "deadline=True must be"),
    ({"spacing": -0.1}, "spacing=-0.1 must be a number of seconds, 0 or more"),
    ({"spacing": nan}, "spacing=nan must be"),
    ({"spacing": None}, "spacing=None must be"),
    *(
        ({"code": code}, f"code={code!r} must be a code that may be sent: 1000 to 1014 without")
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, True, "1012", None)
    ),
    ({"reason": "é" * 62}, "must be a text of at most 123 bytes in UTF-8"),
    ({"reason": None}, "reason=None must be a text"),
    ({"reason": b"x"}, "reason=b'x' must be a text"),
]


@pytest.mark.parametrize(("options", "message"), BAD, ids=repr)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Drain(**options)
    assert message in str(refused.value)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999])
def test_what_makes_sense_is_taken(code: int) -> None:
    drain = Drain(deadline=3600, spacing=inf, code=code, reason="é" * 61 + "e")
    assert repr(drain).startswith("Drain(deadline=3600, spacing=inf, code=")
    assert drain == Drain(deadline=3600, spacing=inf, code=code, reason=drain.reason)
    assert "_open" not in repr(drain)
