"""Quotas from a shared store: leases among connections, and what stands in while it is out."""

from __future__ import annotations

import asyncio
import logging
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.limited import MemoryStore, echoing
from wspipe import ImproperlyConfiguredException, WebSocket, WebSocketDisconnect, websocket_app
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import RateLimit, names
from wspipe_middlewares.rate_limit import Grant, Request, breaker
from wspipe_middlewares.rate_limit.quota import ASK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.observed import Measured
    from wspipe import Event, WebSocketApp

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A shared store needs asyncio."""
    return "asyncio"


class Moody(MemoryStore):
    """A store that does not always answer."""

    def __init__(self) -> None:
        super().__init__(monotonic_ns)
        self.asked = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: Exception | None = None
        self.error_of_keys: Exception | None = None
        self.travel = 0.0

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if self.error_of_keys is not None and not key.endswith(" probe"):
            raise self.error_of_keys
        await asyncio.sleep(self.travel)
        await self.answers.wait()
        return self.take_now(key, limits, request)

    async def put_back(self, key: Any, limits: Any, *, count: int, mark: Any) -> None:
        if self.error is not None:
            raise self.error
        await super().put_back(key, limits, count=count, mark=mark)


@pytest.fixture
def store() -> Moody:
    return Moody()


@pytest.fixture(autouse=True)
def quick_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe at once, so that no test waits for it."""
    monkeypatch.setattr(breaker, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(breaker, "_LONGEST_PAUSE", 0.01)


@pytest.fixture
async def limits() -> AsyncGenerator[list[RateLimit]]:
    """Limits to be shut down at the end."""
    limits: list[RateLimit] = []
    yield limits
    for limit in limits:
        await limit.shutdown()


@pytest.fixture
def make(limits: list[RateLimit], store: Moody, measured: Measured) -> Any:
    """Make a limit with the store."""

    def make(rate: str = "5/day", **options: Any) -> RateLimit:
        options = {"on_limit": "drop", "meter_provider": measured.provider, **options}
        limits.append(RateLimit(rate, store=store, **options))
        return limits[-1]

    return make


async def passes(app: WebSocketApp, count: int) -> int:
    """Send so many messages, and tell how many came back."""
    passed = 0
    async with connect(app) as client:
        for number in range(count):
            await client.send_text(str(number))
        await client.close()
        try:
            while True:
                await client.receive()
                passed += 1
        except WebSocketDisconnect:
            return passed


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give what was logged."""
    return [line.getMessage() for line in caplog.records if line.name == "wspipe"]


async def test_limits_of_one_configuration_share_their_buckets(make: Any) -> None:
    first, second = make(), make()
    assert await passes(echoing(first), 4) == 4
    assert await passes(echoing(second), 4) == 1
    assert await passes(echoing(make(name="other")), 4) == 4
    assert await passes(echoing(make("6/day")), 9) == 6
    assert await passes(echoing(make(cost="bytes")), 9) == 5


async def test_connections_are_not_shared(make: Any, store: Moody) -> None:
    app = echoing(make(key="connection"))
    assert await passes(app, 9) == 5
    assert await passes(app, 9) == 5
    assert store.asked == 0


async def test_what_a_lease_has_left_comes_back_when_the_last_connection_ends(
    make: Any, store: Moody
) -> None:
    app = echoing(make("100_000/second", burst=1_000_000))
    async with connect(app) as first, connect(app) as second:
        for client in (first, second, first, second):
            await client.send_text("x")
            await client.receive()
        assert 1 <= store.asked < 4
        await first.close()
        await anyio.wait_all_tasks_blocked()
        assert store.returned == 0
        await second.close()
    assert store.returned > 0


async def test_connections_of_one_key_ask_once(make: Any, store: Moody) -> None:
    store.answers.clear()
    app = echoing(make("1000/day", store_timeout=5))
    async with connect(app) as first, connect(app) as second:
        for client in (first, second):
            await client.send_text("x")
        await anyio.wait_all_tasks_blocked()
        assert store.asked == 1
        store.answers.set()
        for client in (first, second):
            await client.receive()


async def test_many_that_wait_are_served_together_and_none_beyond_the_limit(
    make: Any, store: Moody
) -> None:
    store.travel = 0.01
    limit = make("20/day")
    source = limit._limiter.source()  # noqa: SLF001 - as many connections would
    source.enter("key")
    answers = await asyncio.gather(*(source.ask("key", 1) for _ in range(100)))
    assert sum(wait == 0 for _, wait in answers) == 20
    assert store.asked <= 3
    await source.leave("key")


async def test_who_waits_is_not_overtaken(make: Any, store: Moody) -> None:
    store.answers.clear()
    limit = make("10/day", store_timeout=5)
    source = limit._limiter.source()  # noqa: SLF001 - as connections would
    quota = source.enter("key")
    large = asyncio.create_task(source.ask("key", 8))
    await anyio.wait_all_tasks_blocked()
    small = asyncio.create_task(source.ask("key", 3))
    await anyio.wait_all_tasks_blocked()
    assert quota.take(1) == ASK
    store.answers.set()
    assert (await large)[1] == 0
    assert (await small)[1] > 0
    await source.leave("key")


async def test_what_is_granted_to_who_has_left_comes_back(make: Any, store: Moody) -> None:
    limit = make("100/second", burst=1000)
    source = limit._limiter.source()  # noqa: SLF001 - as a connection would
    source.enter("key")
    store.travel = 0.01
    asking = asyncio.create_task(source.ask("key", 1))
    while not store.asked:  # noqa: ASYNC110 - it is a matter of a step or two
        await asyncio.sleep(0)
    asking.cancel()
    await source.leave("key")
    assert store.returned > 10


async def test_who_asks_after_the_end_gets_what_stands_in(make: Any, store: Moody) -> None:
    limit = make("2/day")
    source = limit._limiter.source()  # noqa: SLF001 - as a connection would
    source.enter("key")
    await source.ask("key", 1)
    await source.leave("key")
    asked = store.asked
    assert [(await source.ask("key", 1))[1] == 0 for _ in range(3)] == [True, True, False]
    source.enter("key")
    await limit.shutdown()
    assert (await source.ask("key", 1))[1] > 0
    await source.leave("key")
    assert store.asked == asked


async def test_what_is_received_after_the_end_passes(make: Any, store: Moody) -> None:
    async def receive() -> Event:
        return {"type": "websocket.receive", "text": "late"}

    socket: WebSocket = WebSocket(websocket_scope())
    receive, _ = make()(socket, receive, socket.send)
    await socket.exit_stack.unwind(None)
    assert (await receive())["text"] == "late"
    assert store.asked == 0


async def test_what_is_received_after_the_lease_came_back_passes_and_asks_nobody(
    make: Any, store: Moody
) -> None:
    async def receive() -> Event:
        return {"type": "websocket.receive", "text": "late"}

    socket: WebSocket = WebSocket(websocket_scope())
    receive, _ = make()(socket, receive, socket.send)
    assert (await receive())["text"] == "late"
    await socket.exit_stack.unwind(None)
    asked = store.asked
    for _ in range(10):
        assert (await receive())["text"] == "late"
    assert store.asked == asked == 1


async def test_where_a_store_is_out_a_handshake_is_denied_without_a_time(
    make: Any, store: Moody
) -> None:
    store.error = ConnectionRefusedError("nobody there")
    limit = make(cost="connections", on_limit="close", on_store_error="deny")
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(echoing(limit)):
            pass
    assert denied.value.status == 429
    assert b"retry-after" not in dict(denied.value.headers)


async def test_a_probe_writes_and_takes_nothing_from_anybody(make: Any, store: Moody) -> None:
    limit = make("1/day", key=lambda _: "probe")
    for _ in range(3):
        await limit.startup()
    (probed,) = store.buckets
    assert probed.endswith(": probe")
    assert await passes(echoing(limit), 2) == 1


async def test_who_gives_up_while_the_store_is_asked_loses_nothing(make: Any, store: Moody) -> None:
    store.answers.clear()
    got: list[str] = []

    @websocket_app(pipeline=make("2/day", store_timeout=5))
    async def impatient(socket: WebSocket) -> None:
        await socket.accept()
        with anyio.move_on_after(0.01):
            await socket.receive_text()
        store.answers.set()
        got.extend([await socket.receive_text() for _ in range(2)])
        await socket.send_text("done")

    async with connect(impatient) as client:
        for text in "ab":
            await client.send_text(text)
        assert await client.receive() == "done"
    assert got == ["a", "b"]


@pytest.mark.parametrize(("on_error", "passed"), [("local", 5), ("allow", 9), ("deny", 0)])
async def test_what_stands_in_for_a_store_that_is_out(
    make: Any, store: Moody, on_error: str, passed: int, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = ConnectionRefusedError("nobody there")
    app = echoing(make(on_store_error=on_error))
    assert await passes(app, 9) == passed
    (line,) = lines(caplog)
    assert line.startswith("the rate limit's store Moody is out of order (ConnectionRefused")
    assert "nobody there" in line


async def test_it_heals_by_itself_and_says_so_once(
    make: Any, store: Moody, measured: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.error = ConnectionRefusedError("nobody there")
    limit = make(on_store_error="deny")
    app = echoing(limit)
    async with connect(app) as client:
        for _ in range(5):
            await client.send_text("lost")
        await anyio.wait_all_tasks_blocked()
        store.error = None
        while len(lines(caplog)) < 2:  # noqa: ASYNC110 - what is logged is no event
            await anyio.sleep(0.005)
        # The connection goes on, with what the store grants.
        await client.send_text("found")
        assert await client.receive() == "found"
    assert lines(caplog)[1] == "the rate limit's store Moody answers again"
    (point,) = measured.points(names.STORE_ERRORS.name)
    assert dict(point.attributes) == {
        names.RATE_LIMIT: "5/day",
        names.ERROR_TYPE: "ConnectionRefusedError",
    }
    # Three messages, and what was probed meanwhile.
    assert point.value >= 3


async def test_one_that_comes_and_goes_forgives_nothing(
    make: Any, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    store.error_of_keys = ConnectionResetError("no more of these")
    app = echoing(make())
    passed = 0
    for times in range(1, 4):
        passed += await passes(app, 9)
        while len(lines(caplog)) < 2 * times:  # noqa: ASYNC110 - what is logged is no event
            await anyio.sleep(0.005)
    assert passed == 5


@pytest.mark.parametrize(
    "grant",
    [
        Grant(2, (1,), 0),
        Grant(0, (1,), 0),
        Grant(-1, (1,), 0),
        Grant(1, (1, 1), 0),
        Grant(1, (), 0),
        Grant(1, (-1,), 0),
        Grant(1, (1,), 0.5),  # type: ignore[arg-type]
        Grant(1, (None,), 0),  # type: ignore[arg-type]
        None,
    ],
)
async def test_an_answer_that_makes_no_sense_is_an_error_of_the_store(
    make: Any, store: Moody, monkeypatch: pytest.MonkeyPatch, grant: Any
) -> None:
    async def take(*_: Any) -> Any:
        return grant

    monkeypatch.setattr(store, "take", take)
    # The probe does not look at what it gets.
    assert await passes(echoing(make(cost=lambda *_: 1)), 9) == 5


async def test_a_store_that_cancels_is_probed_again(
    make: Any, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = ConnectionResetError("gone")
    app = echoing(make())
    await passes(app, 3)
    store.error = asyncio.CancelledError("by the pool")  # type: ignore[assignment]
    asked = store.asked
    while store.asked < asked + 3:  # noqa: ASYNC110 - it is asked by a task of the limit's own
        await anyio.sleep(0.005)
    store.error = None
    while len(lines(caplog)) < 2:  # noqa: ASYNC110 - what is logged is no event
        await anyio.sleep(0.005)


async def test_one_that_fails_now_and_then_is_not_given_up(
    make: Any, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    app = echoing(make("1000/day", on_store_error="allow"))
    async with connect(app) as client:
        for number in range(20):
            store.error = ConnectionResetError("cut") if number % 3 else None
            await client.send_text(str(number))
            assert await client.receive() == str(number)
    assert lines(caplog) == []


async def test_a_store_that_hangs_is_waited_for_no_longer_than_the_timeout(
    make: Any, store: Moody
) -> None:
    store.answers.clear()
    app = echoing(make(store_timeout=0.05))
    assert await passes(app, 5) == 5
    # Three messages waited, then nobody did; the rest are probes.
    assert store.asked <= 4


async def test_what_does_not_answer_is_told_so(
    make: Any, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    store.answers.clear()
    await passes(echoing(make(store_timeout=0.01)), 3)
    (line,) = lines(caplog)
    assert "(TimeoutError: no answer in time)" in line


async def test_a_stand_in_goes_on_from_what_was_known_of_the_bucket(
    make: Any, store: Moody
) -> None:
    app = echoing(make())
    async with connect(app) as client:
        for _ in range(4):
            await client.send_text("x")
            await client.receive()
        store.error = ConnectionResetError("gone")
        for _ in range(5):
            await client.send_text("x")
        assert await client.receive() == "x"
        await anyio.wait_all_tasks_blocked()
        await client.close()
        with pytest.raises(WebSocketDisconnect):
            await client.receive()


async def test_nothing_is_given_back_to_a_store_that_is_out(make: Any, store: Moody) -> None:
    app = echoing(make("100_000/second", burst=1_000_000))
    async with connect(app) as client:
        for _ in range(3):
            await client.send_text("x")
            await client.receive()
        store.error = ConnectionResetError("gone")
    assert store.returned == 0


async def test_shutdown_ends_what_is_under_way(make: Any, store: Moody) -> None:
    store.answers.clear()
    limit = make(store_timeout=5, on_store_error="allow")
    app = echoing(limit)
    async with connect(app) as client:
        await client.send_text("x")
        await anyio.wait_all_tasks_blocked()
        await limit.shutdown()
        assert await client.receive() == "x"
    assert store.closed


async def test_startup_asks_the_store_so_that_the_first_message_need_not_connect(
    make: Any, store: Moody
) -> None:
    await make().startup()
    assert store.asked == 1


async def test_a_store_that_does_not_answer_at_startup_is_told_of_and_started_without(
    make: Any, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    store.error = ConnectionRefusedError("nobody there")
    limit = make()
    await limit.startup()
    (line,) = lines(caplog)
    assert "nobody there" in line
    assert await passes(echoing(limit), 9) == 5
    store.error = None


async def test_without_a_store_startup_and_shutdown_do_nothing() -> None:
    limit = RateLimit("1/second")
    await limit.startup()
    await limit.shutdown()


async def test_a_store_need_not_be_closable(limits: list[RateLimit], store: Moody) -> None:
    class Bare:
        def __init__(self) -> None:
            self.take, self.put_back = store.take, store.put_back

    limit = RateLimit("5/day", store=Bare(), on_limit="drop")
    assert await passes(echoing(limit), 9) == 5
    await limit.shutdown()
    assert not limits


async def test_who_has_no_key_is_not_limited(make: Any, store: Moody) -> None:
    assert await passes(echoing(make(key=lambda _: None)), 9) == 9
    assert store.asked == 0


async def test_closing_twice_does_nothing(make: Any) -> None:
    limit = make()
    await limit.startup()
    await limit.shutdown()
    await limit.shutdown()


def test_the_leases_of_a_loop_that_is_gone_go_with_the_next(store: Moody) -> None:
    limit = RateLimit("1000/day", store=store)
    for _ in range(3):
        anyio.run(passes, echoing(limit), 2)
    assert len(limit._limiter._shared) == 1  # noqa: SLF001 - nothing else tells
    anyio.run(limit.shutdown)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_under_trio_a_shared_store_is_refused(make: Any) -> None:
    app = echoing(make("1/second", name="trio"))
    with pytest.raises(ImproperlyConfiguredException, match="needs asyncio; under trio leave out"):
        async with connect(app):
            pass
