"""One process of several: connections in memory that always have another message."""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Literal

from wspipe import PipelineMiddleware
from wspipe_middlewares.rate_limit import RateLimit
from wspipe_middlewares.rate_limit.clock import SECOND

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


@dataclass(frozen=True, slots=True)
class Work:
    """What a process does.

    Args:
        store: The URL of the store.
        name: Names the limit.
        rate: The limit.
        burst: Its burst.
        on_limit: What happens at the limit.
        max_delay: Seconds that a message may be delayed.
        connections: How many connections there are.
        offered: Messages a second that come in, all connections together; as many as are taken,
            where it is `None`.
    """

    store: str
    name: str = "benchmark"
    rate: str = "10000/second"
    burst: int = 1000
    on_limit: Literal["delay", "drop"] = "delay"
    max_delay: float = 5.0
    connections: int = 4
    offered: int | None = None


class NotingClock:
    """The system's clock; notes what it told last, which is when a message was let pass."""

    def __init__(self) -> None:
        self.last = 0

    def now(self) -> int:
        """Tell the time, in nanoseconds."""
        self.last = monotonic_ns()
        return self.last

    async def sleep(self, duration: int) -> None:
        """Wait for so many nanoseconds."""
        await asyncio.sleep(duration / SECOND)
        self.now()


class Client:
    """A server in memory, which has another message at once, or at a steady pace.

    Args:
        start: When it begins, by the monotonic clock.
        stop: When it disconnects.
        interval: Nanoseconds between messages; 0 where there is always one.
    """

    def __init__(self, start: int, stop: int, interval: int) -> None:
        self.scope: Any = {"type": "websocket", "path": "/", "headers": [], "query_string": b""}
        self.next = start
        self.stop = stop
        self.interval = interval
        self.connected = False

    async def receive(self) -> Any:
        """Give the next event."""
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        now = monotonic_ns()
        if now < self.next < self.stop:
            await asyncio.sleep((self.next - now) / SECOND)
        self.next += self.interval
        if max(now, self.next) >= self.stop:
            return {"type": "websocket.disconnect", "code": 1000}
        return {"type": "websocket.receive", "text": "hello"}

    async def send(self, event: Any) -> None:
        """Take an event."""


async def _work(pipe: Connection) -> None:
    work: Work = pipe.recv()
    clock = NotingClock()
    stage = RateLimit(
        work.rate,
        burst=work.burst,
        key=lambda _: "all",
        on_limit=work.on_limit,
        max_delay=work.max_delay,
        name=work.name,
        store=work.store,
        clock=clock,
    )
    times = array("q")

    async def application(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            times.append(clock.last)

    app = PipelineMiddleware(application, stage)
    await stage.startup()
    pipe.send("ready")
    start, stop = pipe.recv()
    interval = 0 if work.offered is None else SECOND * work.connections // work.offered
    clients = [
        Client(start + i * interval // work.connections, stop, interval)
        for i in range(work.connections)
    ]
    await asyncio.gather(*(app(each.scope, each.receive, each.send) for each in clients))
    await stage.shutdown()
    # What was waited for at the end came one by one, so it is no part of a saturated run.
    pipe.send_bytes(array("q", sorted(time for time in times if time < stop)).tobytes())


def serve(pipe: Connection) -> None:
    """Be the process: get the work, say when ready, get the times, and send what was admitted."""
    asyncio.run(_work(pipe))
