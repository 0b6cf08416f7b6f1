"""What all connections of a `RateLimit` share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from wspipe import ASGIConnection, Event, ImproperlyConfiguredException
from wspipe_middlewares.rate_limit.exceeded import Exceeded
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.redis import RedisStore
from wspipe_middlewares.rate_limit.shared import OnStoreError, SharedQuotas

if TYPE_CHECKING:
    from wspipe_middlewares.decisions import Decisions
    from wspipe_middlewares.metrics.recorder import Recorder
    from wspipe_middlewares.rate_limit.clock import Clock
    from wspipe_middlewares.rate_limit.keys import KeyFunction
    from wspipe_middlewares.rate_limit.quota import Source
    from wspipe_middlewares.rate_limit.rate import Limit
    from wspipe_middlewares.rate_limit.store import Store

Cost: TypeAlias = Callable[[Event, ASGIConnection], int]
"""Tells how many tokens a message costs; 0 lets it pass free."""

OnLimit: TypeAlias = (
    Literal["delay", "close", "drop", "raise"]
    | Callable[[Exceeded], Awaitable[Event | None] | Event | None]
)
"""What happens at the limit. A function gives the event to pass on, or `None`."""


@dataclass(slots=True)
class Limiter:
    """The limits, how they are counted, and where the tokens come from.

    Args:
        name: Tells this limit from others, in metrics and in a shared store.
        limits: The limits.
        text: The limits, as they are configured.
        prefix: What the keys in a shared store begin with.
        key_of: Tells the key of a connection.
        cost_of: Tells what a message costs; `None` where each costs 1.
        on_limit: What happens at the limit.
        patience: How many nanoseconds a message may be delayed.
        clock: Tells the time, and waits.
        decisions: Counts.
        recorder: Takes the errors of the store.
        store: Holds the buckets that processes share: a URL, or one of the user's.
        store_name: What it is called, without its password.
        on_store_error: What happens where it does not answer.
        store_timeout: Seconds that a message waits for it.
    """

    name: str
    limits: tuple[Limit, ...]
    text: str
    prefix: str
    key_of: KeyFunction
    cost_of: Cost | None
    on_limit: OnLimit
    patience: int
    clock: Clock
    decisions: Decisions
    recorder: Recorder
    store: str | Store | None = field(repr=False)
    store_name: str
    on_store_error: OnStoreError
    store_timeout: float
    _local: LocalStore | None = None
    _shared: dict[asyncio.AbstractEventLoop, SharedQuotas] = field(
        default_factory=dict[asyncio.AbstractEventLoop, SharedQuotas]
    )

    def __post_init__(self) -> None:
        """Make the buckets of this process, unless they are shared."""
        if self.store is None:
            self._local = LocalStore(self.limits, self.clock.now, self.patience)

    def source(self) -> Source:
        """Give the source of quotas for the event loop that runs.

        Raises:
            ImproperlyConfiguredException: It is a shared store, and this is no loop of asyncio.
        """
        return self._local if self._local is not None else self._shared_quotas()

    async def open(self) -> None:
        """Have the store connect, so that the first message need not wait for it."""
        if self._local is None:
            await self._shared_quotas().open()

    async def aclose(self) -> None:
        """Close the store of the event loop that runs."""
        if self._shared:
            quotas = self._shared.pop(asyncio.get_running_loop(), None)
            if quotas is not None:
                await quotas.aclose()

    def _shared_quotas(self) -> SharedQuotas:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise ImproperlyConfiguredException(
                detail="a shared store of RateLimit needs asyncio; under trio leave out store=, "
                "and each process limits by itself"
            ) from None
        quotas = self._shared.get(loop)
        if quotas is None:
            for other in [loop for loop in self._shared if loop.is_closed()]:
                del self._shared[other]
            quotas = self._shared[loop] = SharedQuotas(*self._open_store(), self)
        return quotas

    def _open_store(self) -> tuple[Store, str]:
        assert self.store is not None  # noqa: S101 - then there would be buckets here
        store = RedisStore(self.store) if isinstance(self.store, str) else self.store
        return store, self.store_name
