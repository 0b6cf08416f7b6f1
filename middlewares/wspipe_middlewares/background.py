"""Tasks that belong to no connection's own task, under asyncio and trio."""

from __future__ import annotations

import logging
from contextvars import Context
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from anyio import CancelScope, get_cancelled_exc_class
from anyio import Event as Signal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

_logger = logging.getLogger("wspipe")
_running: Final[set[asyncio.Task[None]]] = set()
"""The event loop holds its tasks weakly only."""


class BackgroundTask:
    """An async function that runs in a task of its own, to the event loop's end at the latest.

    It does not inherit the context (PEP 567), so that what it logs or traces is not taken for part
    of the connection at which it happened to begin.

    Args:
        function: What to run, from now on. It should raise nothing; what it does raise is logged.
    """

    __slots__ = ("_ended", "_function", "_scope")

    def __init__(self, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._function = function
        self._scope = CancelScope()
        self._ended = Signal()
        if in_trio():
            import trio  # noqa: PLC0415 - whoever runs under it has it

            trio.lowlevel.spawn_system_task(self._run)
            return
        import asyncio  # noqa: PLC0415 - whoever runs under it has it

        task = _start(asyncio.get_running_loop(), self._run())
        task.add_done_callback(self._forget)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self._ended.is_set()

    def cancel(self) -> None:
        """Have it end."""
        self._scope.cancel()

    async def ended(self) -> None:
        """Wait until it has ended."""
        await self._ended.wait()

    def _forget(self, _: object) -> None:
        self._ended.set()  # also where it was cancelled before it began

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._function()
        except BaseException as error:
            # Under trio it would end the whole run.
            if isinstance(error, (KeyboardInterrupt, SystemExit, get_cancelled_exc_class())):
                raise
            _logger.exception("a task in the background failed")
        finally:
            self._ended.set()


def _start(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    task = loop.create_task(coroutine, context=Context())
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def _called(function: Callable[[], object]) -> None:
    function()


class EventLoop:
    """The running event loop.

    Attributes:
        now: Tells its time, in seconds: that of its timers, and fast to read.
    """

    def __init__(self) -> None:
        self._thread = get_ident()
        self._call_soon: Callable[[Callable[[], object]], object]
        self.now: Callable[[], float]
        if in_trio():
            import trio  # noqa: PLC0415 - whoever runs under it has it

            self.now = trio.current_time
            self._call_soon = trio.lowlevel.current_trio_token().run_sync_soon
        else:
            import asyncio  # noqa: PLC0415 - whoever runs under it has it

            loop = asyncio.get_running_loop()

            def call_soon(function: Callable[[], object]) -> None:
                # In a task, because anyio knows nothing of asyncio outside of one.
                loop.call_soon_threadsafe(_start, loop, _called(function))

            self.now = loop.time
            self._call_soon = call_soon

    def call(self, function: Callable[[], object]) -> None:
        """Call a function in the loop's thread: at once where this is it, else soon."""
        if get_ident() == self._thread:
            function()
        else:
            self._call_soon(function)


def in_trio() -> bool:
    """Tell whether the running event loop is that of trio.

    Raises:
        RuntimeError: None is running.
    """
    return get_cancelled_exc_class().__module__.partition(".")[0] == "trio"


def is_being_cancelled() -> bool:
    """Tell whether a cancellation that was just raised is meant for the running task.

    Under asyncio, whoever awaits a cancelled future or task gets the same exception.
    """
    if in_trio():
        return True
    import asyncio  # noqa: PLC0415 - whoever runs under it has it

    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
