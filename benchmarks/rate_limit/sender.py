"""What sends, in a simulation: connections that wait for their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wspipe_middlewares.rate_limit.quota import ASK

if TYPE_CHECKING:
    from benchmarks.rate_limit.simulation import Tenant

MILLISECOND: Final = 1_000_000


class Sender:
    """A connection that has another message at once, or at random times.

    Args:
        tenant: Where it takes from.
        start: When it begins.
        interval: Nanoseconds between messages, in the mean; 0 where there is always one.
    """

    def __init__(self, tenant: Tenant, start: int, interval: float = 0) -> None:
        self.tenant = tenant
        self.interval = interval
        self.due = start
        tenant.senders += 1
        tenant.process.wake(start, self.go_on)

    def go_on(self) -> None:
        """Take for one message after the other, until one has to wait."""
        tenant, process = self.tenant, self.tenant.process
        simulation = process.simulation
        while True:
            if self.due > process.time:
                return process.wake(self.due, self.go_on)
            wait = tenant.lease.take(1)
            if wait == ASK:
                return tenant.ask(self)
            if wait:
                # An event loop's timer is some whole number of milliseconds.
                wake_at = process.time + -(-wait // MILLISECOND) * MILLISECOND
                tenant.delayed += 1
                passes = wait <= simulation.patience
                return process.wake(wake_at, self._pass_late if passes else self.go_on)
            self._pass()

    def _pass(self) -> None:
        process = self.tenant.process
        self.tenant.admitted += 1
        process.time += process.simulation.costs.message
        if self.interval:
            self.due += round(process.simulation.random.expovariate(1 / self.interval))

    def _pass_late(self) -> None:
        self.tenant.process.time += self.tenant.process.simulation.costs.waking
        self._pass()
        self.go_on()
