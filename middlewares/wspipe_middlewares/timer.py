"""One timer for all the connections of an event loop."""

from __future__ import annotations

import logging
from heapq import heappop, heappush
from math import ceil, inf
from typing import TYPE_CHECKING, Final, Protocol

from anyio import Event as Signal
from anyio import move_on_after
from anyio.lowlevel import RunVar, checkpoint

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.background import BackgroundTask, EventLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, TypeAlias

    Task: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

PER_SECOND: Final = 16
"""How many moments a second has; an alarm rings at the first one that is not before its time."""

HORIZON: Final = 60.0
"""Seconds after which an alarm rings at the latest, so that none is kept longer than that."""

_logger = logging.getLogger("wspipe")

_AT_ONCE: Final = 500
"""How many alarms ring before the event loop has a turn."""


class Alarm(Protocol):
    """What a `Timer` wakes.

    Attributes:
        moment: The alarms of the same moment, `None` where it is not set; the timer's.
    """

    moment: set[Alarm] | None

    def ring(self, now: float, /) -> Task | None:
        """Do what is due by now, and set the alarm again where it is to ring once more.

        It may ring early: up to `HORIZON` seconds after it was set is sure, the rest is not.

        Args:
            now: The time, as the timer's clock tells it.

        Returns:
            What is to be done in a task of its own, if anything. It may raise nothing.
        """
        ...


class Timer:
    """Rings alarms, from one task that runs while any is set.

    Setting and cancelling an alarm costs the same however many there are.

    Attributes:
        loop: The event loop.
        now: Tells its time, in seconds.
        task: The task, `None` while no alarm is set.
    """

    def __init__(self) -> None:
        self.loop: EventLoop = EventLoop()
        self.now: Callable[[], float] = self.loop.now
        self.task: BackgroundTask | None = None
        self._moments: dict[int, set[Alarm]] = {}
        self._order: list[int] = []
        self._count = 0
        self._until: float = -inf
        self._changed = Signal()

    def at(self, when: float, alarm: Alarm) -> None:
        """Set an alarm, in place of when it was set to ring before.

        Args:
            when: Its time, by the timer's clock, in seconds.
            alarm: The alarm.
        """
        self.cancel(alarm)
        now = self.now()
        number = ceil(min(max(when, now), now + HORIZON) * PER_SECOND)
        moment = self._moments.get(number)
        if moment is None:
            moment = self._moments[number] = set()
            heappush(self._order, number)
            if number < self._until:
                self._changed.set()
        moment.add(alarm)
        alarm.moment = moment
        self._count += 1
        if self.task is None or self.task.is_over:
            self.task = BackgroundTask(self._run)

    def cancel(self, alarm: Alarm) -> None:
        """Have an alarm not ring, if it is set."""
        if alarm.moment is not None:
            alarm.moment.discard(alarm)
            alarm.moment = None
            self._count -= 1
            if not self._count:
                self._changed.set()

    async def _run(self) -> None:
        while self._count:
            number = self._order[0]
            wait = number / PER_SECOND - self.now()
            if wait <= 0:
                heappop(self._order)
                await self._ring(self._moments.pop(number))
            else:
                self._changed, self._until = Signal(), number
                with move_on_after(wait):
                    await self._changed.wait()
                self._until = -inf
        self.task = None
        self._moments.clear()
        self._order.clear()

    async def _ring(self, moment: set[Alarm]) -> None:
        rung = 0
        now = self.now()
        while moment:
            alarm = moment.pop()
            alarm.moment = None
            self._count -= 1
            try:
                task = alarm.ring(now)
            except Exception:
                _logger.exception("an alarm failed")
            else:
                if task is not None:
                    BackgroundTask(task)
            rung += 1
            if rung % _AT_ONCE == 0:
                await checkpoint()
                now = self.now()


_timer: Final[RunVar[Timer]] = RunVar("wspipe_middlewares.timer")


def shared_timer() -> Timer:
    """Give the timer of the running event loop.

    Raises:
        ImproperlyConfiguredException: No event loop is running.
    """
    try:
        return _timer.get()
    except LookupError:
        timer = Timer()
        _timer.set(timer)
        return timer
    except RuntimeError as error:
        raise ImproperlyConfiguredException(
            detail="a middleware with a timer needs a running event loop: make the connection in "
            "an async function"
        ) from error
