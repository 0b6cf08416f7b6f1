"""The limit on one connection."""

from __future__ import annotations

import inspect
from bisect import insort
from contextlib import contextmanager
from math import ceil, inf
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, cast

from wspipe import ConnectionRejected, ImproperlyConfiguredException, SteppedReceive
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.exceeded import Exceeded, RateLimitExceeded
from wspipe_middlewares.rate_limit.gcra import NEVER
from wspipe_middlewares.rate_limit.keys import stored
from wspipe_middlewares.rate_limit.local import Bucket
from wspipe_middlewares.rate_limit.quota import ASK, Verdict
from wspipe_middlewares.rate_limit.rate import Terms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator

    from wspipe import ASGIConnection, Event, Receive, Send
    from wspipe_middlewares.decisions import Decisions
    from wspipe_middlewares.rate_limit.limiter import Cost, Limiter
    from wspipe_middlewares.rate_limit.quota import Quota, Source

_LATE: Final = SECOND // 20
"""How late a message may take what was put aside for it, in nanoseconds."""

_UNKNOWN: Final = Verdict(ASK)
_UNLIMITED: Final = Verdict(0)
_NEVER_FULL: Final = Bucket(monotonic_ns, Terms(1, 0, 0), 0)
_NEVER_FULL.forget()


