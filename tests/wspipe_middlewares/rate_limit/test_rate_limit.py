"""`RateLimit` on a connection: what passes, when, and what happens to the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.limited import SECOND, FakeClock, Model, echoing
from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    PipelineMiddleware,
    SteppedReceive,
    WebSocket,
    WebSocketDisconnect,
    message_size,
    on_receive,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import RateLimit
from wspipe_middlewares.rate_limit import Exceeded, RateLimitExceeded

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send, WebSocketApp

pytestmark = pytest.mark.anyio


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def send_to(app: WebSocketApp, *texts: str) -> None:
    """Send texts, and wait until the application is done with them."""
    async with connect(app) as client:
        for text in texts:
            await client.send_text(text)
        await anyio.wait_all_tasks_blocked()


async def test_what_is_below_the_limit_passes_at_once(clock: FakeClock) -> None:
    async with connect(echoing(RateLimit("5/second", clock=clock))) as client:
        for number in range(20):
            await client.send_text(str(number))
            assert await client.receive() == str(number)
            clock.move(0.2)
    assert clock.slept == []


@given(
    st.integers(1, 1000),
    st.sampled_from([("second", 1), ("minute", 60)]),
    st.integers(1, 50),
    st.lists(st.one_of(st.just(0), st.integers(0, 10**7), st.integers(0, 10**11)), max_size=60),
)
def test_each_message_is_decided_on_as_the_model_does(
    amount: int, unit: tuple[str, int], burst: int, gaps: list[int]
) -> None:
    clock, model = FakeClock(), Model(amount, unit[1], burst)
    limit = RateLimit(f"{amount}/{unit[0]}", burst=burst, on_limit="drop", clock=clock)
    receive, _ = limit(ASGIConnection(websocket_scope()), never, never)
    assert isinstance(receive, SteppedReceive)
    for gap in gaps:
        clock.time += gap
        model.move_to(clock.time)
        message: Event = {"type": "websocket.receive", "text": "a"}
        admitted = model.tokens >= 1
        assert at_once(receive.step(message)) is (message if admitted else None)
        if admitted:
            model.take(1)


def at_once(result: Any) -> Any:
    """Give what a step gave, which has nothing to wait for."""
    if isinstance(result, dict):
        return result
    with pytest.raises(StopIteration) as returned:
        result.send(None)
    return returned.value.value


async def never(*_: Any) -> Any:
    raise AssertionError


async def test_what_is_above_it_is_delayed_in_order_and_none_is_lost(clock: FakeClock) -> None:
    async with connect(echoing(RateLimit("5/second", clock=clock))) as client:
        for number in range(20):
            await client.send_text(str(number))
        assert [await client.receive() for _ in range(20)] == list(map(str, range(20)))
    # The first five are the burst; each of the others comes a fifth of a second later.
    assert clock.slept == [SECOND // 5] * 15


async def test_a_delay_beyond_the_longest_closes(clock: FakeClock) -> None:
    app = echoing(RateLimit("1/minute", clock=clock, max_delay=10))
    async with connect(app) as client:
        await client.send_text("first")
        await client.send_text("second")
        assert await client.receive() == "first"
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
        assert client.close_code == 1008
        assert client.close_reason == "rate limit of 1/minute exceeded, retry after 60 s"
    assert clock.slept == []


async def test_close_closes_at_once(clock: FakeClock) -> None:
    app = echoing(RateLimit("2/second", on_limit="close", clock=clock))
    async with connect(app) as client:
        for text in "abc":
            await client.send_text(text)
        assert [await client.receive() for _ in range(2)] == ["a", "b"]
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
        assert client.close_code == 1008


async def test_drop_drops_what_is_above_and_nothing_else(clock: FakeClock) -> None:
    app = echoing(RateLimit("2/second", on_limit="drop", clock=clock))
    async with connect(app) as client:
        for text in "abcd":
            await client.send_text(text)
        assert [await client.receive() for _ in range(2)] == ["a", "b"]
        await anyio.wait_all_tasks_blocked()
        clock.move(0.5)
        await client.send_text("e")
        assert await client.receive() == "e"


async def test_raise_raises_into_the_handler_which_may_go_on(clock: FakeClock) -> None:
    seen: list[RateLimitExceeded] = []

    @websocket_app(pipeline=RateLimit("1/second", on_limit="raise", clock=clock))
    async def patient(socket: WebSocket) -> None:
        while True:
            try:
                await socket.send_text(await socket.receive_text())
            except RateLimitExceeded as error:
                seen.append(error)
                await socket.send_text("too fast")

    async with connect(patient) as client:
        for text in "ab":
            await client.send_text(text)
        assert [await client.receive() for _ in range(2)] == ["a", "too fast"]
        clock.move(1)
        await client.send_text("c")
        assert await client.receive() == "c"
    (error,) = seen
    assert error.event["text"] == "b"
    assert (error.code, error.limit, error.retry_after) == (1008, "1/second", 1)
    assert error.key == "127.0.0.1"
    assert str(error) == "rate limit of 1/second exceeded, retry after 1 s"


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_function_may_answer_and_drop_or_let_pass(
    clock: FakeClock, *, is_async: bool
) -> None:
    told: list[Exceeded] = []

    async def answer(exceeded: Exceeded) -> Event | None:
        told.append(exceeded)
        await exceeded.send({"type": "websocket.send", "text": "slow down"})
        return None

    def let_pass(exceeded: Exceeded) -> Event | None:
        told.append(exceeded)
        return {**exceeded.event, "text": "late"}

    policy: Any = answer if is_async else let_pass
    app = echoing(RateLimit("1/second", on_limit=policy, clock=clock))
    async with connect(app) as client:
        for text in "ab":
            await client.send_text(text)
        answers = [await client.receive() for _ in range(2)]
        # The answer of the function does not wait for that of the handler.
        assert sorted(answers) == sorted(["a", "slow down" if is_async else "late"])
    assert [(each.event["text"], each.retry_after) for each in told] == [("b", 1)]


async def test_a_function_that_gives_neither_event_nor_none_is_an_error(clock: FakeClock) -> None:
    policy: Any = lambda _: "no"  # noqa: E731
    app = echoing(RateLimit("1/second", on_limit=policy, clock=clock))
    with pytest.raises(ImproperlyConfiguredException, match="returned 'no'; it must return the ev"):
        await send_to(app, "a", "b")


async def test_several_limits_have_to_agree(clock: FakeClock) -> None:
    app = echoing(RateLimit("2/second; 5/minute", on_limit="drop", clock=clock))
    passed: list[Any] = []
    async with connect(app) as client:
        for second in range(5):
            for number in range(3):
                await client.send_text(f"{second}.{number}")
            await anyio.wait_all_tasks_blocked()
            clock.move(1)
        await client.send_text("end")
        await anyio.wait_all_tasks_blocked()
        await client.close()
        while True:
            try:
                passed.append(await client.receive())
            except WebSocketDisconnect:
                break
    assert passed == ["0.0", "0.1", "1.0", "1.1", "2.0"]


async def test_bytes_are_counted_as_the_wire_has_them(clock: FakeClock) -> None:
    app = echoing(RateLimit("10/second", cost="bytes", on_limit="drop", clock=clock))
    async with connect(app) as client:
        for text in ("ääää", "ü", "x", "", "y", "", "z"):
            await client.send_text(text)
        await anyio.wait_all_tasks_blocked()
        # 8 + 2 bytes are the burst.
        assert [await client.receive() for _ in range(2)] == ["ääää", "ü"]
        clock.move(0.2)
        for text in ("", "", ""):
            await client.send_text(text)
        assert [await client.receive() for _ in range(2)] == ["", ""]


async def test_what_is_larger_than_the_burst_never_passes(clock: FakeClock) -> None:
    app = echoing(RateLimit("10/second", cost="bytes", clock=clock))
    async with connect(app) as client:
        await client.send_text("x" * 11)
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
        assert (client.close_code, client.close_reason) == (
            1008,
            "rate limit of 10/second exceeded",
        )


async def test_a_function_may_say_what_a_message_costs(clock: FakeClock) -> None:
    def cost(event: Event, _: ASGIConnection) -> int:
        return 0 if event["text"] == "free" else message_size(event)

    app = echoing(RateLimit("3/second", cost=cost, on_limit="drop", clock=clock))
    async with connect(app) as client:
        for text in ("aaa", "b", "free", "free"):
            await client.send_text(text)
        assert [await client.receive() for _ in range(3)] == ["aaa", "free", "free"]


@pytest.mark.parametrize("cost", [-1, 1.5, None, "1"])
async def test_a_cost_that_is_no_number_is_an_error(clock: FakeClock, cost: Any) -> None:
    app = echoing(RateLimit("3/second", cost=lambda *_: cost, clock=clock))
    with pytest.raises(
        ImproperlyConfiguredException, match=r"cost function .* returned .* a whole number"
    ):
        await send_to(app, "a")


async def test_only_messages_are_limited(clock: FakeClock) -> None:
    kinds: list[str] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        while not kinds or kinds[-1] != "websocket.disconnect":
            kinds.append((await receive())["type"])
            if kinds[-1] == "websocket.connect":
                await send({"type": "websocket.accept"})

    limited = PipelineMiddleware(app, RateLimit("1/minute", on_limit="drop", clock=clock))
    async with connect(limited) as client:
        for _ in range(5):
            await client.send_text("x")
    assert kinds == ["websocket.connect", "websocket.receive", "websocket.disconnect"]


async def give_up(*receives: Receive) -> None:
    """Start to receive, at once where there are several, and give up when all wait."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            for receive in receives:
                tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()


