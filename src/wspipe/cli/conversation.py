"""A server in memory, which has timed conversations with an application."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe.types import ASGIApp, Event, Scope

PATIENCE: Final = 2.0
"""Seconds that an application has for one conversation."""

_TEXT: Final = "x" * 64


class InTheWayError(Exception):
    """A conversation did not come to its proper end; the message says why."""


class Session:
    """One message, then `count` that are timed, then the disconnect.

    Attributes:
        echo: Nanoseconds from the first message that is timed to the last, for all of them.
        elapsed: Nanoseconds of the whole conversation.
    """

    def __init__(self, scope: Scope, count: int) -> None:
        self.scope: dict[str, Any] = dict(scope)
        self.count = count
        self.answers: int = 0
        self.ending: Event | None = None
        self.echo: int = 0
        self.elapsed: int = 0
        self.script: Iterator[Event] = self._events()

    def _events(self) -> Iterator[Event]:
        yield {"type": "websocket.connect"}
        yield {"type": "websocket.receive", "text": _TEXT}
        began = perf_counter_ns()
        for _ in range(self.count):
            yield {"type": "websocket.receive", "text": _TEXT}
        self.echo = perf_counter_ns() - began
        yield {"type": "websocket.disconnect", "code": 1000}

    async def receive(self) -> Event:
        """Give the application the next event."""
        for event in self.script:
            return event
        in_vain: asyncio.Future[Event] = asyncio.get_running_loop().create_future()
        return await in_vain  # nothing comes after the disconnect

    async def send(self, event: Event) -> None:
        """Take an event of the application's."""
        if event["type"] == "websocket.send":
            self.answers += 1
        elif event["type"] != "websocket.accept" and self.ending is None:
            self.ending = event

    async def serve(self, app: ASGIApp) -> None:
        """Have the conversation."""
        start = perf_counter_ns()
        await app(self.scope, self.receive, self.send)
        self.elapsed = perf_counter_ns() - start

    def problem(self) -> str | None:
        """Tell what is wrong with a conversation that has ended."""
        if self.answers > self.count:
            return None
        if self.ending is None:
            return f"{self.answers} of {self.count + 1} messages came back"
        code = self.ending.get("status") or self.ending.get("code", 1000)
        return f"it ended the connection, with {code}"


async def converse(app: ASGIApp, scope: Scope, count: int) -> Session:
    """Serve a connection in a task of its own, as a server does.

    Args:
        app: The application, which is to echo.
        scope: The connection's scope.
        count: How many messages are timed.

    Raises:
        InTheWayError: It did not echo all of them, or not in time.
    """
    session = Session(scope, count)
    await settle(session, asyncio.create_task(session.serve(app)))
    return session


async def settle(session: Session, task: asyncio.Task[None]) -> None:
    """Wait for the end of a conversation, and see that it was a proper one."""
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    if not done:
        await end(task)
        raise InTheWayError(f"a conversation took longer than {PATIENCE:g} seconds")
    if task.cancelled():
        raise InTheWayError("it cancelled the connection")
    if error := task.exception():
        raise InTheWayError(f"it raised {error!r}") from error
    if problem := session.problem():
        raise InTheWayError(problem)


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel what still runs."""
    for task in tasks:
        task.cancel()
    done, _ = await asyncio.wait(tasks, timeout=PATIENCE)
    for task in done:
        if not task.cancelled():
            task.exception()  # or else the loop would complain that nobody asked
