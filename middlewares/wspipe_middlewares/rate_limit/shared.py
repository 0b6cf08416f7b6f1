"""Leases from a shared store, and what stands in for them while it does not answer."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wspipe_middlewares.rate_limit.breaker import Breaker
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import NEVER, Request
from wspipe_middlewares.rate_limit.lease import Lease
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.quota import ASK, Verdict

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

_PROBE_PATIENCE: Final = 1.0


class Tenant:
    """A lease, and how many connections of this process use it."""

    __slots__ = ("connections", "fetching", "lease")

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.connections = 0
        self.fetching: asyncio.Task[bool] | None = None


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
        self.breaker = Breaker(
            name,
            MEANWHILE[limiter.on_store_error],
            self._probe,
            self._restored,
            lambda error: limiter.recorder.store_failed(limiter.name, error),
        )
        self._limits = limiter.limits
        self._now = limiter.clock.now
        self._timeout = limiter.store_timeout
        self._tenants: dict[str, Tenant] = {}
        self._buckets = LocalStore(self._limits, self._now, limiter.patience)
        self._verdict = self._make_verdict()

    async def open(self) -> None:
        """Have the store connect, so that the first message need not wait for it."""
        try:
            await self._probe()
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            self.breaker.failed(error)
            self.breaker.trip(error)

    def enter(self, key: str) -> Quota:
        """Give a connection the lease of its key."""
        tenant = self._tenants.get(key)
        if tenant is None:
            tenant = self._tenants[key] = Tenant(
                Lease(self._limits, self._now, self.limiter.patience)
            )
        tenant.connections += 1
        return tenant.lease

    async def ask(self, key: str, cost: int) -> tuple[Quota, int]:
        """Take tokens from the lease of a key, and have it filled where that is needed."""
        tenant = self._tenants[key]
        if self.breaker.is_open:
            stand_in = self._stand_in(key, tenant.lease)
            return stand_in, stand_in.take(cost)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timeout):
                while (wait := tenant.lease.take(cost)) == ASK:
                    if not await asyncio.shield(self._fetch(key, tenant, cost)):
                        break
                else:
                    return tenant.lease, wait
        return tenant.lease, self._stand_in(key, tenant.lease).take(cost)

    async def leave(self, key: str) -> None:
        """Give back what the last connection of a key leaves of its lease."""
        tenant = self._tenants[key]
        tenant.connections -= 1
        if tenant.connections:
            return
        del self._tenants[key]
        count, mark = tenant.lease.unused()
        if count and not self.breaker.is_open:
            try:
                async with asyncio.timeout(self._timeout):
                    await self.store.put_back(
                        self.limiter.prefix + key, self._limits, count=count, mark=mark
                    )
            except Exception as error:  # noqa: BLE001 - a store may fail in any way
                self.breaker.failed(error)

    def _fetch(self, key: str, tenant: Tenant, cost: int) -> asyncio.Task[bool]:
        # One request at a time and key, which goes on where the message that needs it is gone.
        if tenant.fetching is None or tenant.fetching.done():
            tenant.fetching = asyncio.create_task(self._fill(key, tenant.lease, cost))
        return tenant.fetching

    async def _fill(self, key: str, lease: Lease, cost: int) -> bool:
        request, sent = lease.request(cost), self._now()
        try:
            async with asyncio.timeout(self._timeout):
                grant = await self.store.take(self.limiter.prefix + key, self._limits, request)
        except asyncio.CancelledError:
            return False  # by `aclose`: whoever waits is not cancelled with it
        except Exception as error:  # noqa: BLE001 - a store may fail in any way
            self.breaker.failed(error)
            return False
        self.breaker.succeeded()
        lease.receive(grant, request, sent)
        return True

    def _stand_in(self, key: str, lease: Lease) -> Quota:
        if self.limiter.on_store_error == "local":
            return self._buckets.enter(key, lease.debts_now())
        return self._verdict

    def _make_verdict(self) -> Verdict:
        return Verdict(0 if self.limiter.on_store_error == "allow" else NEVER)

    async def _probe(self) -> None:
        async with asyncio.timeout(max(_PROBE_PATIENCE, self._timeout)):
            await self.store.take(
                f"{self.limiter.prefix}probe", self._limits, Request(1, 1, SECOND)
            )

    def _restored(self) -> None:
        self._buckets.forget_all()
        self._verdict.wait = ASK
        self._verdict = self._make_verdict()

    async def aclose(self) -> None:
        """Stop what goes on in the background, and close the store."""
        await self.breaker.stop()
        fetching = [each.fetching for each in self._tenants.values() if each.fetching is not None]
        for task in fetching:
            task.cancel()
        if fetching:
            await asyncio.wait(fetching)
        aclose = getattr(self.store, "aclose", None)
        if aclose is not None:
            await aclose()