class Gate(FakeClock):
    """A clock on which who sleeps is let through one by one."""

    def __init__(self) -> None:
        super().__init__()
        self.sleepers = 0
        self.open = anyio.Event()

    async def sleep(self, duration: int) -> None:
        self.sleepers += 1
        await self.open.wait()
        await super().sleep(duration)


async def test_a_message_whose_receiver_gave_up_is_what_the_next_receive_gives() -> None:
    clock, costs, got = Gate(), list[str](), list[str]()

    def cost(event: Event, _: ASGIConnection) -> int:
        costs.append(event["text"])
        return 1

    limit = RateLimit("1/second", clock=clock, cost=cost)

    @websocket_app(pipeline=limit)
    async def impatient(socket: WebSocket) -> None:
        await socket.accept()
        got.append(await socket.receive_text())
        for _ in range(3):
            await give_up(socket.receive)
        clock.open.set()
        got.extend([await socket.receive_text() for _ in range(2)])
        await socket.send_text("done")

    async with connect(impatient) as client:
        for text in "abc":
            await client.send_text(text)
        assert await client.receive() == "done"
    assert (got, costs) == (["a", "b", "c"], ["a", "b", "c"])
    # The second message three times and once more, and the third.
    assert clock.sleepers == 5


async def test_a_function_is_asked_again_where_its_receiver_gave_up(clock: FakeClock) -> None:
    told: list[str] = []

    async def slow(exceeded: Exceeded) -> Event:
        told.append(exceeded.event["text"])
        if len(told) == 1:
            await anyio.sleep_forever()
        return exceeded.event

    @websocket_app(pipeline=RateLimit("1/second", on_limit=slow, clock=clock))
    async def impatient(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())
        await give_up(socket.receive)
        await socket.send_text(await socket.receive_text())

    async with connect(impatient) as client:
        for text in "ab":
            await client.send_text(text)
        assert [await client.receive() for _ in range(2)] == ["a", "b"]
    assert told == ["b", "b"]


