"""A circuit breaker: while the store does not answer, nobody waits for it."""

from __future__ import annotations

import asyncio
import logging
from math import inf
from random import uniform
from time import monotonic
from typing import TYPE_CHECKING, Final

from wspipe_middlewares.outcome import text_of, type_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_FAILURES_TO_OPEN: Final = 3
_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0

# One that opens again so soon goes on with the pause that it had.
_HEALTHY: Final = 10.0

_logger = logging.getLogger("wspipe")


class Breaker:
    """Opens when the store has failed three times in a row; closes when a probe succeeds.

    While it is open, a task probes the store, after a quarter of a second and then less and less
    often, down to once in five seconds.

    Args:
        store: Names the store, in log lines.
        meanwhile: What happens meanwhile, likewise.
        probe: Asks the store for something; raises where that fails.
        closed: Called when it closes.
        count: Called with each error, also of a probe.
    """

    def __init__(
        self,
        store: str,
        meanwhile: str,
        probe: Callable[[], Awaitable[object]],
        closed: Callable[[], None],
        count: Callable[[Exception], None],
    ) -> None:
        self.is_open: bool = False
        self._store = store
        self._meanwhile = meanwhile
        self._probe = probe
        self._closed = closed
        self._count = count
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._closed_at = -inf
        self._stopped = False
        self._probing: asyncio.Task[None] | None = None

    def succeeded(self) -> None:
        """Note that the store has answered."""
        self._failures = 0

    def failed(self, error: Exception) -> None:
        """Note that the store has not answered, or with an error."""
        self._count(error)
        self._failures += 1
        if self._failures >= _FAILURES_TO_OPEN:
            self.trip(error)

    def trip(self, error: Exception) -> None:
        """Open, unless it is open."""
        if self.is_open or self._stopped:
            return
        self.is_open = True
        _logger.warning(
            "the rate limit's store %s is out of order (%s: %s); until it answers, %s",
            self._store,
            type_of(error),
            text_of(error) or "no answer in time",
            self._meanwhile,
        )
        self._probing = asyncio.create_task(self._probe_until_it_answers())

    async def stop(self) -> None:
        """Stop probing, for good."""
        self._stopped = True
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])

    async def _probe_until_it_answers(self) -> None:
        if monotonic() - self._closed_at > _HEALTHY:
            self._pause = _FIRST_PAUSE
        while True:
            # Not all processes at the same moment.
            await asyncio.sleep(uniform(0.5, 1) * self._pause)  # noqa: S311 - no secret
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            try:
                await self._probe()
            except asyncio.CancelledError as error:
                task = asyncio.current_task()
                if self._stopped or (task is not None and task.cancelling()):
                    raise
                self._count(TimeoutError(f"the store was cancelled: {error}"))
            except Exception as error:  # noqa: BLE001 - a store may fail in any way
                self._count(error)
            else:
                break
        self.is_open = False
        self._failures = 0
        self._closed_at = monotonic()
        self._closed()
        _logger.warning("the rate limit's store %s answers again", self._store)
