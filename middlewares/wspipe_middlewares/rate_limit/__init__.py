"""`RateLimit`: token buckets, in this process or shared by many."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Final, Literal

from opentelemetry.metrics import MeterProvider, NoOpMeterProvider

from wspipe import ASGIConnection, Composable, Receive, Send
from wspipe_middlewares.rate_limit.clock import SYSTEM, Clock
from wspipe_middlewares.rate_limit.connection import LimitedConnection
from wspipe_middlewares.rate_limit.exceeded import Exceeded, RateLimitExceeded
from wspipe_middlewares.rate_limit.gcra import Draw, Request, draw
from wspipe_middlewares.rate_limit.keys import Key  # noqa: TC001 - configuration reads the types
from wspipe_middlewares.rate_limit.limiter import Cost, Limiter, OnLimit  # noqa: TC001 - likewise
from wspipe_middlewares.rate_limit.options import limiter_of
from wspipe_middlewares.rate_limit.rate import Limit, Terms, are_as_strict
from wspipe_middlewares.rate_limit.shared import OnStoreError  # noqa: TC001 - likewise
from wspipe_middlewares.rate_limit.store import Grant, Store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe import Middleware

__all__ = [
    "Clock",
    "Draw",
    "Exceeded",
    "Grant",
    "Limit",
    "RateLimit",
    "RateLimitExceeded",
    "Request",
    "Store",
    "Terms",
    "draw",
]

_INEXHAUSTIBLE: Final = 10**15
_NOWHERE: Final = NoOpMeterProvider()


@dataclass(frozen=True, slots=True, repr=False)
class RateLimit(Composable):
    """Limit how much clients may send.

    Each key has a bucket of tokens. What comes takes its cost from the bucket, and time puts the
    tokens back. So in any time `w` no more passes than `burst + rate * w`, and a client that stays
    below the rate never notices. With a shared store that is so at the store: what it grants
    travels, some of it faster than other.

    Nothing is reordered. A message whose receiver is cancelled while it waits is what the next
    receive gives.

    # Order

    Put it after the observers, so that they see what it holds back, and before whatever costs more
    than a message that is refused should.

    Args:
        rate: The limit, such as `20/second` or `3 per 10 seconds`; several, all of which have to
            agree, with a semicolon: `20/second; 500/minute`.
        burst: How many tokens a full bucket holds; for several limits, a tuple. Left out, it is
            the amount of one period.
        cost: What is counted: `messages`; `bytes` of messages (text in UTF-8, at least 1 each);
            `connections`, at the handshake; or a function of `(event, connection)` that gives the
            cost of a message, 0 for one that is free.
        key: By what is counted: `client`, the address; `connection`; `user`, or the client where
            nobody is logged in; `route`; or a function of the connection that gives a text, or
            `None` where there is no limit. It is asked at the first message, when the application
            has chosen the route and knows the user; for connections, at the handshake.
        on_limit: What happens at the limit. `delay` reads no more until the message may pass, and
            closes where that is longer than `max_delay`; `close` closes with 1008; `drop` discards
            the message; `raise` raises `RateLimitExceeded` from the handler's receive; a function
            of an `Exceeded`, sync or async, may answer, and gives the event to pass on or `None`;
            where the receiver gives up meanwhile, it is asked again.
            For connections it is `delay`, `close` or a function, and who may not come in is denied
            with status 429 and `retry-after`.
        max_delay: Seconds that `delay` may take.
        name: Tells limits apart that have the same rate, in metrics, and in a shared store, where
            those that differ by a lambda only need one each. By default it is the rate.
        proxies: Addresses and networks of proxies that are believed about the client's address;
            `unix` for one that connects by a Unix domain socket.
        proxy_header: Where they tell it: `x-forwarded-for` or `forwarded` (RFC 7239). They must
            set it themselves, or else a client can.
        ipv6_prefix: How many bits of an IPv6 address tell one client from another.
        store: Where buckets are shared with other processes: the URL of a Redis or Valkey server
            (`redis://`, `rediss://`, `valkey://`, `valkeys://`; `redis+cluster://a:6379,b:6379`;
            `redis+sentinel://a:26379,b:26379/service`), or a `Store`. Needs asyncio. What is
            counted by connection is never shared.
        on_store_error: What happens while it does not answer: `local`, each process limits by
            itself; `allow`, everything passes; `deny`, everything is over the limit.
        store_timeout: Seconds that a message waits for it.
        clock: Tells the time; for tests without a shared store, whose time is its own.
        meter_provider: By default the global one.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    rate: str
    burst: int | tuple[int, ...] | None = None
    _: KW_ONLY
    cost: Literal["messages", "bytes", "connections"] | Cost = "messages"
    key: Key = "client"
    on_limit: OnLimit = "delay"
    max_delay: float = 5.0
    name: str = ""
    proxies: tuple[str, ...] = ()
    proxy_header: Literal["x-forwarded-for", "forwarded"] = "x-forwarded-for"
    ipv6_prefix: int = 64
    store: str | Store | None = field(default=None, repr=False)
    on_store_error: OnStoreError = "local"
    store_timeout: float = 0.05
    clock: Clock = field(default=SYSTEM, repr=False, compare=False)
    meter_provider: MeterProvider | None = field(default=None, repr=False)
    _limiter: Limiter = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; make what connections share."""
        object.__setattr__(self, "_limiter", limiter_of(self))

    def __repr__(self) -> str:
        """Read as the code that makes it, without what is secret."""
        options = (
            f"{option.name}={value!r}"
            for option in fields(self)[1:]
            if option.repr and (value := getattr(self, option.name)) != option.default
        )
        store = [] if self.store is None else [f"store=<{self._limiter.store_name}>"]
        return f"RateLimit({', '.join((repr(self.rate), *options, *store))})"

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Limit what is received."""
        if self.cost == "connections":
            return receive, send
        limited = LimitedConnection(connection, self._limiter, send, self)
        return limited.limited_receive(receive), send

    async def admit(self, connection: ASGIConnection) -> None:
        """Limit who comes in.

        Raises:
            ConnectionRejected: The connection is over the limit.
        """
        if self.cost == "connections":
            await LimitedConnection(connection, self._limiter, connection.send, self).admit()

    @property
    def rejects(self) -> bool:
        """Whether it may reject connections."""
        return self.cost == "connections"

    def review(self, before: Sequence[Middleware], behind: Sequence[Middleware]) -> Iterator[str]:
        """Advise on its place in a pipeline: see `wspipe.Middleware`."""
        del behind
        for other in before:
            if (
                isinstance(other, RateLimit)
                and (other.cost, other.key) == (self.cost, self.key)
                and are_as_strict(other._limiter.limits, self._limiter.limits)  # noqa: SLF001
            ):
                yield f"never comes into play: {other!r} before it lets no more pass"
                return

    def rehearsal(self) -> RateLimit:
        """Give a copy to be measured: with no effect outside the process and never in the way.

        It has the rate, but buckets of its own that nothing empties. It counts by the client where
        it would count by a user, whom nothing may have logged in. It is without its store: the
        round trips that a message costs are told by the store's own documentation.
        """
        limits = self._limiter.limits
        return replace(
            self,
            burst=(_INEXHAUSTIBLE,) * len(limits),
            key="client" if self.key == "user" else self.key,
            store=None,
            meter_provider=_NOWHERE,
        )

    @property
    def owns_resources(self) -> bool:
        """Whether there is a store to open and to close."""
        return self.store is not None

    async def startup(self) -> None:
        """Connect to the store, if there is one."""
        await self._limiter.open()

    async def shutdown(self) -> None:
        """Disconnect from it."""
        await self._limiter.aclose()
