"""`FakeClock`: waiting costs nothing, and is exact."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.to_thread
import pytest

from wspipe.testing import FakeClock, NeverEnds
from wspipe_middlewares import RateLimit

if TYPE_CHECKING:
    from wspipe_middlewares.rate_limit import Clock

SECOND = 1_000_000_000


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_day_passes_at_once(backend: Literal["asyncio", "trio"]) -> None:
    clock = FakeClock(backend)

    async def wait(seconds: float) -> float:
        await anyio.sleep(seconds)
        return anyio.current_time()

    started = time.monotonic()
    before = clock.time
    after = clock.run(wait, 86400)
    assert after - before == 86400
    assert clock.time == after
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_time_goes_on_from_one_run_to_the_next(backend: Literal["asyncio", "trio"]) -> None:
    clock = FakeClock(backend, start=50)
    clock.run(anyio.sleep, 1)
    clock.advance(9)
    clock.run(anyio.sleep, 5)
    assert clock.time == pytest.approx(65)


def test_it_is_a_clock_for_rate_limits() -> None:
    clock = FakeClock()
    as_clock: Clock = clock
    RateLimit("1/second", clock=as_clock)
    clock.run(clock.sleep, 3 * SECOND // 10)
    assert clock.now() == 3 * SECOND // 10


def test_what_is_due_first_comes_first() -> None:
    clock = FakeClock()
    notes: list[tuple[str, float]] = []

    async def note(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        notes.append((name, clock.time))

    async def run() -> None:
        await asyncio.gather(note("late", 3), note("soon", 1), note("later", 3.5))

    clock.run(run)
    assert notes == [("soon", 1), ("late", 3), ("later", 3.5)]


def test_a_timeout_comes_at_its_time() -> None:
    clock = FakeClock()

    async def run() -> bool:
        with anyio.move_on_after(30) as scope:
            await anyio.Event().wait()
        return scope.cancelled_caught

    assert clock.run(run)
    assert clock.time == 30


@pytest.mark.parametrize("start", [1e7, 1e9, 1e12])
def test_timers_come_however_late_it_is(start: float) -> None:
    clock = FakeClock(start=start)
    clock.run(anyio.sleep, 10)
    assert clock.time == pytest.approx(start + 10)


def test_what_waits_for_ever_is_told_where() -> None:
    async def wait_for_nobody() -> None:
        await asyncio.Event().wait()

    with pytest.raises(NeverEnds) as caught:
        FakeClock().run(wait_for_nobody)
    problem, place = str(caught.value).splitlines()
    assert problem == "no task can go on, and no timer is set"
    assert place.startswith("  in wait_for_nobody (test_clock.py:")


def test_a_sleep_for_ever_never_ends() -> None:
    with pytest.raises(NeverEnds):
        FakeClock().run(anyio.sleep_forever)


def test_a_sleep_for_ever_may_be_cancelled() -> None:
    async def wait_a_moment() -> None:
        with anyio.move_on_after(1):
            await anyio.sleep_forever()

    clock = FakeClock()
    clock.run(wait_a_moment)
    assert clock.time == 1


def test_waiting_in_a_generator_is_told_too() -> None:
    async def numbers() -> Any:
        yield 1
        await asyncio.Event().wait()

    async def count() -> None:
        async for _ in numbers():
            pass

    with pytest.raises(NeverEnds, match=r"in count \(test_clock.py:\d+\)$"):
        FakeClock().run(count)


def test_going_round_for_ever_is_told_too() -> None:
    async def poll() -> None:
        while True:  # noqa: ASYNC110 - the mistake
            await asyncio.sleep(0)

    with pytest.raises(
        NeverEnds, match="time has stood still for 100 turns of the loop\n  in poll"
    ):
        FakeClock(turns=100).run(poll)


def test_tasks_are_cancelled_where_nothing_can_go_on() -> None:
    ended: list[bool] = []

    async def wait_for_nobody() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(NeverEnds):
        FakeClock().run(wait_for_nobody)
    assert ended == [True]


@pytest.mark.parametrize("run_in_thread", [asyncio.to_thread, anyio.to_thread.run_sync])
def test_time_stands_still_while_a_thread_works(run_in_thread: Any) -> None:
    clock = FakeClock()
    go_on = threading.Event()

    async def release() -> None:
        await asyncio.sleep(0)
        go_on.set()

    async def run() -> float:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(release())
            timer = tasks.create_task(asyncio.sleep(100))
            await run_in_thread(go_on.wait, 30)
            now = clock.time
            timer.cancel()
        return now

    assert clock.run(run) == 0


def test_sockets_are_refused() -> None:
    async def connect(port: int) -> None:
        await asyncio.open_connection("127.0.0.1", port)

    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(OSError, match="a FakeClock runs no real input and output"),
    ):
        FakeClock().run(connect, server.getsockname()[1])
