"""Leases from a shared store, and what stands in for them while it does not answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wspipe_middlewares.rate_limit.breaker import Breaker
from wspipe_middlewares.rate_limit.gcra import NEVER, Request
from wspipe_middlewares.rate_limit.lease import Lease
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.quota import ASK, Verdict
from wspipe_middlewares.rate_limit.rate import Limit
from wspipe_middlewares.rate_limit.store import checked

if TYPE_CHECKING:
    from wspipe_middlewares.rate_limit.limiter import Limiter
    from wspipe_middlewares.rate_limit.quota import Quota
    from wspipe_middlewares.rate_limit.store import Store

OnStoreError: TypeAlias = Literal["local", "allow", "deny"]

MEANWHILE: Final[dict[OnStoreError, str]] = {
    "local": "each process limits by itself",
    "allow": "everything is allowed",
    "deny": "everything is over the limit",
}
"""What happens while a store is out of order, in words."""

_OPENING_PATIENCE: Final = 1.0

# Never empty, so that a probe always writes.
_PROBE: Final = (Limit(1_000_000, 1, burst=1_000_000),)


class SharedLease:
    """A lease, and who uses it: how many connections of this process, and those that wait.

    Those who wait take turns, in their order. Where the store fails, all of them go on at once.
    """

    __slots__ = ("connections", "failures", "fetching", "lease", "turn")

    def __init__(self, lease: Lease) -> None:
        self.lease: Lease = lease
        self.connections: int = 0
        self.failures: int = 0
        self.turn: asyncio.Lock = asyncio.Lock()
        self.fetching: asyncio.Task[None] | None = None


class SharedQuotas:
    """The leases of one process from one store, on one event loop.

    Args:
        store: The store.
        name: What the store is called in log lines.
        limiter: The configuration.
    """

    holds = True

    def __init__(self, store: Store, name: str, limiter: Limiter) -> None:
        self.store = store
        self.limiter = limiter
        self.breaker: Breaker = Breaker(
            name,
            MEANWHILE[limiter.on_store_error],
            self._probe_in_time,
            self._restored,
            lambda error: limiter.recorder.store_failed(limiter.name, error),
        )
        self._limits = limiter.limits
        self._now = limiter.clock.now
        self._timeout = limiter.store_timeout
        self._leases: dict[str, SharedLease] = {}
        self._fetching: set[asyncio.Task[None]] = set()
        self._closed = False
        self._buckets = LocalStore(self._limits, self._now, limiter.patience)
        self._verdict = self._make_verdict()

    async def open(self) -> None:
        """Have the store connect, so that the first message need not wait for it."""
        try:
            async with asyncio.timeout(max(_OPENING_PATIENCE, self._timeout)):
                await self._probe()
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            self.breaker.failed(error)
            self.breaker.trip(error)

    def enter(self, key: str) -> Quota:
        """Give a connection the lease of its key."""
        shared = self._leases.get(key)
        if shared is None:
            shared = self._leases[key] = SharedLease(
                Lease(self._limits, self._now, self.limiter.patience)
            )
        shared.connections += 1
        return shared.lease

    async def ask(self, key: str, cost: int) -> tuple[Quota, int]:
        """Take tokens from the lease of a key, and have it filled where that is needed."""
        shared = self._leases.get(key)
        if shared is None or self.breaker.is_open or self._closed:
            stand_in = self._stand_in(key, shared)
            return stand_in, stand_in.take(cost)
        lease, failures = shared.lease, shared.failures
        lease.waiting += cost
        try:
            async with shared.turn:
                while shared.failures == failures:
                    wait = lease.take_in_turn(cost)
                    if wait != ASK:
                        return lease, wait
                    await asyncio.shield(self._fetch(key, shared, cost))
        finally:
            lease.waiting -= cost
        return lease, self._stand_in(key, shared).take(cost)

    async def leave(self, key: str) -> None:
        """Give back what the last connection of a key leaves of its lease."""
        shared = self._leases[key]
        shared.connections -= 1
        if not shared.connections and shared.fetching is not None:
            await asyncio.wait([shared.fetching])
        if shared.connections or self._leases.get(key) is not shared:
            return
        del self._leases[key]
        count, mark = shared.lease.unused()
        if count and not self.breaker.is_open and not self._closed:
            try:
                async with asyncio.timeout(self._timeout):
                    await self.store.put_back(
                        self.limiter.prefix + key, self._limits, count=count, mark=mark
                    )
            except Exception as error:  # noqa: BLE001 - a store may fail in any way
                self.breaker.failed(error)

    def _fetch(self, key: str, shared: SharedLease, cost: int) -> asyncio.Task[None]:
        # One request at a time and key, which goes on where the message that needs it is gone.
        if shared.fetching is None or shared.fetching.done():
            shared.fetching = task = asyncio.create_task(self._fill(key, shared, cost))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)
        return shared.fetching

    async def _fill(self, key: str, shared: SharedLease, cost: int) -> None:
        lease = shared.lease
        request, sent = lease.request(cost, lease.waiting), self._now()
        try:
            async with asyncio.timeout(self._timeout):
                grant = await self.store.take(self.limiter.prefix + key, self._limits, request)
            lease.receive(checked(grant, request, self._limits), request, sent)
        except asyncio.CancelledError:
            shared.failures += 1  # by `aclose`: whoever waits is not cancelled with it
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            shared.failures += 1
            self.breaker.failed(error)
        else:
            self.breaker.succeeded()

    def _stand_in(self, key: str, shared: SharedLease | None) -> Quota:
        if self.limiter.on_store_error != "local":
            return self._verdict
        bucket = self._buckets.enter(key)
        if shared is not None and shared.lease.debts:
            bucket.owe(shared.lease.debts_now())
        return bucket

    def _make_verdict(self) -> Verdict:
        return Verdict(0 if self.limiter.on_store_error == "allow" else NEVER)

    async def _probe(self) -> None:
        # No key of a connection has a blank.
        await self.store.take(f"{self.limiter.prefix} probe", _PROBE, Request(1, 1))

    async def _probe_in_time(self) -> None:
        async with asyncio.timeout(self._timeout):
            await self._probe()

    def _restored(self) -> None:
        self._buckets.recall()
        self._verdict.wait = ASK
        self._verdict = self._make_verdict()

    async def aclose(self) -> None:
        """Stop what goes on in the background, and close the store."""
        self._closed = True
        await self.breaker.stop()
        for task in self._fetching:
            task.cancel()
        if self._fetching:
            await asyncio.wait(self._fetching)
        aclose = getattr(self.store, "aclose", None)
        if aclose is not None:
            await aclose()