class LimitedConnection:
    """What belongs to one connection: its key, its quota, and messages whose receiver gave up.

    Args:
        connection: The connection.
        limiter: What connections share.
        send: Takes an event towards the client.
        by: The middleware, which closes or rejects.
    """

    __slots__ = (
        "arrived",
        "bucket",
        "by",
        "connection",
        "decisions",
        "kept",
        "key",
        "left",
        "limiter",
        "quota",
        "send",
        "source",
        "stepped",
    )

    def __init__(
        self, connection: ASGIConnection, limiter: Limiter, send: Send, by: object
    ) -> None:
        self.connection: ASGIConnection = connection
        self.limiter: Limiter = limiter
        self.decisions: Decisions = limiter.decisions
        self.send: Send = send
        self.by: object = by
        self.source: Source = limiter.source()
        self.quota: Quota = _UNKNOWN
        self.bucket: Bucket = _NEVER_FULL
        self.stepped: SteppedReceive | None = None
        self.key: str | None = None
        self.kept: list[tuple[int, Event, int, int | None]] = []
        self.arrived: int = 0
        self.left: bool = False
        if self.source.holds:
            connection.exit_stack.push_async_callback(self.leave)

    def limited_receive(self, receive: Receive) -> Receive:
        """Let pass what the limit admits."""
        step = self._admit_one if self.limiter.cost_of is None else self._admit_by_cost
        self.stepped = SteppedReceive(receive, step)
        return self.stepped

    def _admit_one(self, event: Event) -> Awaitable[Event | None] | Event:
        bucket = self.bucket
        clock = bucket.now
        now = clock()
        if now - bucket.since >= bucket.debt:
            # What `take` does with a full bucket, without its call: most are full most times.
            bucket.since, bucket.debt = now, bucket.interval
            self.decisions.admitted += 1
            return event
        return self._admit(event, 1)

    def _admit_by_cost(self, event: Event) -> Awaitable[Event | None] | Event:
        cost_of = cast("Cost", self.limiter.cost_of)
        return self._admit(event, cost_of(event, self.connection))

    def _admit(self, event: Event, cost: int) -> Awaitable[Event | None] | Event:
        wait = self.quota.take(cost) if cost else 0
        if wait == ASK and self.key is None:
            wait = self._enter(cost)
        if not wait:
            self.decisions.admitted += 1
            return event
        self.arrived += 1
        return self._unless_closed(self._settle(self.arrived, event, cost, wait))

    async def admit(self) -> None:
        """Let the connection in, if the limit admits it.

        Raises:
            ConnectionRejected: It does not.
        """
        event: Event = {"type": "websocket.connect"}
        wait = self._enter(1)
        if wait == ASK:
            wait = await self._ask(1)
        if not wait:
            self.decisions.admitted += 1
        elif wait <= self.limiter.patience:
            self.decisions.note("delayed", self.connection)
            await self.limiter.clock.sleep(wait)
        else:
            await self._let_in(self._exceeded(event, wait))

    async def _let_in(self, exceeded: Exceeded) -> None:
        decisions, connection = self.decisions, self.connection
        try:
            passed = await self._let_function_decide(exceeded)
        except ConnectionRejected:
            decisions.note("rejected", connection)
            raise
        if passed is None:
            decisions.note("rejected", connection)
            raise _rejection(exceeded)
        decisions.note("handled", connection)

    async def leave(self) -> None:
        """Give back what is held for the connection."""
        self.left = True
        if self.key is not None:
            await self.source.leave(self.key)

    async def _unless_closed(self, settling: Awaitable[Event | None]) -> Event | None:
        passed = await settling
        # Where a middleware has closed meanwhile, the disconnect is next.
        return None if self.connection.evicted else passed

    def _resume(self) -> Awaitable[Event | None]:
        return self._unless_closed(self._go_on(*self.kept.pop(0)))

    async def _go_on(self, number: int, event: Event, cost: int, due: int | None) -> Event | None:
        """Take up a message whose receiver gave up before it was decided on, or due."""
        if due is not None and self.limiter.clock.now() - due < _LATE:
            return await self._delay(number, event, cost, due)
        # What it took so long ago has come back to the bucket since.
        return await self._settle(number, event, cost, self.quota.take(cost))

    async def _settle(self, number: int, event: Event, cost: int, wait: int) -> Event | None:
        """Decide on a message that may not pass at once; give what passes."""
        if wait == ASK:
            with self._keeping(number, event, cost):
                wait = await self._ask(cost)
        if not wait:
            self.decisions.admitted += 1
            return event
        if wait <= self.limiter.patience:
            self.decisions.note("delayed", self.connection)
            return await self._delay(number, event, cost, self.limiter.clock.now() + wait)
        with self._keeping(number, event, cost):
            return await self._refuse(self._exceeded(event, wait))

    def _enter(self, cost: int) -> int:
        """Find out whose tokens to take, and take the first."""
        if self.left:
            return 0
        key = self.limiter.key_of(self.connection)
        if key is None:
            self.quota = _UNLIMITED
            return 0
        self.key = stored(key)
        self._use(self.source.enter(self.key))
        return self.quota.take(cost)

    async def _ask(self, cost: int) -> int:
        if self.left or self.key is None:
            return 0
        quota, wait = await self.source.ask(self.key, cost)
        self._use(quota)
        return wait

    def _use(self, quota: Quota) -> None:
        self.quota, self.bucket = quota, quota if isinstance(quota, Bucket) else _NEVER_FULL

    async def _delay(self, number: int, event: Event, cost: int, due: int) -> Event:
        clock = self.limiter.clock
        with self._keeping(number, event, cost, due):
            await clock.sleep(max(0, due - clock.now()))
        return event

    async def _refuse(self, exceeded: Exceeded) -> Event | None:
        decisions, connection = self.decisions, self.connection
        match self.limiter.on_limit:
            case "drop":
                decisions.note("dropped", connection)
            case "raise":
                decisions.note("raised", connection)
                raise RateLimitExceeded(exceeded)
            case "close" | "delay":
                decisions.note("closed", connection)
                await connection.close(1008, str(exceeded), by=self.by)
            case _:
                passed = await self._let_function_decide(exceeded)
                decisions.note("handled", connection)
                return passed
        return None

    async def _let_function_decide(self, exceeded: Exceeded) -> Event | None:
        function = self.limiter.on_limit
        if isinstance(function, str):
            return None
        result: object = function(exceeded)
        if inspect.isawaitable(result):
            result = await result
        if result is None or isinstance(result, dict):
            return result
        raise ImproperlyConfiguredException(
            detail=f"the on_limit function {function!r} returned {result!r}; it must return the "
            "event to pass on, or None"
        )

    def _exceeded(self, event: Event, wait: int) -> Exceeded:
        return Exceeded(
            self.connection,
            event,
            self.limiter.name,
            self.limiter.text,
            self.key or "",
            inf if wait == NEVER else wait / SECOND,
            self.send,
        )

    @contextmanager
    def _keeping(
        self, number: int, event: Event, cost: int, due: int | None = None
    ) -> Generator[None]:
        """Keep a message for the next receive, should this one be cancelled."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, Exception):
                insort(self.kept, (number, event, cost, due))
                cast("SteppedReceive", self.stepped).hold(self._resume)
            raise


def _rejection(exceeded: Exceeded) -> ConnectionRejected:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    if exceeded.retry_after != inf:
        # RFC 9110 section 10.2.3: whole seconds.
        headers.append((b"retry-after", b"%d" % ceil(exceeded.retry_after)))
    # RFC 6585 section 4.
    return ConnectionRejected(429, headers, body=f"{exceeded}\n", code=1008, reason=str(exceeded))
