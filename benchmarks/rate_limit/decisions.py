"""Decisions: what one costs, beside the same by `limits`, and the whole stage on an echo."""

from __future__ import annotations

import asyncio
from functools import partial
from statistics import median
from time import perf_counter_ns
from typing import TYPE_CHECKING

from limits import RateLimitItemPerHour
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter

from benchmarks.in_process.raw import echo_text
from benchmarks.in_process.server import TEXT, time_messages
from wspipe import PipelineMiddleware
from wspipe_middlewares.rate_limit import RateLimit
from wspipe_middlewares.rate_limit.clock import monotonic_ns
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.options import limiter_of
from wspipe_middlewares.rate_limit.quota import ASK
from wspipe_middlewares.rate_limit.rate import parse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.rate_limit.bounds import Bounds
    from wspipe_middlewares.rate_limit.quota import Quota, Source

    Contender = Callable[[], Awaitable[float]]

KEY = "client:192.0.2.1"
ENDLESS = 10**9
"""A burst that no run uses up."""
ONE = "20/second"
ODD = "3/second"
"""Its interval is no whole number of nanoseconds."""
TWO = "20/second; 500/minute"
BUSY = "100_000/second"
"""Slower than decisions are made: tokens of a lease last until they are used."""
BUSIER = "1_000_000/second"
"""Hardly slower: they are regained while the lease is used."""


def local(rate: str, count: int) -> Contender:
    """Give the decisions of this process, as a connection takes them."""
    limits = parse(rate, tuple([ENDLESS] * (rate.count(";") + 1)))
    quota = LocalStore(limits, monotonic_ns).enter(KEY)

    async def decide() -> float:
        start = perf_counter_ns()
        for _ in range(count):
            if quota.take(1):
                raise AssertionError(f"{rate} does not let it pass")
        return (perf_counter_ns() - start) / count

    return decide


def entered(rate: str, count: int) -> Contender:
    """Give the decisions of this process, each looking up its key, which a connection does once."""
    store = LocalStore(parse(rate, ENDLESS), monotonic_ns)

    async def decide() -> float:
        start = perf_counter_ns()
        for _ in range(count):
            if store.enter(KEY).take(1):
                raise AssertionError(f"{rate} does not let it pass")
        return (perf_counter_ns() - start) / count

    return decide


def leased(rate: str, source: Source, count: int) -> Contender:
    """Give decisions from leases, the round trips among them included."""
    quota: Quota = source.enter(KEY)

    async def decide() -> float:
        nonlocal quota
        start = perf_counter_ns()
        for _ in range(count):
            wait = quota.take(1)
            if wait == ASK:
                quota, wait = await source.ask(KEY, 1)
            if wait:
                raise AssertionError(f"{rate} does not let it pass")
        return (perf_counter_ns() - start) / count

    return decide


def of_limits(storage: MemoryStorage | RedisStorage, count: int) -> Contender:
    """Give the decisions of `limits`, by its fixed window."""
    limiter, item = FixedWindowRateLimiter(storage), RateLimitItemPerHour(ENDLESS)

    async def decide() -> float:
        start = perf_counter_ns()
        for _ in range(count):
            if not await limiter.hit(item, KEY):
                raise AssertionError("limits does not let it pass")
        return (perf_counter_ns() - start) / count

    return decide


def echoed(stage: RateLimit | None, count: int) -> Contender:
    """Give an echo through a pipeline of one stage or of none."""
    return partial(time_messages, PipelineMiddleware(echo_text, stage), TEXT, count)


async def measure(
    running: dict[str, tuple[str, Contender]], rounds: int
) -> dict[str, tuple[float, float]]:
    """Run contenders in turn, print each beside its peer, and give both ratios.

    Args:
        running: Each contender, and the name of the one that it is compared with.
        rounds: How many rounds.
    """
    times: dict[str, list[float]] = {name: [] for name in running}
    for _ in range(rounds):
        for name, (_, contender) in running.items():
            times[name].append(await contender())
    ratios: dict[str, tuple[float, float]] = {}
    print(f"  {'':40}{'minimum':>12}{'ratio':>9}{'median':>12}{'ratio':>9}")
    for name, (peer, _) in running.items():
        own, theirs = times[name], times[peer]
        best = min(own) / min(theirs)
        middle = median(mine / other for mine, other in zip(own, theirs, strict=True))
        ratios[name] = best, middle
        print(f"  {name:40}{min(own):>9.0f} ns{best:>9.4f}{median(own):>9.0f} ns{middle:>9.4f}")
    return ratios


async def compare(url: str, rounds: int, bounds: Bounds) -> None:
    """Print what a decision costs, and what the stage adds to an echo."""

    def all_alike(_: object) -> str:
        return KEY

    # One limit for the bare decisions, one for the echoes: each has its leases.
    busy, busier = (
        limiter_of(RateLimit(rate, burst=ENDLESS, key=all_alike, store=url))
        for rate in (BUSY, BUSIER)
    )
    shared = RateLimit(BUSY, burst=ENDLESS, key=all_alike, store=url, name="echo")
    redis = RedisStorage(url, implementation="redispy")
    memory = MemoryStorage()
    print(f"\ndecisions, {rounds} interleaved rounds, beside limits' fixed window")
    print("  leases with all their round trips")
    try:
        ratios = await measure(
            {
                "limits, in memory": ("limits, in memory", of_limits(memory, 200)),
                "  local, one limit": ("limits, in memory", local(ONE, 1000)),
                f"  local, {ODD}": ("limits, in memory", local(ODD, 1000)),
                "  local, two limits": ("limits, in memory", local(TWO, 1000)),
                "  local, one limit, its key looked up": (
                    "limits, in memory",
                    entered(ONE, 1000),
                ),
                "limits, Redis": ("limits, Redis", of_limits(redis, 20)),
                f"  leased, {BUSY}": ("limits, Redis", leased(BUSY, busy.source(), 20_000)),
                f"  leased, {BUSIER}": ("limits, Redis", leased(BUSIER, busier.source(), 20_000)),
            },
            rounds,
        )
        for name, part in (
            ("  local, one limit", 15),
            (f"  leased, {BUSY}", 100),
            (f"  leased, {BUSIER}", 100),
        ):
            ratio = max(ratios[name])
            bounds.check(
                f"{name.strip()}: 1/{1 / ratio:.0f} of limits' time, at most 1/{part}",
                holds=ratio <= 1 / part,
                timing=True,
            )
        # Held open, so that its lease outlives each echo.
        await shared.startup()
        shared._limiter.source().enter(KEY)  # noqa: SLF001 - as a connection does
        print(f"\nthe stage on an echo of 64 characters, {rounds} interleaved rounds")
        await measure(
            {
                "empty pipeline": ("empty pipeline", echoed(None, 500)),
                "  RateLimit, one limit": (
                    "empty pipeline",
                    echoed(RateLimit(ONE, burst=ENDLESS), 500),
                ),
                "  RateLimit, two limits": (
                    "empty pipeline",
                    echoed(RateLimit(TWO, burst=(ENDLESS, ENDLESS)), 500),
                ),
                "  RateLimit, leased": ("empty pipeline", echoed(shared, 500)),
            },
            rounds,
        )
    finally:
        await busy.aclose()
        await busier.aclose()
        await shared.shutdown()


def run(url: str, rounds: int, bounds: Bounds) -> None:
    """Run the comparison on an event loop of its own."""
    asyncio.run(compare(url, rounds, bounds))
