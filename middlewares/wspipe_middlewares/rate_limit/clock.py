"""Time, as limits see it: a clock that never goes back, and waiting on it."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable

SECOND: Final = 1_000_000_000
"""Nanoseconds in a second."""

Now: TypeAlias = Callable[[], int]
"""Tells the time, in nanoseconds from whenever."""


class Clock(Protocol):
    """What a limit needs of a clock; a test may have one that it moves by itself."""

    @property
    def now(self) -> Now:
        """Tells the time, in nanoseconds."""
        ...

    def sleep(self, duration: int) -> Awaitable[None]:
        """Wait.

        Args:
            duration: Nanoseconds.
        """
        ...


class SystemClock:
    """The monotonic clock of the system, and waiting under asyncio and trio."""

    def __init__(self) -> None:
        self.now: Now = monotonic_ns

    def sleep(self, duration: int) -> Awaitable[None]:
        """Wait for so many nanoseconds."""
        return anyio.sleep(duration / SECOND)


SYSTEM: Final = SystemClock()


def steady(now: Now) -> Now:
    """Make a clock that stands still while the given one is behind where it was.

    So time that is counted twice brings no token, and no bucket is blocked until the time that a
    clock has jumped back from comes again.

    Args:
        now: Tells the time; that of the system is steady already.
    """
    if now is monotonic_ns:
        return now
    last, lost = now(), 0

    def steady_now() -> int:
        nonlocal last, lost
        time = now()
        if time < last:
            lost += last - time
        last = time
        return time + lost

    return steady_now
