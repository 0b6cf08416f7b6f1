"""A receive that shows each message to a plain function, and awaits only what it wants awaited."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from wspipe.judgement import kind_of
from wspipe.state_machine import RECEIVE
from wspipe.types import Event

if TYPE_CHECKING:
    from wspipe.types import Receive

Step: TypeAlias = Callable[[Event], Awaitable[Event | None] | Event | None]
"""Takes a message and gives what goes on, which may be another, `None` for none, or a coroutine."""

Resume: TypeAlias = Callable[[], Awaitable[Event | None]]
"""Gives what goes on in the place of a message that was held, or `None` for none."""


class SteppedReceive:
    """A receive for a stage that seldom has to await anything between a message and the next.

    A coroutine for each message costs more than what most stages do. Where there is nothing else
    between the wire and a `WebSocket`, that shows the step its messages without one.

    Args:
        receive: Gives the next event.
        step: Is shown each message that comes, once; other events pass it by.

    Attributes:
        backlog: What the next receives begin with.
        on_backlog: Called when there is a backlog, and when there is none any more.
    """

    __slots__ = ("__weakref__", "backlog", "on_backlog", "receive", "step")

    def __init__(self, receive: Receive, step: Step) -> None:
        self.receive: Receive = receive
        self.step: Step = step
        self.backlog: list[Resume] = []
        self.on_backlog: Callable[[], None] | None = None

    def hold(self, resume: Resume) -> None:
        """Have a later receive begin with a message that the step has in hand.

        For a step that is cancelled while it awaits something, so that the message is not lost.
        What is held first comes first. A step that several tasks receive through has to see to the
        order by itself.

        Args:
            resume: Gives what goes on in its place. It is not shown to the step again.
        """
        self.backlog.append(resume)
        self._tell()

    async def __call__(self) -> Event:
        """Give the next event that the step lets pass."""
        while True:
            if self.backlog:
                resume = self.backlog.pop(0)
                self._tell()
                passed = await resume()
            else:
                event = await self.receive()
                if kind_of(event) != RECEIVE:
                    return event
                result = self.step(event)
                if result is event:
                    return event
                passed = await _settled(result)
            if passed is not None:
                return passed

    async def go_on(self, result: object) -> Event:
        """Give the event that comes of what the step gave, or the next where it lets none pass.

        Args:
            result: What `step` gave in place of the message that it was shown.
        """
        passed = await _settled(result)
        return await self() if passed is None else passed

    def _tell(self) -> None:
        if self.on_backlog is not None:
            self.on_backlog()


async def _settled(result: Any) -> Event | None:
    """Await what a step gave, if that has to be awaited."""
    passed: Event | None = await result if inspect.isawaitable(result) else result
    return passed