async def test_a_message_that_was_kept_for_long_is_decided_on_anew() -> None:
    clock = Gate()
    limit = RateLimit("1/second", clock=clock)

    @websocket_app(pipeline=limit)
    async def impatient(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())
        await give_up(socket.receive)
        clock.move(60)
        clock.open.set()
        for _ in range(3):
            await socket.send_text(await socket.receive_text())

    async with connect(impatient) as client:
        for text in "abcd":
            await client.send_text(text)
        assert [await client.receive() for _ in range(4)] == ["a", "b", "c", "d"]
    # The last two came a second apart, and not with the one that was kept.
    assert clock.slept == [SECOND] * 2


async def test_messages_that_were_kept_keep_their_order() -> None:
    clock = Gate()

    @websocket_app(pipeline=RateLimit("1/second", clock=clock))
    async def impatient(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())
        await give_up(socket.receive, socket.receive, socket.receive)
        await give_up(socket.receive)
        clock.open.set()
        for _ in range(4):
            await socket.send_text(await socket.receive_text())

    async with connect(impatient) as client:
        for text in "abcde":
            await client.send_text(text)
        assert [await client.receive() for _ in range(5)] == ["a", "b", "c", "d", "e"]


async def test_a_message_is_not_delivered_after_a_middleware_has_closed() -> None:
    held, evict = anyio.Event(), anyio.Event()

    class Clock(FakeClock):
        async def sleep(self, duration: int) -> None:
            held.set()
            await evict.wait()
            await super().sleep(duration)

    events: list[Event] = []

    class Keep:
        connection: ASGIConnection

        def __call__(
            self, connection: ASGIConnection, receive: Receive, send: Send
        ) -> tuple[Receive, Send]:
            self.connection = connection
            return receive, send

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while not events or events[-1]["type"] != "websocket.disconnect":
            events.append(await receive())

    keep = Keep()
    limited = PipelineMiddleware(app, RateLimit("1/second", clock=Clock()) | keep)
    async with connect(limited) as client:
        for text in "ab":
            await client.send_text(text)
        await held.wait()
        await keep.connection.close(4000, "enough", by=keep)
        evict.set()
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
    assert [each["type"] for each in events] == ["websocket.receive", "websocket.disconnect"]
    assert events[-1]["code"] == 4000


