"""One timer for all connections of an event loop."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.virtual import in_virtual_time
from wspipe_middlewares.background import BackgroundTask
from wspipe_middlewares.timer import HORIZON, PER_SECOND, Timer, shared_timer

if TYPE_CHECKING:
    from wspipe_middlewares.timer import Alarm, Task

STEP = 1 / PER_SECOND


class Bell:
    """An alarm that notes when it rings, and is set again until its time has come."""

    def __init__(self, timer: Timer, due: float = 0.0) -> None:
        self.timer = timer
        self.due = due
        self.rung: list[float] = []
        self.moment: set[Alarm] | None = None
        self.task: Task | None = None

    def ring(self, now: float) -> Task | None:
        self.rung.append(now)
        if now < self.due:
            self.timer.at(self.due, self)
        return self.task


@in_virtual_time
async def test_an_alarm_rings_once_not_before_its_time_and_hardly_after() -> None:
    timer = shared_timer()
    bells = [Bell(timer) for _ in range(100)]
    start = timer.now()
    for number, bell in enumerate(bells):
        timer.at(start + 0.1 * number, bell)
    await anyio.sleep(20)
    for number, bell in enumerate(bells):
        [rung] = bell.rung
        assert start + 0.1 * number <= rung <= start + 0.1 * number + 2 * STEP


@in_virtual_time
async def test_a_cancelled_alarm_does_not_ring() -> None:
    timer = shared_timer()
    bell, other = Bell(timer), Bell(timer)
    timer.at(timer.now() + 1, bell)
    timer.at(timer.now() + 1, other)
    timer.cancel(bell)
    timer.cancel(bell)
    await anyio.sleep(5)
    assert bell.rung == []
    assert len(other.rung) == 1


@in_virtual_time
async def test_an_alarm_that_is_set_again_rings_at_the_new_time_only() -> None:
    timer, start = shared_timer(), anyio.current_time()
    later, sooner = Bell(timer), Bell(timer)
    timer.at(start + 1, later)
    timer.at(start + 50, sooner)
    await anyio.sleep(0.5)  # the timer waits for the first
    timer.at(start + 9, later)
    timer.at(start + 0.75, sooner)
    await anyio.sleep(60)
    assert [round(moment - start, 2) for moment in later.rung] == [9]
    assert [round(moment - start, 2) for moment in sooner.rung] == [0.75]


@in_virtual_time
async def test_a_distant_alarm_rings_early_too() -> None:
    timer, start = shared_timer(), anyio.current_time()
    bell = Bell(timer, due=start + 150)
    timer.at(bell.due, bell)
    await anyio.sleep(200)
    assert [round(moment - start) for moment in bell.rung] == [HORIZON, 2 * HORIZON, 150]


@in_virtual_time
async def test_what_is_to_be_done_is_done_in_a_task_that_holds_up_no_other_alarm() -> None:
    timer, done = shared_timer(), anyio.Event()
    slow, next_one = Bell(timer), Bell(timer)

    async def take_long() -> None:
        await anyio.sleep(100)
        done.set()

    slow.task = take_long
    timer.at(timer.now() + 1, slow)
    timer.at(timer.now() + 2, next_one)
    await anyio.sleep(3)
    assert len(next_one.rung) == 1
    assert not done.is_set()
    await anyio.sleep(100)
    assert done.is_set()


@in_virtual_time
async def test_alarms_of_one_moment_let_others_run_in_between() -> None:
    timer, turns = shared_timer(), 0
    bells = [Bell(timer) for _ in range(2000)]
    for bell in bells:
        timer.at(timer.now() + 1, bell)

    async def count_turns() -> None:
        nonlocal turns
        while not all(bell.rung for bell in bells):
            turns += 1
            await anyio.lowlevel.checkpoint()

    await anyio.sleep(1 - STEP)
    with anyio.move_on_after(1):
        async with anyio.create_task_group() as tasks:
            await anyio.sleep(STEP)
            tasks.start_soon(count_turns)
    assert all(len(bell.rung) == 1 for bell in bells)
    assert turns >= 2


@in_virtual_time
async def test_it_starts_again_after_it_had_nothing_to_do() -> None:
    timer = shared_timer()
    bell = Bell(timer)
    for pause in (0, 30, 0.01):
        bell.rung.clear()
        timer.at(timer.now() + 1, bell)
        await anyio.sleep(2)
        assert len(bell.rung) == 1
        timer.at(timer.now() + 1, bell)
        timer.cancel(bell)
        await anyio.sleep(pause)


@pytest.mark.anyio
async def test_no_task_is_left_when_nothing_is_set() -> None:
    timer = shared_timer()
    bells = [Bell(timer) for _ in range(10)]
    for bell in bells:
        timer.at(timer.now() + 3600, bell)
    await anyio.wait_all_tasks_blocked()
    running = timer.task
    assert running is not None
    for bell in bells:
        timer.cancel(bell)
    with anyio.fail_after(5):
        await running.ended()
    assert timer.task is None


@pytest.mark.anyio
async def test_all_of_an_event_loop_share_it() -> None:
    assert shared_timer() is shared_timer()


def test_each_event_loop_has_its_own() -> None:
    async def timer() -> Timer:
        return shared_timer()

    assert anyio.run(timer) is not anyio.run(timer)


@in_virtual_time
@pytest.mark.reports_failures
async def test_an_alarm_that_fails_is_no_matter_for_the_others() -> None:
    timer = shared_timer()
    bells = [Bell(timer) for _ in range(10)]

    class Broken(Bell):
        def ring(self, now: float) -> Task | None:
            raise ValueError(now)

    for bell in [*bells, Broken(timer)]:
        timer.at(timer.now() + 1, bell)
    await anyio.sleep(2)
    assert all(len(bell.rung) == 1 for bell in bells)
    timer.at(timer.now() + 1, bells[0])
    await anyio.sleep(2)
    assert len(bells[0].rung) == 2


@in_virtual_time
async def test_it_outlives_a_task_that_was_cancelled() -> None:
    timer = shared_timer()
    bell = Bell(timer)
    timer.at(timer.now() + 1, bell)
    assert timer.task is not None
    timer.task.cancel()
    await timer.task.ended()
    timer.at(timer.now() + 1, bell)
    await anyio.sleep(2)
    assert len(bell.rung) == 1


@in_virtual_time
async def test_what_is_due_already_rings_at_once() -> None:
    timer = shared_timer()
    bell = Bell(timer)
    timer.at(timer.now() - 1000, bell)
    await anyio.sleep(STEP)
    assert len(bell.rung) == 1


# Tasks in the background.

context: ContextVar[str] = ContextVar("context", default="nothing")


@pytest.mark.anyio
async def test_a_background_task_does_not_inherit_the_context() -> None:
    seen = []

    async def look() -> None:
        seen.append(context.get())

    context.set("a connection's")
    await BackgroundTask(look).ended()
    assert seen == ["nothing"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_background_task_ends_with_its_event_loop(backend: str) -> None:
    ended = []

    async def wait() -> None:
        try:
            await anyio.sleep(3600)
        finally:
            ended.append("cancelled")

    async def begin() -> None:
        BackgroundTask(wait)
        await anyio.wait_all_tasks_blocked()

    anyio.run(begin, backend=backend)
    assert ended == ["cancelled"]


@pytest.mark.anyio
async def test_a_background_task_ends_when_it_is_cancelled() -> None:
    task = BackgroundTask(partial(anyio.sleep, 3600))
    await anyio.wait_all_tasks_blocked()
    task.cancel()
    with anyio.fail_after(5):
        await task.ended()


@pytest.mark.anyio
async def test_a_background_task_that_is_cancelled_at_once_ends_too() -> None:
    task = BackgroundTask(partial(anyio.sleep, 3600))
    task.cancel()
    with anyio.fail_after(5):
        await task.ended()


@pytest.mark.anyio
@pytest.mark.reports_failures
async def test_a_background_task_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("on purpose")

    await BackgroundTask(fail).ended()
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.getMessage() == "a task in the background failed"
