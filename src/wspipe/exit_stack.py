"""The end of a connection: callbacks that all run, whatever happens to the others."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from anyio import move_on_after

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger("wspipe")


class ExitStack(AsyncExitStack):
    """An `AsyncExitStack` for the end of a conversation, which must be reached.

    It differs from its base in how it unwinds. Callbacks run shielded from cancellation, and an
    async one that takes longer than `timeout` seconds is cancelled. One that fails or hangs hides
    neither the application's exception nor the other callbacks: each sees the application's.

    The shield is that of anyio. A bare `asyncio.Task.cancel()` that comes while an async callback
    runs ends that callback; the others still run.
    """

    timeout: float = 5.0
    """Seconds that each async callback has."""
    _unwinding = False

    def __init__(self) -> None:
        super().__init__()
        # A list weighs a tenth of the base's deque, and most connections have a few callbacks.
        self._exit_callbacks: list[tuple[bool | None, Callable[..., Any]]] = []

    def callback(
        self, callback: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Callable[P, T]:
        """Have a function called at the end.

        Args:
            callback: The function; what it returns is ignored.
            *args: Its arguments.
            **kwargs: Its named arguments.

        Returns:
            The function, so that this can be a decorator.
        """
        # Not wrapped, as by the base, in what takes the exception and drops it: that weighs more.
        bound = partial(callback, *args, **kwargs) if args or kwargs else callback
        self._exit_callbacks.append((None, bound))
        return callback

    async def unwind(self, error: BaseException | None) -> bool:
        """Run the callbacks, last in first out, and forget them.

        Does nothing while they run already, called from another task or from one of them.

        Args:
            error: The application's exception, or `None` where it returned.

        Returns:
            Whether a callback suppressed the exception by returning true.

        Raises:
            BaseException: The first failure of a callback, where there is no exception of the
                application for it to hide. Otherwise failures go to the logger `wspipe`.
        """
        if self._unwinding:
            return False
        self._unwinding = True
        try:
            return await self._run(error)
        finally:
            self._unwinding = False

    async def _run(self, error: BaseException | None) -> bool:
        suppressed = False
        failures: list[BaseException] = []
        callbacks = self._exit_callbacks
        while callbacks:
            is_sync, callback = callbacks.pop()
            shown = None if suppressed else error
            details = (
                (type(shown), shown, shown.__traceback__)
                if shown is not None
                else (None, None, None)
            )
            try:
                if is_sync is None:
                    callback()
                    result = None
                elif is_sync:
                    result = callback(*details)
                else:
                    result = await self._bounded(callback, *details)
            except BaseException as caught:  # noqa: BLE001 - the other callbacks have their turn
                failures.append(caught)
            else:
                suppressed = suppressed or (error is not None and bool(result))
        raised = failures[0] if failures and (error is None or suppressed) else None
        for failure in failures:
            if failure is not error and failure is not raised:
                _logger.error("an exit callback failed", exc_info=failure)
        if raised is not None:
            raise raised
        return suppressed

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """Unwind at the end of an `async with` block."""
        return await self.unwind(error)

    async def _bounded(self, callback: Callable[..., Any], *details: Any) -> Any:
        result = None
        with move_on_after(self.timeout, shield=True) as scope:
            result = await callback(*details)
        if scope.cancelled_caught:
            raise TimeoutError(f"an exit callback took longer than {self.timeout} seconds")
        return result
