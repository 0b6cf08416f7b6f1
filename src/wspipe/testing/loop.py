"""The event loop of `FakeClock`: asyncio's, with another idea of time."""

from __future__ import annotations

import asyncio
from math import isinf
from pathlib import Path
from selectors import DefaultSelector
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

from wspipe.exceptions import WSPipeException

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Executor
    from contextvars import Context
    from selectors import SelectorKey
    from types import FrameType

    from anyio import CapacityLimiter

    from wspipe.testing.clock import FakeClock

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WITHIN: Final = ("wspipe.", "asyncio.", "anyio.", "trio.", "contextlib")


class NeverEnds(WSPipeException):
    """What runs under a `FakeClock` waits for what cannot come.

    The message tells where each task waits.
    """


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer instead of waiting for it.

    Args:
        clock: Has the time.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.jobs: int = 0
        self.limiter: CapacityLimiter | None = None
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self.clock.time

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call a function at a time; the end of a sleep for ever does not come."""
        if isinf(when):
            return asyncio.TimerHandle(when, callback, args, self, context)
        return super().call_at(when, callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Have a thread do something, and wait for it in real time."""
        future = super().run_in_executor(executor, func, *args)
        self.jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: object) -> None:
        self.jobs -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for the threads that are left."""
        self.jobs += 1
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self.jobs -= 1

    @property
    def awaits_thread(self) -> bool:
        """Whether a thread works for the loop, and is going to wake it."""
        return self.jobs > 0 or (self.limiter is not None and self.limiter.borrowed_tokens > 0)


class _Selector(DefaultSelector):
    """Tells the loop that its next timer is due, where nothing else is."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop
        self._idle_turns = 0

    def register(self, fileobj: Any, events: int, data: Any = None) -> SelectorKey:
        if self.get_map():  # the loop's own pipe, by which threads wake it
            raise OSError(
                "a FakeClock runs no real input and output: sockets, pipes and processes know "
                "nothing of virtual time"
            )
        return super().register(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        clock = self._loop.clock
        if timeout == 0:
            self._idle_turns += 1
            if self._idle_turns > clock.turns:
                self._idle_turns = 0
                raise self._never_ends(f"time has stood still for {clock.turns} turns of the loop")
            return super().select(0)
        self._idle_turns = 0
        if self._loop.awaits_thread:
            return super().select(None)
        if timeout is None:
            raise self._never_ends("no task can go on, and no timer is set")
        clock.advance(timeout)
        return []

    def _never_ends(self, problem: str) -> NeverEnds:
        places = sorted({place(task) for task in asyncio.all_tasks(self._loop)} - {""})
        return NeverEnds(detail="".join((problem, *(f"\n  in {each}" for each in places))))


def place(task: asyncio.Task[Any]) -> str:
    """Tell where a task waits: its functions from the outermost to the innermost.

    Those of event loops and of wspipe itself tell nothing, and are left out.
    """
    return " > ".join(
        f"{frame.f_code.co_name} ({Path(frame.f_code.co_filename).name}:{frame.f_lineno})"
        for frame in _frames(task.get_coro())
        if not frame.f_globals.get("__name__", "").startswith(_WITHIN)
    )


def _frames(awaited: object) -> Iterator[FrameType]:
    while awaited is not None:
        for prefix, following in (("cr", "cr_await"), ("gi", "gi_yieldfrom")):
            frame: FrameType | None = getattr(awaited, f"{prefix}_frame", None)
            if frame is not None:
                yield frame
                awaited = getattr(awaited, following)
                break
        else:
            return
