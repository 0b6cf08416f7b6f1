"""A fleet: how the load of one store, use and fairness grow with processes and keys, simulated."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from benchmarks.rate_limit.sender import Sender
from benchmarks.rate_limit.simulation import MICROSECOND, Costs, Process, Simulation
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.rate import parse

if TYPE_CHECKING:
    from benchmarks.rate_limit.bounds import Bounds
    from benchmarks.rate_limit.processes import Measured
    from benchmarks.rate_limit.worker import Work

LIGHT: Final = 0.5
"""What a light load offers, as a part of the limit."""
PROCESSES: Final = (1, 4, 16, 64, 250, 1000)
ONE_MACHINE: Final = Costs(one_way=150 * MICROSECOND)


@dataclass(frozen=True, slots=True)
class Keys:
    """How many keys there are, and what each is like.

    Args:
        count: How many.
        rate: The limit of each.
        connections: How many connections each has at least, spread over the processes.
        everywhere: Whether each has one in every process.
        seconds: How long to simulate.
    """

    count: int
    rate: str
    connections: int
    everywhere: bool
    seconds: float

    @property
    def title(self) -> str:
        """What it is called."""
        return "1 key" if self.count == 1 else f"{self.count:,} keys"


KEYS: Final = (
    Keys(1, "10000/second", 16, everywhere=True, seconds=8),
    Keys(100, "200/second", 16, everywhere=False, seconds=2),
    Keys(10_000, "10/second", 4, everywhere=False, seconds=0.6),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a simulation.

    Args:
        operations: Requests that the store served, each second.
        per_operation: Messages that passed, for each.
        used: What passed, as a part of what might have: of the limit, or of what was offered.
        delayed: The part of messages that had to wait for a token.
        least: The least share of a process, as a part of its key's mean; the mean over keys.
        jain: Jain's index of the shares, 1 where all are the same; the mean over keys.
        late: The part of requests that were answered later than a message waits.
    """

    operations: float
    per_operation: float
    used: float
    delayed: float
    least: float
    jain: float
    late: float


def simulate(  # noqa: PLR0913 - what a fleet is made of
    keys: Keys,
    processes: int,
    *,
    light: bool,
    burst: int | None = None,
    costs: Costs | None = None,
    seconds: float | None = None,
) -> Figures:
    """Simulate a fleet.

    Args:
        keys: The keys.
        processes: How many processes share the store.
        light: Whether connections send at random times, half of the limit in all, instead of as
            much as they can.
        burst: Other than an amount of one period.
        costs: How long things take; by default as in a data centre.
        seconds: How long, if other than the keys have it.
    """
    (limit,) = parse(keys.rate, burst)
    simulation = Simulation(limit, costs or Costs(), patience=5 * SECOND)
    fleet = [Process(simulation) for _ in range(processes)]
    connections = max(keys.connections, processes if keys.everywhere else 0)
    rate = limit.amount / limit.period
    interval = connections / (LIGHT * rate) * SECOND if light else 0
    for i in range(keys.count):
        first = simulation.random.randrange(processes)
        step = max(1, processes // connections)
        for j in range(connections):
            tenant = fleet[(first + j * step) % processes].tenant(f"key:{i}")
            start = simulation.random.expovariate(1 / (interval or 1000 * MICROSECOND))
            Sender(tenant, round(start), interval)
    duration = keys.seconds if seconds is None else seconds
    simulation.run(round(duration * SECOND))
    offered = rate * duration * (LIGHT if light else 1) + (0 if light else limit.burst)
    return _figures(simulation, fleet, keys.count * offered, duration)


def _figures(
    simulation: Simulation, fleet: list[Process], offered: float, duration: float
) -> Figures:
    tenants = [tenant for process in fleet for tenant in process.tenants]
    by_key: dict[str, list[float]] = defaultdict(list)
    for tenant in tenants:
        by_key[tenant.key].append(tenant.admitted / tenant.senders)
    admitted = sum(tenant.admitted for tenant in tenants)
    end = round(duration * SECOND)
    served = simulation.store.served(end)
    # What has been waited for too long at the end is late as well.
    overdue = sum(
        end - tenant.asked_at > simulation.costs.timeout
        for tenant in tenants
        if tenant.asked_at is not None
    )
    answered = sum(process.answered for process in fleet)
    late = sum(process.late for process in fleet)
    return Figures(
        operations=served / duration,
        per_operation=admitted / max(1, served),
        used=admitted / offered,
        delayed=sum(tenant.delayed for tenant in tenants) / max(1, admitted),
        least=_mean([min(each) * len(each) / (sum(each) or 1) for each in by_key.values()]),
        jain=_mean([jain(each) for each in by_key.values()]),
        late=(late + overdue) / max(1, answered + overdue),
    )


def jain(shares: list[float]) -> float:
    """Give Jain's index of fairness: 1 where all have the same, 1/n where one has it all."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 1.0


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


Results: TypeAlias = dict[tuple[Keys, bool], dict[int, Figures]]
"""Figures by keys and whether the load is light, then by the number of processes."""


def validate(work: Work, measured: Measured, seconds: float, bounds: Bounds) -> None:
    """Print the four processes as measured and as simulated, side by side."""
    processes = len(measured.admitted)
    connections = processes * work.connections
    keys = Keys(1, work.rate, connections, everywhere=True, seconds=seconds)
    simulated = simulate(keys, processes, light=False, burst=work.burst, costs=ONE_MACHINE)
    mean = sum(measured.admitted) / processes
    print(f"\nthe {processes} processes, measured and simulated")
    print(f"  {'':32}{'measured':>10}{'simulated':>11}")
    for name, theirs, ours, tolerance in (
        ("used", measured.utilisation, simulated.used, 0.03),
        (
            "messages per operation",
            measured.messages_per_trip,
            simulated.per_operation,
            0.25 * simulated.per_operation,
        ),
        ("least share, of the mean", min(measured.admitted) / mean, simulated.least, 0.15),
        ("Jain's index", jain([*map(float, measured.admitted)]), simulated.jain, 0.03),
    ):
        print(f"  {name:32}{theirs:>10.3f}{ours:>11.3f}")
        bounds.check(
            f"simulated {name} within {tolerance:.2f} of the measured",
            holds=abs(theirs - ours) <= tolerance,
            timing=True,
        )


def run(*, quick: bool) -> Results:
    """Simulate every fleet, and print the figures."""
    results: Results = {}
    processes = PROCESSES[::3] if quick else PROCESSES
    for keys in KEYS:
        for light in (False, True):
            load = f"{LIGHT:.0%} of the limit offered" if light else "saturated"
            where = "one or more" if keys.everywhere else f"{keys.connections}"
            print(f"\nfleet, {keys.title} of {keys.rate}, connections: {where} each; {load}")
            print(
                f"  {'processes':>9}{'op/s':>9}{'per op':>9}{'used':>8}{'delayed':>9}"
                f"{'late':>8}" + ("" if light else f"{'least':>8}{'Jain':>8}")
            )
            figures = results[keys, light] = {}
            for count in processes:
                seconds = keys.seconds / 4 if quick else keys.seconds
                each = figures[count] = simulate(keys, count, light=light, seconds=seconds)
                print(
                    f"  {count:>9,}{each.operations:>9,.0f}{each.per_operation:>9.2f}"
                    f"{each.used:>8.1%}{each.delayed:>9.1%}{each.late:>8.1%}"
                    # A light load is as uneven as chance has it.
                    + ("" if light else f"{each.least:>8.3f}{each.jain:>8.3f}")
                )
    return results
