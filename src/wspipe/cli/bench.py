"""What each stage of a pipeline costs, measured here and now.

Every prefix of the pipeline stands around an echo application on raw ASGI, with a server in memory
before it. What a stage costs is the difference between the prefix with it and the one without.
"""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from random import sample
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeVar

from wspipe.cli.conversation import PATIENCE, InTheWayError, Session, converse
from wspipe.cli.costs import Costs, MeasurementError, StageCost
from wspipe.cli.memory import WeighedEcho, held_bytes, tracing, without_gc
from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.middleware import PipelineMiddleware
from wspipe.pipeline import Pipeline, name_of, rehearsal_of
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Generator, Sequence

    from wspipe.types import ASGIApp, Receive, Scope, Send

_T = TypeVar("_T")

ROUNDS: Final = 150
BUDGET: Final = 10.0
"""Seconds after which no further round begins."""

_MESSAGES: Final = 60
_CONNECTIONS: Final = 5
_HELD: Final = 200
_WARM: Final = 10
_SLICE: Final = 50_000_000
"""Nanoseconds that the conversations of one round and prefix may take, about."""


def measure(pipeline: Pipeline, *, rounds: int = ROUNDS, scope: Scope | None = None) -> Costs:
    """Measure what each stage costs. Takes some seconds, in an event loop of its own.

    A time is the median of what one round's prefixes differ by: rounds are short, and shuffle the
    prefixes, so that a slow moment of the machine meets all of them. Bytes are those that Python
    allocates (`tracemalloc`), counted apart from the timing. What differs by less than nothing
    counts as 0.

    A stage that has a method `rehearsal()` is measured by the middleware that it gives: a copy
    with no effect outside the process and never in the way. Others are measured as they are, and
    are started and shut down for it.

    Args:
        pipeline: The stages.
        rounds: How many rounds; fewer where they would take longer than `BUDGET`.
        scope: The scope of the connections; by default one for the path `/`.

    Raises:
        ImproperlyConfiguredException: `rounds` is not above zero.
        MeasurementError: A stage raised, rejected, closed, kept a message to itself or took longer
            than `PATIENCE`.
        RuntimeError: An event loop runs already.
    """
    if rounds < 1:
        raise ImproperlyConfiguredException(detail=f"rounds is 1 or more, not {rounds}")
    bench = _Bench(pipeline.with_wire(strict=False), scope or websocket_scope("/"))
    with without_gc():
        return asyncio.run(bench.measure(rounds))


class _Bench:
    """The prefixes of a pipeline, counted from 0, which is the application alone."""

    def __init__(self, pipeline: Pipeline, scope: Scope) -> None:
        self.scope = scope
        self.names = ["application", *map(name_of, pipeline)]
        self.stages: list[Pipeline] = []
        for name, stage in zip(self.names[1:], pipeline, strict=True):
            with _measurable(name, "its rehearsal()"):
                self.stages.append(Pipeline(rehearsal_of(stage)))
        self.apps = self._around(_echo)

    def _around(self, app: ASGIApp) -> list[ASGIApp]:
        lengths = range(1, len(self.names))
        return [app, *(PipelineMiddleware(app, Pipeline(*self.stages[:n])) for n in lengths)]

    async def measure(self, rounds: int) -> Costs:
        async with AsyncExitStack() as stack:
            for name, stage in zip(self.names[1:], self.stages, strict=True):
                await stack.enter_async_context(_running(name, stage))
            slowest = max([await self._try_out(each) for each in range(len(self.apps))])
            messages, connections = await self._time(rounds, slowest)
            with tracing():
                peaks = [await self._peak(each) for each in range(len(self.apps))]
                held = [await self._held(each, slowest) for each in range(len(self.apps))]
        rows = zip(
            self.names,
            _differences(messages),
            _differences([peaks]),
            _differences(connections),
            _differences([held]),
            strict=True,
        )
        base, *stages = [
            StageCost(name, time, round(peak), connection, round(weight))
            for name, time, peak, connection, weight in rows
        ]
        return Costs(base, tuple(stages))

    async def _try_out(self, prefix: int) -> int:
        """Find out whether a prefix works, twice, and give the nanoseconds of the second time."""
        await self._converse(prefix, self.apps[prefix], 1)
        return (await self._converse(prefix, self.apps[prefix], 1)).elapsed

    async def _time(self, rounds: int, slowest: int) -> tuple[list[list[float]], list[list[float]]]:
        """Give each round's nanoseconds for an echo, and for a connection, prefix by prefix."""
        count = _affordable(_MESSAGES, slowest)
        repeats = range(_affordable(_CONNECTIONS, slowest))
        all_messages: list[list[float]] = []
        all_connections: list[list[float]] = []
        deadline = monotonic() + BUDGET
        while len(all_messages) < rounds and not (all_messages and monotonic() > deadline):
            messages, connections = [0.0] * len(self.apps), [0.0] * len(self.apps)
            for prefix in sample(range(len(self.apps)), len(self.apps)):
                app = self.apps[prefix]
                messages[prefix] = (await self._converse(prefix, app, count)).echo / count
                shorts = [(await self._converse(prefix, app, 0)).elapsed for _ in repeats]
                connections[prefix] = median(shorts) - messages[prefix]
            all_messages.append(messages)
            all_connections.append(connections)
            gc.collect()
        return all_messages, all_connections

    async def _peak(self, prefix: int) -> float:
        """Give the bytes that an echo allocates at its peak."""
        echo = WeighedEcho()
        await self._converse(prefix, self._around(echo)[prefix], 2 * _WARM)
        return median(echo.peaks[_WARM:])

    async def _held(self, prefix: int, slowest: int) -> float:
        """Give the bytes that each of many open connections holds."""
        app, count = self.apps[prefix], _affordable(_HELD, slowest, 20 * _SLICE)
        await self._blaming(prefix, 0, held_bytes(app, self.scope, 1))  # what is made once for all
        return await self._blaming(prefix, 0, held_bytes(app, self.scope, count))

    async def _converse(self, prefix: int, app: ASGIApp, count: int) -> Session:
        return await self._blaming(prefix, count, converse(app, self.scope, count))

    async def _blaming(self, prefix: int, count: int, conversing: Awaitable[_T]) -> _T:
        """Name the stage that fails: that of the shortest prefix which does, or of this one."""
        try:
            return await conversing
        except InTheWayError as error:
            name, why = self.names[prefix], error
            for shorter in range(1, prefix):
                try:
                    await converse(self.apps[shorter], self.scope, count)
                except InTheWayError as found:
                    name, why = self.names[shorter], found
                    break
            raise MeasurementError(name, str(why)) from why.__cause__


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


@asynccontextmanager
async def _running(name: str, stage: Pipeline) -> AsyncGenerator[None]:
    with _measurable(name, "its startup"):
        async with asyncio.timeout(PATIENCE):
            await stage.startup()
    try:
        yield
    finally:
        with _measurable(name, "its shutdown"):
            await stage.shutdown()


@contextmanager
def _measurable(name: str, what: str) -> Generator[None]:
    try:
        yield
    except Exception as error:
        raise MeasurementError(name, f"{what} raised {error!r}") from error


def _affordable(most: int, each: int, budget: int = _SLICE) -> int:
    return max(1, min(most, budget // max(1, each)))


def _differences(rounds: Sequence[Sequence[float]]) -> list[float]:
    """Give the median of the first column, and of each other one less the one before it."""
    columns = range(1, len(rounds[0]))
    steps = (median([row[at] - row[at - 1] for row in rounds]) for at in columns)
    return [median([row[0] for row in rounds]), *(max(0.0, step) for step in steps)]
