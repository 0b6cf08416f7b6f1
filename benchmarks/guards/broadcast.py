"""A room in which all say something to all, and one does not read."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wspipe import PipelineMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Middleware, Send

MESSAGE = "x" * 1024


class Member:
    """A server in memory with one client, which reads or does not."""

    def __init__(self, *, reads: bool) -> None:
        self.reads = reads
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.events.put_nowait({"type": "websocket.connect"})
        self.taken = 0
        self.closed = False
        self.scope: Any = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}

    async def send(self, event: Event) -> None:
        """Take an event; a message takes a turn, or for ever."""
        if event["type"] == "websocket.close":
            self.closed = True
            self.events.put_nowait({"type": "websocket.disconnect", "code": event["code"]})
        elif event["type"] == "websocket.send":
            if not self.reads:
                await asyncio.Event().wait()
            await asyncio.sleep(0)
            self.taken += 1


async def everyone(done: Callable[[], bool]) -> None:
    """Let the others go on until that is done."""
    while not done():  # noqa: ASYNC110 - turns of the loop are all that is waited for
        await asyncio.sleep(0)


async def hold(
    pipeline: Middleware | None, *, readers: int, stalled: int, messages: int
) -> tuple[float, list[Member]]:
    """Have each reader's application send messages to all members.

    Args:
        pipeline: What is around each connection.
        readers: How many clients read.
        stalled: How many do not.
        messages: How many messages each application sends to each member.

    Returns:
        The seconds until every reader has everything, and the members.
    """
    sends: list[Send] = []

    async def join(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        sends.append(send)
        await receive()

    app = PipelineMiddleware(join, pipeline)
    members = [Member(reads=number < readers) for number in range(readers + stalled)]
    tasks = [asyncio.create_task(app(each.scope, each.events.get, each.send)) for each in members]
    await everyone(lambda: len(sends) == len(members))

    async def talk() -> None:
        for _ in range(messages):
            for send in sends:
                with suppress(OSError):
                    await send({"type": "websocket.send", "text": MESSAGE})

    start = perf_counter()
    await asyncio.gather(*(talk() for _ in range(readers)))
    await everyone(lambda: all(each.taken == readers * messages for each in members[:readers]))
    took = perf_counter() - start
    for each in members:
        each.events.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.gather(*tasks)
    return took, members


async def weigh(pipeline: Middleware | None, *, readers: int, stalled: int, messages: int) -> int:
    """Do as `hold` does, and give the most bytes that were held meanwhile."""
    gc.collect()
    tracemalloc.start()
    try:
        await hold(pipeline, readers=readers, stalled=stalled, messages=messages)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
