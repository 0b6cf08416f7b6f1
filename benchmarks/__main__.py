"""Run the benchmarks: `python -m benchmarks [--quick]`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
from functools import partial
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

import starlette.websockets

import wspipe
from benchmarks import echo, memory
from benchmarks.observing import Observing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Contender = Callable[[echo.Session], Awaitable[float]]


def contenders(
    raw: Callable[[echo.Session], Awaitable[None]], through: Callable[[object], Awaitable[None]]
) -> dict[str, Contender]:
    """Give those that run one echo: raw, the peer, ours."""
    return {
        "raw ASGI": partial(echo.run_raw, raw),
        "Starlette WebSocket": partial(echo.run_class, starlette.websockets.WebSocket, through),
        "wspipe WebSocket": partial(echo.run_class, wspipe.WebSocket, through),
    }


PACKAGES = (
    "wspipe",
    "starlette",
    "orjson",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
)

TABLES: dict[str, tuple[str | bytes, dict[str, Contender]]] = {
    "text echo, 64 characters of ASCII": (echo.TEXT, contenders(echo.raw_text, echo.echo_text)),
    "text echo, 64 umlauts": (echo.UMLAUTS, contenders(echo.raw_text, echo.echo_text)),
    "binary echo, 64 bytes": (echo.BINARY, contenders(echo.raw_binary, echo.echo_binary)),
    "JSON echo, 85 bytes, raw with orjson": (
        echo.JSON,
        contenders(echo.raw_json, echo.echo_json),
    ),
}


async def measure(
    data: str | bytes, running: dict[str, Contender], rounds: int, count: int
) -> dict[str, list[float]]:
    """Run the contenders in turn, round by round, so that a slow moment meets them all."""
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, run in running.items():
            times[name].append(await run(echo.Session(data, count)))
    return times


def report(title: str, times: dict[str, list[float]]) -> None:
    """Print each contender's overhead over the first, as a share of the second's.

    The median is that of the rounds' own overheads and ratios: a round is short enough for the
    machine to run at one speed, which it does not do from one round to the next.
    """
    raw, peer, *_ = times.values()
    peers = [theirs - base for theirs, base in zip(peer, raw, strict=True)]
    print(f"\n{title}: overhead over raw ASGI, each")
    print(f"  {'':22}{'minimum':>12}{'ratio':>8}{'median':>12}{'ratio':>8}")
    for name, own in times.items():
        overheads = [mine - base for mine, base in zip(own, raw, strict=True)]
        ratios = [mine / theirs for mine, theirs in zip(overheads, peers, strict=True)]
        best = min(own) - min(raw)
        print(
            f"  {name:22}{best:>9.0f} ns{best / (min(peer) - min(raw)):>8.3f}"
            f"{median(overheads):>9.0f} ns{median(ratios):>8.3f}"
        )


def report_memory(observing: Observing, count: int) -> None:
    """Print what an idle connection weighs, and how much of that is observing."""
    print(f"\nmemory: bytes per idle connection, of {count:,}")
    print(f"  {'':22}{'all':>12}{'over bare':>12}")
    bare = memory.weigh(None, count, gc.collect)
    print(f"  {'bare WebSocket':22}{bare:>12,.0f}")
    for name, options in {
        "observed": {},
        "  receive": {"messages": "receive"},
        "  all": {"messages": "all"},
        "  connection": {"span": "connection"},
    }.items():
        pipeline = observing.pipeline(**options)
        weight = memory.weigh(pipeline, count, observing.processor.force_flush)
        print(f"  {name:22}{weight:>12,.0f}{weight - bare:>+12,.0f}")


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    rounds = 100 if parser.parse_args().quick else 1000
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {platform.machine()}; {packages}")
    print(f"{rounds} interleaved rounds of 500 messages; asyncio")
    gc.disable()
    for title, (data, running) in TABLES.items():
        report(title, asyncio.run(measure(data, running, rounds, 500)))
    observing = Observing()
    for title, timed, count in (
        ("observing a text echo, the real SDK", observing.time_messages, 500),
        ("observing a session with one message, the real SDK", observing.time_session, 1),
    ):
        observed = {name: partial(timed, app) for name, app in observing.applications().items()}
        report(title, asyncio.run(measure(echo.TEXT, observed, rounds // 5, count)))
    report_memory(observing, 10 * rounds)


if __name__ == "__main__":
    main()
