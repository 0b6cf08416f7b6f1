"""Throughput and latency of the applications behind one server, in turn."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from benchmarks.end_to_end.servers import ROOT, serving
from benchmarks.telemetry import FULL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Rounds = list[list[float]]
    """Figures by the servers' start and the round."""

BASE = "raw ASGI"
RESAMPLES = 2000
WARM = 0.5
"""Seconds that a server answers before it is measured."""
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
PACE = 0.7
"""The share of raw ASGI's throughput at which latencies are measured."""

BOUND_AT = ("uvicorn", 50)
"""Where there are bounds: behind which server, with how many connections."""
LEAST = {BASE: 0.94, "Starlette": 1.0, "Litestar": 1.0, "OpenTelemetry's ASGI": 4.0}
"""The least throughput of the full stack, by that of others."""
MOST_P99 = 1.15
"""The most that its p99 may be, by raw ASGI's."""


class Client:
    """The client's process, which is given orders."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.end_to_end.client"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._process.communicate(timeout=30)

    def order(self, do: str, name: str, **options: Any) -> Any:
        """Have it do something, and give what comes of that."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        assert self._process.stdout is not None  # noqa: S101
        print(json.dumps({"do": do, "name": name, **options}), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())


@dataclass(frozen=True)
class Ratio:
    """A figure by that of the base, measured in pairs, with its bootstrap interval of 95 %."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, own: Rounds, base: Rounds) -> Ratio:
        """Compare paired figures, resampling the servers' starts, and the rounds of each."""
        starts = [
            [mine / theirs for mine, theirs in zip(figures, bases, strict=True)]
            for figures, bases in zip(own, base, strict=True)
        ]
        draw = random.Random(0)  # noqa: S311 - no secret

        def again() -> float:
            drawn = draw.choices(starts, k=len(starts))
            return median(chain.from_iterable(draw.choices(each, k=len(each)) for each in drawn))

        medians = sorted(again() for _ in range(RESAMPLES))
        middle = median(chain.from_iterable(starts))
        return cls(middle, medians[RESAMPLES // 40], medians[-RESAMPLES // 40])

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


def percentile(latencies: Sequence[float], share: float) -> float:
    """Give the latency that a share of the messages did not exceed."""
    ranked = sorted(latencies)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        starts: How often the servers are started anew, because one process is faster than the next
            of the same program.
        rounds: Rounds of throughput of each start, short ones, so that few meet a stall of the
            machine.
        seconds: The seconds of one run of it.
        paced: Rounds of latency of each start.
        long: The seconds of one run of it, long enough for a tail.
    """

    starts: int
    rounds: int
    seconds: float
    paced: int
    long: float


@dataclass
class Comparison:
    """The applications behind one server, by what raw ASGI does there.

    Attributes:
        server: The server.
        connections: How many there were.
        rates: Messages a second.
        tails: The latencies' percentiles in seconds; none of a start in which an application could
            not keep pace.
        paces: At how many messages a second the latencies were measured, by start.
    """

    server: str
    connections: int
    rates: dict[str, Rounds]
    tails: dict[str, dict[str, Rounds]]
    paces: list[float] = field(default_factory=list)

    def show(self) -> None:
        """Print the ratios to the base, and whether they hold where bounds are set."""
        title = f"{self.server}, {self.connections:,} connections"
        print(f"\n{title}: by raw ASGI, median and 95 % interval; throughput also by the best runs")
        print(f"  {'':24}{'throughput':>26}  best   at {self.pace:,.0f}/s: p50, p99, p99.9")
        for name, own in self.rates.items():
            line = f"  {name:24}{Ratio.of(own, self.rates[BASE])!s:>26} {self.best(name):.3f}"
            print(line + "".join(f"   {ratio}" for ratio in self.latencies(name).values()))
        if (self.server, self.connections) == BOUND_AT:
            for bound in self.bounds():
                print(f"  {bound}")

    @property
    def pace(self) -> float:
        """The median of the paces."""
        return median(self.paces)

    def best(self, name: str) -> float:
        """Give the throughput of the best run, by that of the base."""
        return max(map(max, self.rates[name])) / max(map(max, self.rates[BASE]))

    def latencies(self, name: str) -> dict[str, Ratio]:
        """Give the ratios of the latencies, by percentile, of the starts in which it kept pace.

        There are none where those are half of the starts or fewer.
        """
        found = {}
        for key in PERCENTILES:
            pairs = zip(self.tails[name][key], self.tails[BASE][key], strict=True)
            kept = [(own, base) for own, base in pairs if own]
            if len(kept) * 2 > len(self.paces):
                found[key] = Ratio.of([own for own, _ in kept], [base for _, base in kept])
        return found

    def bounds(self) -> Iterator[str]:
        """Say of each figure that is to be reached whether it is."""
        for name, least in LEAST.items():
            ratio = self.full_by(name)
            yield f"throughput by {name}'s: {ratio}, at least {least}: {_verdict(ratio, least)}"
        tail = self.latencies(FULL).get("p99")
        if tail is None:
            yield f"p99 by raw ASGI's: it does not keep pace, at most {MOST_P99}: OVER"
        else:
            told = "cannot be told" if tail.low <= MOST_P99 else "OVER"
            verdict = "holds" if tail.high <= MOST_P99 else told
            yield f"p99 by raw ASGI's: {tail}, at most {MOST_P99}: {verdict}"

    def full_by(self, name: str) -> Ratio:
        """Give the throughput of the full stack by that of another application."""
        return Ratio.of(self.rates[FULL], self.rates[name])

    def as_dict(self) -> dict[str, Any]:
        """Give the ratios for a file."""
        return {
            "title": f"{self.server}, {self.connections} connections",
            "paces": self.paces,
            "full stack by": {name: asdict(self.full_by(name)) for name in self.rates},
            "throughput": {
                name: {**asdict(Ratio.of(own, self.rates[BASE])), "best": self.best(name)}
                for name, own in self.rates.items()
            },
            "latencies": {
                name: {key: asdict(ratio) for key, ratio in self.latencies(name).items()}
                for name in self.rates
            },
        }


def _verdict(ratio: Ratio, least: float) -> str:
    if ratio.low >= least:
        return "holds"
    return "cannot be told" if ratio.high >= least else "UNDER"


def measure(server: str, apps: Iterable[str], connections: int, effort: Effort) -> Comparison:
    """Measure the applications behind a server, in turn.

    Args:
        server: A name of `servers.COMMANDS`.
        apps: Names of `apps.APPS`, the base first.
        connections: How many connections there are.
        effort: How much to measure.
    """
    names = list(apps)
    found = Comparison(
        server,
        connections,
        {name: [] for name in names},
        {name: {key: [] for key in PERCENTILES} for name in names},
    )
    draw = random.Random(0)  # noqa: S311 - no secret
    for _ in range(effort.starts):
        with ExitStack() as stack:
            client = stack.enter_context(Client())
            for name in draw.sample(names, len(names)):
                url = stack.enter_context(serving(server, name))
                client.order("open", name, url=url, count=connections)
                client.order("flood", name, seconds=WARM)
            _measure_throughput(found, client, effort, draw)
            _measure_latencies(found, client, effort, draw)
            for name in names:
                client.order("close", name)
    return found


def _measure_throughput(
    found: Comparison, client: Client, effort: Effort, draw: random.Random
) -> None:
    names = list(found.rates)
    for rates in found.rates.values():
        rates.append([])
    for _ in range(effort.rounds):
        for name in draw.sample(names, len(names)):
            found.rates[name][-1].append(client.order("flood", name, seconds=effort.seconds))


def _measure_latencies(
    found: Comparison, client: Client, effort: Effort, draw: random.Random
) -> None:
    names = list(found.tails)
    pace = PACE * median(found.rates[BASE][-1])
    found.paces.append(pace)
    for tails in found.tails.values():
        for tail in tails.values():
            tail.append([])
    for _ in range(effort.paced):
        for name in draw.sample(names, len(names)):
            if median(found.rates[name][-1]) > pace:
                seen = client.order("pace", name, seconds=effort.long, rate=pace)
                for key, share in PERCENTILES.items():
                    found.tails[name][key][-1].append(percentile(seen, share))
