"""Cancelling the application from another task."""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task
from typing import TYPE_CHECKING, Any, cast

from anyio import CancelScope, get_cancelled_exc_class

from wspipe.exceptions import ImproperlyConfiguredException

if TYPE_CHECKING:
    from types import TracebackType


class ApplicationScope:
    """What a runner enters around the application, so that a stage can cancel it.

    Under asyncio the application is cancelled once, as by `Task.cancel`, so that it may await
    something while it cleans up. Under trio it is a cancel scope.
    """

    __slots__ = ("_before", "_cancelled", "_scope", "_task")

    def __init__(self) -> None:
        self._cancelled = False
        self._task: Task[Any] | None = None
        self._before = 0
        self._scope: CancelScope | None = None

    def cancel(self) -> None:
        """Cancel the application, where it runs; it ends without an error.

        Raises:
            ImproperlyConfiguredException: It is called in the application's own task.
        """
        if self._task is not None and self._task is current_task():
            raise ImproperlyConfiguredException(
                detail="application_scope.cancel() is for another task than the application's"
            )
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()
        if self._scope is not None:
            self._scope.cancel()

    def __enter__(self) -> None:
        """Begin to run the application, in the current task."""
        if get_cancelled_exc_class() is CancelledError:
            self._task = cast("Task[Any]", current_task())
            self._before = self._task.cancelling()
        else:
            self._scope = CancelScope()
            self._scope.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        """End it; a cancellation of ours goes no further."""
        if self._scope is not None:
            scope, self._scope = self._scope, None
            return bool(scope.__exit__(kind, error, traceback))
        task, self._task = cast("Task[Any]", self._task), None
        if not self._cancelled:
            return False
        return task.uncancel() <= self._before and isinstance(error, CancelledError)