@pytest.mark.parametrize("on_limit", ["delay", "close"])
async def test_connections_over_the_limit_are_denied_with_429(
    clock: FakeClock, on_limit: Any
) -> None:
    limit = RateLimit("2/minute", cost="connections", on_limit=on_limit, clock=clock)
    app = echoing(limit)
    for _ in range(2):
        async with connect(app) as client:
            # Messages are not counted.
            for _ in range(5):
                await client.send_text("x")
                assert await client.receive() == "x"
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app):
            pass
    assert denied.value.status == 429
    assert dict(denied.value.headers)[b"retry-after"] == b"30"
    assert denied.value.body == b"rate limit of 2/minute exceeded, retry after 30 s\n"
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app, extensions=()):
            pass
    assert (denied.value.status, denied.value.code) == (403, 1008)
    clock.move(30)
    async with connect(app):
        pass


async def test_a_connection_may_be_delayed_at_the_handshake(clock: FakeClock) -> None:
    app = echoing(RateLimit("2/second", cost="connections", clock=clock))
    for _ in range(4):
        async with connect(app):
            pass
    assert clock.slept == [SECOND // 2] * 2


async def test_a_function_may_let_a_connection_in_or_not(clock: FakeClock) -> None:
    def staff_only(exceeded: Exceeded) -> Event | None:
        assert exceeded.event == {"type": "websocket.connect"}
        return exceeded.event if exceeded.connection.scope["path"] == "/staff" else None

    app = echoing(RateLimit("1/minute", cost="connections", on_limit=staff_only, clock=clock))
    async with connect(app), connect(app, "/staff"):
        pass
    with pytest.raises(ConnectionDenied):
        async with connect(app, "/other"):
            pass


async def test_each_client_has_a_bucket_and_its_connections_share_it(clock: FakeClock) -> None:
    app = echoing(RateLimit("3/second", on_limit="drop", clock=clock))
    async with connect(app) as first, connect(app) as second:
        for client in (first, second):
            for _ in range(2):
                await client.send_text("x")
                await anyio.wait_all_tasks_blocked()
        await first.close()
        await second.close()
        passed = 0
        for client in (first, second):
            while True:
                try:
                    await client.receive()
                    passed += 1
                except WebSocketDisconnect:
                    break
    assert passed == 3


async def test_who_reconnects_finds_the_same_bucket(clock: FakeClock) -> None:
    app = echoing(RateLimit("3/second", on_limit="close", clock=clock))
    async with connect(app) as client:
        for _ in range(3):
            await client.send_text("x")
            await client.receive()
    async with connect(app) as client:
        await client.send_text("x")
        with pytest.raises(WebSocketDisconnect):
            await client.receive()


async def test_the_limit_sees_what_the_stages_before_it_let_pass(clock: FakeClock) -> None:
    @on_receive
    def drop_noise(event: Event, _: ASGIConnection) -> Event | None:
        return None if event["text"] == "noise" else event

    @websocket_app(pipeline=drop_noise | RateLimit("1/second", on_limit="close", clock=clock))
    async def echo(socket: WebSocket) -> None:
        async for text in socket.iter_text():
            await socket.send_text(text)

    async with connect(echo) as client:
        for text in ("noise", "noise", "word"):
            await client.send_text(text)
        assert await client.receive() == "word"


async def test_it_wraps_only_what_it_has_to(clock: FakeClock) -> None:
    async def receive() -> Event:
        raise AssertionError

    async def send(_: Event) -> None:
        raise AssertionError

    connection = WebSocket(websocket_scope(), receive, send)
    messages = RateLimit("1/second", clock=clock)(connection, receive, send)
    assert messages[0] is not receive
    assert messages[1] is send
    connections = RateLimit("1/second", cost="connections", clock=clock)
    assert connections(connection, receive, send) == (receive, send)
