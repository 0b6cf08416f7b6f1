"""Cancelling at a certain await."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

T = TypeVar("T")

Victim: TypeAlias = Literal["application", "operation"]
"""Who is cancelled: the whole application, as a server does, or one receive or send of it, as a
timeout around it does."""


@dataclass
class Cancellation:
    """Cancels once, at the await of the given number.

    Attributes:
        victim: Who is cancelled.
        at: The number of the await, from 1. Only those count at which the task suspends.
        seen: How many there were so far.
        step: At which step of the conversation that was, counted from 0.
        over: Whether the application has ended, after which nothing is cancelled.
    """

    victim: Victim
    at: int
    seen: int = 0
    step: int | None = None
    over: bool = False

    def __str__(self) -> str:
        step = "its admission" if self.step is None else f"step {self.step + 1}"
        who = f"{step} alone" if self.victim == "operation" else f"the application, in {step},"
        return f"where {who} is cancelled, at await {self.at}"

    @property
    def happened(self) -> bool:
        """Whether there were so many."""
        return self.seen >= self.at

    def around(self, victim: Victim, awaitable: Awaitable[T]) -> Awaitable[T]:
        """Give what is to be awaited instead."""
        return _Watched(awaitable, self) if victim == self.victim else awaitable

    def suspended(self) -> None:
        """Take note of an await."""
        if self.over:
            return
        self.seen += 1
        task = asyncio.current_task()
        if self.seen == self.at and task is not None:
            task.cancel()


class _Watched(Generic[T]):
    """An awaitable that tells a cancellation each time it suspends."""

    def __init__(self, awaitable: Awaitable[T], cancellation: Cancellation) -> None:
        self._awaitable = awaitable
        self._cancellation = cancellation

    def __await__(self) -> Generator[Any, Any, T]:
        inner: Any = self._awaitable.__await__()
        outcome: BaseException | None = None
        while True:
            try:
                waits_for = next(inner) if outcome is None else inner.throw(outcome)
            except StopIteration as stop:
                value: T = stop.value
                return value
            self._cancellation.suspended()
            try:
                yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the inner one's
                outcome = error
            else:
                outcome = None
