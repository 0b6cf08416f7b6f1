"""`FakeClock`: an event loop in which waiting takes no time."""

from __future__ import annotations

import asyncio
from functools import partial
from math import inf, nextafter
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import anyio
from anyio.to_thread import current_default_thread_limiter

from wspipe.testing.loop import VirtualLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

T = TypeVar("T")

SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""


class FakeClock:
    """Runs async code in virtual time: when nothing can go on, time jumps to the next timer.

    Sleeps and timeouts cost nothing and are exact, so that a test may wait for an hour. Time goes
    on from one `run` to the next, and stands still in between and while code works.

    Where nothing can go on and no timer is set, a real loop would wait for ever; here `NeverEnds`
    is raised. Threads are outside of virtual time: while one works for the loop (by
    `asyncio.to_thread`, `run_in_executor`, or `anyio.to_thread` with its default limiter), time
    stands still and the loop waits for it. Sockets, pipes and processes are refused with an
    `OSError`, because they know nothing of virtual time.

    With `backend="trio"` time is that of trio's `MockClock`; there, code that waits for what cannot
    come waits for ever.

    It is also a clock for `RateLimit` and whatever else counts in nanoseconds, by `now` and
    `sleep`.

    Args:
        backend: The async library.
        start: The time at which it starts, in seconds.
        turns: How often the loop may go round while time stands still, before that counts as
            never ending too. Not for trio.
    """

    def __init__(
        self,
        backend: Literal["asyncio", "trio"] = "asyncio",
        *,
        start: float = 0.0,
        turns: int = 1_000_000,
    ) -> None:
        self.turns = turns
        self._time = start
        self._mock: MockClock | None = None
        if backend == "trio":
            from trio.testing import MockClock  # noqa: PLC0415 - only who uses trio has it

            self._mock = MockClock(autojump_threshold=0)
            self._mock.jump(start)

    @property
    def time(self) -> float:
        """The time in seconds, as `loop.time()` and `anyio.current_time()` give it."""
        return self._time if self._mock is None else self._mock.current_time()

    def now(self) -> int:
        """Tell the time in nanoseconds."""
        return round(self.time * SECOND)

    async def sleep(self, duration: int) -> None:
        """Wait on this clock, as a rate limit does.

        Args:
            duration: Nanoseconds.
        """
        await anyio.sleep(duration / SECOND)

    def run(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function in a new event loop, as `anyio.run` does.

        Args:
            function: The function.
            *args: Its arguments.

        Returns:
            What it returns.

        Raises:
            NeverEnds: It waits for what cannot come.
        """
        if self._mock is not None:
            return anyio.run(function, *args, backend="trio", backend_options={"clock": self._mock})
        options = {"loop_factory": partial(VirtualLoop, self)}
        return anyio.run(_run, function, *args, backend_options=options)

    def advance(self, seconds: float) -> None:
        """Let time pass; the loop does so by itself when nothing can go on.

        Args:
            seconds: How many seconds.
        """
        if self._mock is not None:
            self._mock.jump(seconds)
        else:
            self._time += seconds
            if self._time + 1 / SECOND == self._time:
                # asyncio takes for due what is less than a nanosecond ahead, and a float as
                # large as this knows no nanosecond.
                self._time = nextafter(self._time, inf)


async def _run(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    loop = cast("VirtualLoop", asyncio.get_running_loop())
    loop.limiter = current_default_thread_limiter()
    return await function(*args)
