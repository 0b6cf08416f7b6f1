"""A discrete-event simulation of processes that lease from one store.

The leases are those of the library; the clock, the network, the store and the senders are
simulated. A process does one thing at a time, as an event loop does, and so does the store.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import Request, draw
from wspipe_middlewares.rate_limit.lease import Lease
from wspipe_middlewares.rate_limit.store import Grant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from benchmarks.rate_limit.sender import Sender
    from wspipe_middlewares.rate_limit.rate import Limit

MICROSECOND: Final = 1000
BATCH: Final = 256
"""How many requests of one process travel together, as in `RedisStore`."""


@dataclass(frozen=True, slots=True)
class Costs:
    """How long things take, in nanoseconds.

    Args:
        one_way: The network, one way: the median of a log-normal distribution.
        service: The store's time for one request.
        message: A process's time for one message.
        waking: For one that was delayed, on top.
        asking: For one trip to the store.
        packing: For one request on it.
        timeout: How long a message waits for the store before the process gives up on it.
    """

    one_way: int = 500 * MICROSECOND
    service: int = 15 * MICROSECOND
    message: int = 5 * MICROSECOND
    waking: int = 40 * MICROSECOND
    asking: int = 200 * MICROSECOND
    packing: int = 20 * MICROSECOND
    timeout: int = SECOND // 20


class Simulation:
    """The events to come, in order, and the time.

    Args:
        limit: The limit, which is that of every key.
        costs: How long things take.
        patience: How many nanoseconds a message may be delayed.
        seed: Chooses what is random.
    """

    def __init__(self, limit: Limit, costs: Costs, patience: int, seed: int = 1) -> None:
        self.limit = limit
        self.costs = costs
        self.patience = patience
        self.random = Random(seed)  # noqa: S311 - it has to be the same each time
        self.store = SimulatedStore(limit, costs.service)
        self.now = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, time: int, action: Callable[[], None]) -> None:
        """Have something happen."""
        heappush(self._events, (time, next(self._order), action))

    def run(self, until: int) -> None:
        """Let it all happen until then."""
        while self._events and self._events[0][0] < until:
            self.now, _, action = heappop(self._events)
            action()

    def latency(self) -> int:
        """Draw the time that one way through the network takes."""
        return round(self.costs.one_way * self.random.lognormvariate(0, 0.3))


class SimulatedStore:
    """A store that serves one request after the other.

    Args:
        limit: The limit of each bucket.
        service: Nanoseconds for each request.
    """

    def __init__(self, limit: Limit, service: int) -> None:
        self._served = 0
        self._terms = limit.terms(SECOND)
        self._service = service
        self._free_at = 0
        self._full_at: dict[str, int] = {}

    def serve(self, batch: list[Call], now: int) -> tuple[list[Grant], int]:
        """Answer requests that came together; tell also when they are answered."""
        time = max(now, self._free_at)
        grants: list[Grant] = []
        scale = self._terms.scale
        for tenant, request, _ in batch:
            debt = max(0, self._full_at.get(tenant.key, 0) - time * scale)
            granted, (after,), wait = draw([self._terms], [debt], request)
            self._full_at[tenant.key] = time * scale + after
            grants.append(Grant(granted, (-(-after // scale),), wait))
            time += self._service
        self._served += len(batch)
        self._free_at = time
        return grants, time

    def served(self, until: int) -> int:
        """Tell how many requests were served by then."""
        return self._served - max(0, self._free_at - until) // self._service


class Call(NamedTuple):
    """A request that is under way."""

    tenant: Tenant
    request: Request
    sent: int


class Process:
    """A process: it does one thing at a time, and has one trip to the store under way at most."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self.time = 0
        self.answered = 0
        self.late = 0
        self._tenants: dict[str, Tenant] = {}
        self._waiting: deque[Call] = deque()
        self._travelling = False

    def tenant(self, key: str) -> Tenant:
        """Give the lease of a key."""
        if key not in self._tenants:
            self._tenants[key] = Tenant(self, key)
        return self._tenants[key]

    @property
    def tenants(self) -> Iterable[Tenant]:
        """The leases that it has."""
        return self._tenants.values()

    def wake(self, time: int, action: Callable[[], None]) -> None:
        """Do something at a time, or as soon as nothing else is being done."""

        def begin() -> None:
            if self.simulation.now < self.time:
                self.simulation.at(self.time, begin)
            else:
                self.time = self.simulation.now
                action()

        self.simulation.at(time, begin)

    def call(self, tenant: Tenant) -> None:
        """Ask the store, as soon as the trip before has come back."""
        self._waiting.append(Call(tenant, tenant.lease.request(1), self.time))
        if not self._travelling:
            self._travelling = True
            self.wake(self.time, self._travel)

    def _travel(self) -> None:
        simulation = self.simulation
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        self.time += simulation.costs.asking + len(batch) * simulation.costs.packing

        def arrive() -> None:
            grants, answered = simulation.store.serve(batch, simulation.now)
            self.wake(answered + simulation.latency(), partial(self._receive, batch, grants))

        simulation.at(self.time + simulation.latency(), arrive)

    def _receive(self, batch: list[Call], grants: list[Grant]) -> None:
        self._travelling = bool(self._waiting)
        if self._waiting:
            self.wake(self.time, self._travel)
        self.answered += len(batch)
        for call, grant in zip(batch, grants, strict=True):
            self.late += self.time - call.sent > self.simulation.costs.timeout
            call.tenant.receive(grant, call)


class Tenant:
    """The lease of one key in one process, and the senders that wait for it."""

    def __init__(self, process: Process, key: str) -> None:
        self.process = process
        self.key = key
        self.senders = 0
        self.admitted = 0
        self.delayed = 0
        simulation = process.simulation
        self.lease = Lease([simulation.limit], lambda: process.time, simulation.patience)
        self.asked_at: int | None = None
        self._waiting: list[Sender] = []

    def ask(self, sender: Sender) -> None:
        """Have the lease filled for a sender; one request at a time."""
        if self.asked_at is None:
            self.asked_at = self.process.time
            self.process.call(self)
        self._waiting.append(sender)

    def receive(self, grant: Grant, call: Call) -> None:
        """Take what the store grants, and let the senders go on."""
        self.lease.receive(grant, call.request, call.sent)
        waiting, self._waiting, self.asked_at = self._waiting, [], None
        for sender in waiting:
            sender.go_on()
