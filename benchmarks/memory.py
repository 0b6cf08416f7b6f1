"""Memory: what one idle connection weighs, bare and fully observed."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

import wspipe

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Middleware


class Idle:
    """A server in memory: one message, and then nothing until it is told to end."""

    def __init__(self, number: int, end: asyncio.Event, idle: asyncio.Semaphore) -> None:
        self.events: list[Any] = [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "hello"},
        ]
        self.end = end
        self.idle = idle
        self.scope = {
            "type": "websocket",
            "http_version": "1.1",
            "scheme": "wss",
            "path": f"/rooms/{number}",
            "query_string": b"",
            "headers": [(b"host", b"chat.example"), (b"user-agent", b"Mozilla/5.0 (a browser)")],
            "client": ("192.0.2.1", number),
            "server": ("192.0.2.2", 443),
        }

    async def receive(self) -> Any:
        """Give the next event."""
        if self.events:
            return self.events.pop(0)
        self.idle.release()
        await self.end.wait()
        return {"type": "websocket.disconnect", "code": 1001}

    async def send(self, event: Any) -> None:
        """Take an event."""


def weigh(pipeline: Middleware | None, count: int, settle: Callable[[], object]) -> float:
    """Give the bytes that each of many idle connections holds, its task included.

    Args:
        pipeline: What observes it, if anything.
        count: How many connections to open.
        settle: Called before weighing; lets go of what no connection holds.
    """

    class Socket(wspipe.WebSocket, pipeline=pipeline):
        __slots__ = ()

    async def serve(idle: Idle) -> None:
        async with Socket(idle.scope, idle.receive, idle.send) as socket:
            await socket.accept()
            async for message in socket.iter_text():
                await socket.send_text(message)

    async def measure(count: int) -> float:
        end, idle = asyncio.Event(), asyncio.Semaphore(0)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        tasks = [asyncio.create_task(serve(Idle(i, end, idle))) for i in range(count)]
        for _ in range(count):
            await idle.acquire()
        settle()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        end.set()
        await asyncio.gather(*tasks)
        return (after - before) / count

    asyncio.run(measure(10))  # what is made once for all
    return asyncio.run(measure(count))
