"""Memory: what one idle connection weighs, bare and fully observed."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import wspipe
from benchmarks.in_process.connections import COUNTS, wrapping
from benchmarks.in_process.echoes import ours, with_starlette
from benchmarks.in_process.raw import echo_text
from benchmarks.telemetry import FULL
from wspipe import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.telemetry import Telemetry
    from wspipe import ASGIApp, Middleware

BASE: Final = "raw ASGI"
BOUND: Final = 6 * 1024
"""The most bytes that the full stack may hold over raw ASGI."""


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
            "client": (f"10.0.{number // 256}.{number % 256}", 50_000),
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
    """Give the bytes that each of many idle connections with wspipe's class holds.

    Args:
        pipeline: What observes it, if anything.
        count: How many connections to open.
        settle: Called before weighing; lets go of what no connection holds.
    """

    class Socket(wspipe.WebSocket, pipeline=pipeline):
        __slots__ = ()

    async def echo(*connection: Any) -> None:
        async with Socket(*connection) as socket:
            await socket.accept()
            async for message in socket.iter_text():
                await socket.send_text(message)

    return weigh_app(echo, count, settle)


def weigh_app(app: ASGIApp, count: int, settle: Callable[[], object]) -> float:
    """Give the bytes that each of many idle connections holds, its task included.

    Args:
        app: Serves them.
        count: How many connections to open.
        settle: Called before weighing; lets go of what no connection holds.
    """

    async def measure(count: int) -> float:
        end, idle = asyncio.Event(), asyncio.Semaphore(0)
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        idles = [Idle(number, end, idle) for number in range(count)]
        tasks = [asyncio.create_task(app(each.scope, each.receive, each.send)) for each in idles]
        del idles
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


@dataclass(frozen=True)
class Weights:
    """What idle connections hold, in bytes each.

    Attributes:
        count: How many there were.
        weights: By what serves them, raw ASGI first.
    """

    count: int
    weights: dict[str, float]

    def show(self) -> None:
        """Print them."""
        print(f"\nbytes that each of {self.count:,} idle connections holds: all, and over {BASE}'s")
        for name, weight in self.weights.items():
            over = weight - self.weights[BASE]
            print(f"  {name:30}{weight:>10,.0f}{over:>+10,.0f}", end="")
            verdict = f"  at most {BOUND:,}: {'holds' if over <= BOUND else 'OVER'}"
            print(verdict if name == FULL else "")

    def as_dict(self) -> dict[str, Any]:
        """Give them for a file."""
        return {"title": "idle connections", **asdict(self)}


def measure(telemetry: Telemetry, count: int) -> list[Weights]:
    """Weigh idle connections of each kind.

    Args:
        telemetry: What observes.
        count: How many to open.
    """
    apps: dict[str, ASGIApp] = {
        BASE: echo_text,
        "Starlette": with_starlette("text"),
        "wspipe": ours("text"),
        **{f"wspipe, {name}": ours("text", stage) for name, stage in telemetry.stages().items()},
        FULL: ours("text", telemetry.full()),
        **{f"{n} that wrap both": ours("text", Pipeline(*[wrapping] * n)) for n in COUNTS},
    }
    settle = telemetry.processor.force_flush
    return [Weights(count, {name: weigh_app(app, count, settle) for name, app in apps.items()})]
