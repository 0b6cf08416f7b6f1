"""Idle connections: what `Timeouts` costs while nothing happens, and what it holds."""

from __future__ import annotations

import asyncio
import gc
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.in_process.memory import Idle
from wspipe import PipelineMiddleware

if TYPE_CHECKING:
    from wspipe import Middleware


class Idleness(NamedTuple):
    """What was seen while connections were idle.

    Attributes:
        tasks: How many tasks there were besides those of the connections.
        processor: Seconds of the processor per second.
        longest: The longest turn of the event loop, in seconds.
    """

    tasks: int
    processor: float
    longest: float


async def listen(_scope: Any, receive: Any, send: Any) -> None:
    """Accept, and answer what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def watch(pipeline: Middleware | None, count: int, seconds: float) -> Idleness:
    """Open connections, and measure while none of them does anything.

    Args:
        pipeline: What is around each of them.
        count: How many.
        seconds: For how long.
    """
    app = PipelineMiddleware(listen, pipeline)
    end, idle = asyncio.Event(), asyncio.Semaphore(0)
    others = len(asyncio.all_tasks())
    connections = [Idle(number, end, idle) for number in range(count)]
    tasks = [asyncio.create_task(app(each.scope, each.receive, each.send)) for each in connections]
    for _ in range(count):
        await idle.acquire()
    gc.collect()
    loop, longest = asyncio.get_running_loop(), 0.0
    extra = len(asyncio.all_tasks()) - others - count
    until, before = loop.time() + seconds, process_time()
    while (now := loop.time()) < until:
        await asyncio.sleep(0.02)
        longest = max(longest, loop.time() - now - 0.02)
    used = process_time() - before
    end.set()
    await asyncio.gather(*tasks)
    return Idleness(extra, used / seconds, longest)
