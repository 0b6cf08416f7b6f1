"""What a message costs as there is more of everything: stages, connections, keys."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle, islice
from statistics import linear_regression, median
from time import perf_counter_ns
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from benchmarks.in_process.connections import declining, wrapping
from benchmarks.in_process.echoes import ours, with_starlette
from benchmarks.in_process.raw import RAW
from benchmarks.in_process.server import TEXT, scope, time_messages
from benchmarks.measuring import interleave
from benchmarks.telemetry import FULL
from wspipe import Pipeline

if TYPE_CHECKING:
    from collections.abc import Generator

    from benchmarks.measuring import Contender, Times
    from benchmarks.telemetry import Telemetry
    from wspipe import ASGIApp, Event, Middleware

STAGES: Final = (1, 2, 4, 8, 16)
CONNECTIONS: Final = (1, 250, 500, 1000)
MESSAGES: Final = 1000
_WANTS: Final = object()


@dataclass(frozen=True)
class Line:
    """What a message costs over the base, by how many there are of something.

    Attributes:
        name: What grows, and in what.
        over: How many there are.
        minimum: Nanoseconds of a message over the base's, of the fastest runs.
        median: The median of the rounds' own differences.
        slope: Nanoseconds that each further one adds: least squares through the medians.
        start: Where that line begins.
    """

    name: str
    over: tuple[int, ...]
    minimum: list[float]
    median: list[float]
    slope: float
    start: float

    @classmethod
    def of(cls, name: str, times: dict[int, Times], base: str) -> Line:
        """Compare a contender with the base, at each count."""
        least = [min(each[name]) - min(each[base]) for each in times.values()]
        middle = [
            median(own - zero for own, zero in zip(each[name], each[base], strict=True))
            for each in times.values()
        ]
        slope, start = linear_regression(tuple(times), middle)
        return cls(name, tuple(times), least, middle, slope, start)


@dataclass(frozen=True)
class Lines:
    """The lines of one chart."""

    title: str
    lines: list[Line]

    def show(self) -> None:
        """Print them."""
        counts = self.lines[0].over
        print(f"\n{self.title}: nanoseconds over raw ASGI, minimum and median")
        print(f"  {'':34}{''.join(f'{count:>13,}' for count in counts)}{'each further one':>20}")
        for line in self.lines:
            pairs = zip(line.minimum, line.median, strict=True)
            cells = "".join(f"{f'{least:,.0f} {middle:,.0f}':>13}" for least, middle in pairs)
            print(f"  {line.name:34}{cells}{line.slope:>+17.2f} ns")

    def as_dict(self) -> dict[str, Any]:
        """Give it for a file."""
        return asdict(self)


@coroutine
def _next_event() -> Generator[object, Event, Event]:
    return (yield _WANTS)


class Driven:
    """A connection without an event loop of its own, which is handed its events by turns."""

    def __init__(self, app: ASGIApp, client: int) -> None:
        self.answers = 0
        own = {**scope(), "client": (f"192.0.{client // 256}.{client % 256}", 50_000)}
        # As a server has it, each in a context of its own.
        self._context = copy_context()
        self._application: Any = app(own, _next_event, self.send)
        self.take(None)
        self.take({"type": "websocket.connect"})

    async def send(self, event: Event) -> None:
        """Take an event of the application's."""
        if event["type"] == "websocket.send":
            self.answers += 1

    def take(self, event: Event | None) -> None:
        """Hand the application an event, and let it run until it wants another."""
        while self._context.run(self._application.send, event) is not _WANTS:
            event = None

    def end(self) -> None:
        """Let the application come to its end."""
        try:
            self.take({"type": "websocket.disconnect", "code": 1001})
        except StopIteration:
            return
        raise AssertionError("the application has not ended")


async def time_by_turns(app: ASGIApp, count: int, clients: int) -> float:
    """Have many connections of some clients send by turns; give the nanoseconds of a message."""
    connections = [Driven(app, number % clients) for number in range(count)]
    for each in connections:
        each.take({"type": "websocket.receive", "text": TEXT})
    turns = list(islice(cycle(connections), max(MESSAGES, count)))
    start = perf_counter_ns()
    for each in turns:
        each.take({"type": "websocket.receive", "text": TEXT})
    took = perf_counter_ns() - start
    if sum(each.answers for each in connections) != len(turns) + count:
        raise AssertionError(f"{app} has not answered each message")
    for each in connections:
        each.end()
    await asyncio.sleep(0)  # for the loop to let go of the timers that they have left
    return took / len(turns)


async def measure(telemetry: Telemetry, rounds: int) -> list[Lines]:
    """Measure how the cost of a message grows.

    Args:
        telemetry: What observes.
        rounds: How often each contender runs.
    """
    return [await _by_stages(rounds), await _by_connections(telemetry, rounds)]


async def _by_stages(rounds: int) -> Lines:
    kinds: dict[str, Middleware] = {"that decline": declining, "that wrap both": wrapping}
    runs: dict[str, Contender] = {"raw ASGI": partial(time_messages, RAW["text"], TEXT, MESSAGES)}
    for name, stage in kinds.items():
        for count in STAGES:
            app = ours("text", Pipeline(*[stage] * count))
            runs[f"{count} {name}"] = partial(time_messages, app, TEXT, MESSAGES)
    took = await interleave(runs, rounds)
    times = {
        count: {"raw ASGI": took["raw ASGI"], **{name: took[f"{count} {name}"] for name in kinds}}
        for count in STAGES
    }
    return Lines("stages", [Line.of(name, times, "raw ASGI") for name in kinds])


async def _by_connections(telemetry: Telemetry, rounds: int) -> Lines:
    apps: dict[str, ASGIApp] = {
        "raw ASGI": RAW["text"],
        "Starlette": with_starlette("text"),
        "wspipe": ours("text"),
        f"{FULL}, one key": ours("text", telemetry.full()),
        f"{FULL}, a key each": ours("text", telemetry.full()),
    }

    async def run(app: ASGIApp, count: int, clients: int) -> float:
        took = await time_by_turns(app, count, clients)
        telemetry.processor.force_flush()
        return took

    runs: dict[str, Contender] = {
        f"{count} {name}": partial(run, app, count, count if "each" in name else 1)
        for count in CONNECTIONS
        for name, app in apps.items()
    }
    took = await interleave(runs, rounds)
    times = {count: {name: took[f"{count} {name}"] for name in apps} for count in CONNECTIONS}
    names = [name for name in apps if name != "raw ASGI"]
    return Lines("connections that send by turns", [Line.of(n, times, "raw ASGI") for n in names])
