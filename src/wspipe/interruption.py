"""Ending a receive that waits, on the server that cannot close meanwhile.

Granian takes a close only when no receive is waiting, because both need the same lock. So there the
waiting receive has to be ended first. This is the one place of the engine that knows asyncio; it is
imported on Granian alone, which runs nothing else.
"""

from __future__ import annotations

from asyncio import CancelledError, Task, current_task
from asyncio import Event as Flag
from typing import TYPE_CHECKING, Any, cast

from wspipe.state_machine import DISCONNECT

if TYPE_CHECKING:
    from wspipe.types import Event, Receive


class InterruptibleReceive:
    """A receive of the server's that can be ended from another task.

    Args:
        receive: The server's receive.
    """

    __slots__ = ("_interrupted", "_receive", "_resumed", "_waiting")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._waiting: set[Task[Any]] = set()
        self._interrupted = False
        self._resumed = Flag()

    async def __call__(self) -> Event:
        """Give the server's next event, or a disconnect where interrupted."""
        task = cast("Task[Any]", current_task())
        self._waiting.add(task)
        try:
            return await self._receive()
        except CancelledError:
            # Cancelled by `interrupt`, and by nobody else besides?
            if not self._interrupted or task.uncancel() > 0:
                raise
            # The application may end the connection when it hears of this: the close goes first.
            await self._resumed.wait()
            return {"type": DISCONNECT, "code": 1006}
        finally:
            self._waiting.discard(task)

    def resume(self) -> None:
        """Let the interrupted receives return: the server has the close."""
        self._resumed.set()

    def interrupt(self) -> None:
        """End the receives that wait; they return at `resume`."""
        self._interrupted = True
        while self._waiting:  # each once, though several may close at the same time
            self._waiting.pop().cancel()
