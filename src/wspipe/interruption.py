"""Ending from another task the receive that the application waits in.

After a close from the middle, a receive that waits ends when the server reports the end; from a
client that has vanished, that may take minutes. And Granian takes a close only when no receive is
waiting, because both need the same lock.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, CancelledError, Task, current_task, get_running_loop
from typing import TYPE_CHECKING, Any, cast

from anyio import CancelScope, get_cancelled_exc_class
from anyio import Event as Signal

from wspipe.state_machine import DISCONNECT

if TYPE_CHECKING:
    from wspipe.types import Event, Receive


class InterruptibleReceive:
    """A receive of the server's that can be ended from another task.

    Args:
        receive: The server's receive.
    """

    __slots__ = ("_loop", "_receive", "_resumed", "_waiting")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._loop: AbstractEventLoop | None = None
        self._waiting: set[Task[Any] | CancelScope] = set()
        self._resumed: Signal | None = None

    async def __call__(self) -> Event:
        """Give the server's next event, or a disconnect where interrupted."""
        if self._loop is None and not self._prepare():
            return await self._receive_in_scope()
        # A cancel scope would cost more than all the rest of a message.
        task: Any = current_task(self._loop)
        before, waiting = task.cancelling(), self._waiting
        waiting.add(task)
        try:
            event = await self._receive()
        except BaseException as error:
            # Cancelled by `interrupt`, which has taken it out, and by nobody else besides?
            if task in waiting:
                waiting.discard(task)
                raise
            if task.uncancel() > before or not isinstance(error, CancelledError):
                raise
            return await self._disconnected()
        # Where it was interrupted, the server's receive has kept that to itself.
        waiting.discard(task) if task in waiting else task.uncancel()
        return event

    def _prepare(self) -> bool:
        """Find the event loop; tell whether it is that of asyncio."""
        if get_cancelled_exc_class() is not CancelledError:
            return False
        self._loop = get_running_loop()
        return True

    async def _receive_in_scope(self) -> Event:
        with CancelScope() as scope:
            self._waiting.add(scope)
            try:
                return await self._receive()
            finally:
                self._waiting.discard(scope)
        return await self._disconnected()

    async def _disconnected(self) -> Event:
        # The application may end the connection when it hears of this: the close goes first.
        if self._resumed is not None:
            await self._resumed.wait()
        return {"type": DISCONNECT, "code": 1006}

    def interrupt(self, *, hold: bool = False) -> None:
        """End the receives that wait.

        Args:
            hold: They return at `resume` only.
        """
        if hold and self._resumed is None:
            self._resumed = Signal()
        while self._waiting:  # each once, though several may close at the same time
            self._waiting.pop().cancel()

    def resume(self) -> None:
        """Let the receives return that are held: the server has the close."""
        cast("Signal", self._resumed).set()
