"""`ExitStack`: every callback runs, whatever happens to the others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe.exit_stack import ExitStack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.anyio


class FalsyError(Exception):
    def __bool__(self) -> bool:
        return False


def raising(error: BaseException) -> Callable[[], None]:
    def callback() -> None:
        raise error

    return callback


def suppressing(*_: Any) -> bool:
    return True


async def test_callbacks_run_once_last_in_first_out() -> None:
    stack, notes = ExitStack(), []

    async def later(note: str) -> None:
        await anyio.lowlevel.checkpoint()
        notes.append(note)

    @asynccontextmanager
    async def context() -> AsyncIterator[None]:
        yield
        notes.append("context")

    stack.callback(notes.append, "first")
    stack.push_async_callback(later, "second")
    await stack.enter_async_context(context())
    stack.callback(notes.append, "last")
    assert await stack.unwind(None) is False
    assert notes == ["last", "context", "second", "first"]
    assert await stack.unwind(None) is False
    assert len(notes) == 4


async def test_a_callback_registered_while_unwinding_runs_next() -> None:
    stack, notes = ExitStack(), []
    stack.callback(notes.append, "first")
    stack.callback(stack.callback, notes.append, "late")
    await stack.unwind(None)
    assert notes == ["late", "first"]


async def test_two_tasks_that_unwind_run_each_callback_once() -> None:
    stack, notes = ExitStack(), []

    async def slow(note: int) -> None:
        await anyio.lowlevel.checkpoint()
        notes.append(note)

    for number in range(6):
        stack.push_async_callback(slow, number)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stack.unwind, None)
        tasks.start_soon(stack.unwind, None)
    assert sorted(notes) == list(range(6))


async def test_a_callback_that_unwinds_does_not_run_the_others_before_their_turn() -> None:
    stack, notes = ExitStack(), []

    async def unwind_again() -> None:
        notes.append(f"again: {await stack.unwind(ValueError())}")

    stack.callback(notes.append, "first")
    stack.push_async_callback(unwind_again)
    await stack.unwind(None)
    assert notes == ["again: False", "first"]
    stack.callback(notes.append, "registered later")
    await stack.unwind(None)
    assert notes[2:] == ["registered later"]


@pytest.mark.parametrize("error", [None, ValueError("mine"), FalsyError("mine")])
async def test_every_callback_is_shown_the_exception(error: Exception | None) -> None:
    stack, shown = ExitStack(), []

    async def look(*details: Any) -> None:
        await anyio.lowlevel.checkpoint()
        shown.append(details)

    stack.push(lambda *details: shown.append(details))
    stack.push_async_exit(look)
    await stack.unwind(error)
    traceback = None if error is None else error.__traceback__
    kind = None if error is None else type(error)
    assert shown == [(kind, error, traceback)] * 2


@pytest.mark.parametrize(
    "failing", [RuntimeError("callback"), TimeoutError(), ExceptionGroup("", [OSError()])]
)
async def test_a_failing_callback_hides_neither_the_exception_nor_the_others(
    failing: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    stack, shown = ExitStack(), []
    error = ValueError("the application's")
    stack.push(lambda *details: shown.append(details[1]))
    stack.callback(raising(failing))
    stack.push(lambda *details: shown.append(details[1]))
    assert await stack.unwind(error) is False
    assert shown == [error, error]
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("wspipe", "an exit callback failed")
    assert record.exc_info is not None
    assert record.exc_info[1] is failing


async def test_the_first_failure_is_raised_where_the_application_returned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stack = ExitStack()
    first, second = RuntimeError("first"), RuntimeError("second")
    stack.callback(raising(second))
    stack.callback(raising(first))
    with pytest.raises(RuntimeError) as raised:
        await stack.unwind(None)
    assert raised.value is first
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [second]


async def test_a_callback_that_raises_the_applications_exception_again_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stack, error = ExitStack(), ValueError("the application's")

    @asynccontextmanager
    async def passes_on() -> AsyncIterator[None]:
        yield

    await stack.enter_async_context(passes_on())
    stack.callback(raising(error))
    assert await stack.unwind(error) is False
    assert not caplog.records


async def test_a_callback_that_returns_true_suppresses_and_the_rest_see_a_return() -> None:
    stack, shown = ExitStack(), []

    async def suppress(*_: Any) -> bool:
        await anyio.lowlevel.checkpoint()
        return True

    stack.push(lambda *details: shown.append(details))
    stack.push_async_exit(suppress)
    assert await stack.unwind(ValueError()) is True
    assert shown == [(None, None, None)]


async def test_there_is_nothing_to_suppress_in_a_return() -> None:
    stack = ExitStack()
    stack.push(suppressing)
    assert await stack.unwind(None) is False


async def test_a_failure_after_the_suppression_is_raised() -> None:
    stack = ExitStack()
    stack.callback(raising(RuntimeError("later")))
    stack.push(suppressing)
    with pytest.raises(RuntimeError, match="later"):
        await stack.unwind(ValueError())


async def test_a_hanging_callback_is_cancelled_after_the_timeout_and_the_others_run() -> None:
    stack, notes = ExitStack(), []
    stack.timeout = 0.01
    stack.callback(notes.append, "first")
    stack.push_async_callback(anyio.sleep_forever)
    stack.callback(notes.append, "last")
    with anyio.fail_after(5), pytest.raises(TimeoutError, match=r"longer than 0\.01 seconds"):
        await stack.unwind(None)
    assert notes == ["last", "first"]


async def test_a_hanging_callback_does_not_hide_the_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stack = ExitStack()
    stack.timeout = 0.01
    stack.push_async_callback(anyio.sleep_forever)
    with anyio.fail_after(5):
        assert await stack.unwind(ValueError()) is False
    assert "longer than 0.01 seconds" in caplog.text


async def test_a_cancelled_scope_does_not_reach_the_callbacks() -> None:
    stack, notes = ExitStack(), []

    async def slow(note: str) -> None:
        await anyio.sleep(0.001)
        notes.append(note)

    stack.push_async_callback(slow, "first")
    stack.push_async_callback(slow, "last")
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as cancelled:
            await stack.unwind(cancelled)
            raise
    assert scope.cancelled_caught
    assert notes == ["last", "first"]


async def test_an_async_with_block_unwinds_and_raises_or_suppresses() -> None:
    notes: list[str] = []

    async def fail_in(stack: ExitStack) -> None:
        async with stack:
            raise ValueError("mine")

    raising_stack, suppressing_stack = ExitStack(), ExitStack()
    raising_stack.callback(notes.append, "raised")
    suppressing_stack.callback(notes.append, "suppressed")
    suppressing_stack.push(suppressing)
    with pytest.raises(ValueError, match="mine"):
        await fail_in(raising_stack)
    await fail_in(suppressing_stack)
    assert notes == ["raised", "suppressed"]


@pytest.mark.asyncio
async def test_a_cancelled_task_runs_every_callback_and_stays_cancelled() -> None:
    stack, notes, started = ExitStack(), [], asyncio.Event()
    stack.timeout = 0.01

    async def slow(note: str) -> None:
        await asyncio.sleep(0.001)
        notes.append(note)

    async def application() -> None:
        async with stack:
            started.set()
            await asyncio.sleep(60)

    stack.push_async_callback(slow, "first")
    stack.push_async_callback(asyncio.sleep, 60)
    stack.push_async_callback(slow, "last")
    task = asyncio.create_task(application())
    await started.wait()
    task.cancel("shutting down")
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()
    assert notes == ["last", "first"]


@pytest.mark.asyncio
async def test_a_task_cancelled_while_it_unwinds_still_runs_the_other_callbacks() -> None:
    stack, notes, unwinding = ExitStack(), [], asyncio.Event()

    async def interrupted() -> None:
        unwinding.set()
        await asyncio.sleep(60)

    stack.callback(notes.append, "first")
    stack.push_async_callback(interrupted)
    task = asyncio.create_task(stack.unwind(None))
    await unwinding.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()
    assert notes == ["first"]
