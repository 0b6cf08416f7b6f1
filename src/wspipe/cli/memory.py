"""What an application takes of memory, by what Python allocates (`tracemalloc`)."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wspipe.cli import conversation
from wspipe.cli.conversation import InTheWayError, Session, end, settle

if TYPE_CHECKING:
    from collections.abc import Generator

    from wspipe.types import ASGIApp, Event, Receive, Scope, Send


@contextmanager
def without_gc() -> Generator[None]:
    """Collect garbage only when told to, and only what is made from now on."""
    enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


@contextmanager
def tracing() -> Generator[None]:
    """Have `tracemalloc` on."""
    mine = not tracemalloc.is_tracing()
    if mine:
        tracemalloc.start()
    try:
        yield
    finally:
        if mine:
            tracemalloc.stop()


class WeighedEcho:
    """An application that echoes.

    Attributes:
        peaks: The bytes that each echo allocated at its peak.
    """

    def __init__(self) -> None:
        self.peaks: list[int] = []

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            event = await receive()
            if event["type"] != "websocket.receive":
                break
            await send({**event, "type": "websocket.send"})
            _, peak = tracemalloc.get_traced_memory()
            self.peaks.append(peak - before)
            del event


async def held_bytes(app: ASGIApp, scope: Scope, count: int) -> float:
    """Give the bytes that each of many open connections holds. `tracemalloc` must be on.

    Args:
        app: The application, which is to echo.
        scope: The connections' scope.
        count: How many there are.

    Raises:
        InTheWayError: It did not keep them all open.
    """
    gate = asyncio.Event()
    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    sessions = [_HeldSession(scope, gate) for _ in range(count)]
    tasks = [asyncio.create_task(each.serve(app)) for each in sessions]
    try:
        for session, task in zip(sessions, tasks, strict=True):
            await _settle_in(session, task)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        gate.set()
        for session, task in zip(sessions, tasks, strict=True):
            await settle(session, task)
    finally:
        await end(*tasks)
    return (after - before) / count


class _HeldSession(Session):
    """Waits after the first message until it is told to go on."""

    def __init__(self, scope: Scope, gate: asyncio.Event) -> None:
        super().__init__(scope, 0)
        self.gate = gate
        self.idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Event:
        if self.answers and not self.idle.done():
            self.idle.set_result(None)
            await self.gate.wait()
        return await super().receive()


async def _settle_in(session: _HeldSession, task: asyncio.Task[None]) -> None:
    """Wait until a held conversation has had its first message."""
    both = {session.idle, task}
    await asyncio.wait(both, timeout=conversation.PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if not session.idle.done():
        await settle(session, task)
        raise InTheWayError("it ended a connection that was to stay open")
