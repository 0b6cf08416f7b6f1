"""Four processes, one store: what they let pass together, measured on one clock."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, replace
from heapq import merge
from multiprocessing import get_context
from time import monotonic_ns, sleep
from typing import TYPE_CHECKING

import redis

from benchmarks.rate_limit.worker import Work, serve
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.rate import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.rate_limit.bounds import Bounds
    from wspipe_middlewares.rate_limit.rate import Limit

PROCESSES = 4
SETTLING = SECOND // 4
"""From when every process is ready until they begin, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a run.

    Args:
        admitted: How many messages passed, process by process.
        seconds: From the first that passed to the last.
        allowed: How many a single bucket would have let pass in that time.
        excess: By how many the worst window of time was above what a bucket would have let pass.
        trips: How many round trips to the store there were.
        settled: As `admitted`, of the second half of the time only.
    """

    admitted: tuple[int, ...]
    seconds: float
    allowed: float
    excess: float
    trips: int
    settled: tuple[int, ...]

    @property
    def utilisation(self) -> float:
        """What passed, as a part of what might have."""
        return sum(self.admitted) / self.allowed

    @property
    def messages_per_trip(self) -> float:
        """How many messages passed for each round trip."""
        return sum(self.admitted) / max(1, self.trips)


def shares(admitted: Sequence[int]) -> tuple[float, float]:
    """Give the least and the largest share of a process, as parts of the mean."""
    mean = sum(admitted) / len(admitted)
    return min(admitted) / mean, max(admitted) / mean


def worst_excess(times: Iterable[int], limit: Limit) -> float:
    """Tell by how many messages the worst window is above `burst + rate * w`, over all windows.

    A bucket that starts full and is drawn from at these times is short by just so many.
    """
    rate = limit.amount / (limit.period * SECOND)
    level, last, worst = 0.0, 0, float(-limit.burst)
    for time in times:
        level = max(0.0, level - (time - last) * rate) + 1
        last = time
        worst = max(worst, level - limit.burst)
    return worst


def trips_so_far(client: redis.Redis) -> int:
    """Ask the server how often the script ran."""
    stats: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("eval", "evalsha"))


def measure(work: Work, seconds: float, delays: Sequence[float] = (0.0,) * PROCESSES) -> Measured:
    """Run one process for each delay, and add up what they admit.

    Args:
        work: What each does.
        seconds: How long, from the first that begins.
        delays: Seconds after which each begins.
    """
    context = get_context("spawn")
    client = redis.Redis.from_url(work.store)
    pipes = [context.Pipe() for _ in delays]
    workers = [context.Process(target=serve, args=(far,), daemon=True) for _, far in pipes]
    for worker in workers:
        worker.start()
    try:
        for near, _ in pipes:
            near.send(work)
        for near, _ in pipes:
            near.recv()
        start = monotonic_ns() + SETTLING
        stop = start + round(seconds * SECOND)
        before = trips_so_far(client)
        for (near, _), delay in zip(pipes, delays, strict=True):
            near.send((start + round(delay * SECOND), stop))
        sleep((stop - monotonic_ns()) / SECOND)
        trips = trips_so_far(client) - before
        times = [array("q", near.recv_bytes()) for near, _ in pipes]
    finally:
        for worker in workers:
            worker.join(10)
            worker.kill()
        client.close()
    return summary(work, times, trips)


def summary(work: Work, times: Sequence[Sequence[int]], trips: int) -> Measured:
    """Add up when messages were admitted, each process's in order."""
    (limit,) = parse(work.rate, work.burst)
    every = list(merge(*times))
    seconds = (every[-1] - every[0]) / SECOND
    return Measured(
        admitted=tuple(map(len, times)),
        seconds=seconds,
        allowed=limit.burst + limit.amount / limit.period * seconds,
        excess=worst_excess(every, limit),
        trips=trips,
        settled=tuple(
            sum(2 * time > every[0] + every[-1] for time in process) for process in times
        ),
    )


def show(name: str, result: Measured) -> None:
    """Print one line of figures."""
    cells = "".join(f"{each:>8.3f}" for each in (*shares(result.admitted), *shares(result.settled)))
    print(
        f"  {name:32}{sum(result.admitted):>9,}{result.allowed:>9,.0f}{result.utilisation:>8.1%}"
        f"{result.excess:>8.1f}{result.messages_per_trip:>8.1f}{cells}"
    )


def run(url: str, seconds: float, bounds: Bounds) -> tuple[Work, Measured]:
    """Print the four processes' figures, and those of harder cases; give the first."""
    work, together = Work(store=url), (0.0,) * PROCESSES
    print(
        f"\n{PROCESSES} processes, {work.connections} connections each, one Valkey: "
        f"{work.rate}, burst {work.burst}, {seconds:g} s"
    )
    print(f"  {'':74}{'shares, least and most':>32}")
    print(
        f"  {'':32}{'passed':>9}{'allowed':>9}{'used':>8}{'excess':>8}{'per op':>8}"
        f"{'all the time':>16}{'second half':>16}"
    )
    one_after_another = tuple(i * seconds / 20 for i in range(PROCESSES))
    cases: dict[str, tuple[Work, Sequence[float]]] = {
        "saturated, delay": (work, together),
        "  starting one after another": (work, one_after_another),
        "  burst 200": (replace(work, burst=200), together),
        "drop, offered four times as much": (
            replace(work, on_limit="drop", offered=10_000),
            together,
        ),
        "delay, offered half as much": (replace(work, offered=1250), together),
    }
    results: dict[str, Measured] = {}
    for name, (case, delays) in cases.items():
        named = replace(case, name=re.sub(r"\W+", "-", name))
        results[name] = measure(named, seconds, delays)
        show(name, results[name])
    _check(results, work.connections * PROCESSES, bounds)
    return work, results["saturated, delay"]


def _check(results: dict[str, Measured], connections: int, bounds: Bounds) -> None:
    # A message that the store itself has decided on passes when the answer arrives.
    excess = max(result.excess for result in results.values())
    bounds.check(
        f"{excess:.1f} messages above burst + rate * w in the worst window of all runs, at most "
        f"the {connections} that may be under way from the store",
        holds=excess <= connections,
    )
    for name in ("saturated, delay", "drop, offered four times as much"):
        result = results[name]
        least, largest = shares(result.admitted)
        for what, holds in {
            f"{result.utilisation:.1%} of what a bucket would let pass, from 95 to 100 %": (
                0.95 <= result.utilisation <= 1
            ),
            f"{result.messages_per_trip:.1f} messages for each operation, at least 20": (
                result.messages_per_trip >= 20
            ),
            f"shares from {least:.3f} to {largest:.3f} of the mean, within 20 %": (
                least >= 0.8 and largest <= 1.2
            ),
        }.items():
            bounds.check(f"{name}: {what}", holds=holds, timing=True)
