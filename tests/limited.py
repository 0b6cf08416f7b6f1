"""Time that a test moves by itself, an exact model of a token bucket, a shared store."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from anyio.lowlevel import checkpoint

from wspipe import WebSocket, websocket_app
from wspipe_middlewares.rate_limit import Grant, Request, draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe import WebSocketApp
    from wspipe_middlewares import RateLimit
    from wspipe_middlewares.rate_limit import Limit
    from wspipe_middlewares.rate_limit.clock import Now

SECOND = 1_000_000_000


def echoing(limit: RateLimit) -> WebSocketApp:
    """Make an application that echoes text behind a limit."""

    @websocket_app(pipeline=limit)
    async def echo(socket: WebSocket) -> None:
        async for text in socket.iter_text():
            await socket.send_text(text)

    return echo


class FakeClock:
    """A clock on which nobody waits: sleeping moves it on."""

    def __init__(self, time: int = 0) -> None:
        self.time = time
        self.slept: list[int] = []

    def now(self) -> int:
        """Tell the time, in nanoseconds."""
        return self.time

    async def sleep(self, duration: int) -> None:
        """Let so many nanoseconds pass."""
        self.slept.append(duration)
        await checkpoint()
        self.time += duration

    def move(self, seconds: float) -> None:
        """Let so many seconds pass; a negative number is a clock that jumps back."""
        self.time += round(seconds * SECOND)


class Model:
    """A token bucket as the textbook has it, on fractions: what it holds, and when it was so."""

    def __init__(self, amount: int, period: int, burst: int) -> None:
        self.rate = Fraction(amount, period * SECOND)
        self.burst = burst
        self.tokens = Fraction(burst)
        self.time = 0

    def move_to(self, time: int) -> None:
        """Let tokens come in; time that goes back brings none."""
        if time > self.time:
            self.tokens = min(Fraction(self.burst), self.tokens + (time - self.time) * self.rate)
        self.time = time

    def take(self, cost: int) -> bool:
        """Take tokens, if they are there."""
        if self.tokens < cost:
            return False
        self.tokens -= cost
        return True


class MemoryStore:
    """A shared store in memory, on a clock that the test moves."""

    def __init__(self, now: Now) -> None:
        self.now = now
        self.buckets: dict[str, tuple[int, int, tuple[int, ...]]] = {}
        self.requests = 0
        self.returned = 0
        self.closed = False

    async def take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        """Draw tokens."""
        await checkpoint()
        return self.take_now(key, limits, request)

    def take_now(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        """Draw tokens at once."""
        self.requests += 1
        terms = [limit.terms(SECOND) for limit in limits]
        mark, debts = self._debts(key, limits)
        drawn = draw(terms, debts, request)
        if drawn.granted:
            mark += 1
        self.buckets[key] = self.now(), mark, drawn.debts
        after = tuple(-(-debt // each.scale) for each, debt in zip(terms, drawn.debts, strict=True))
        return Grant(drawn.granted, after, drawn.wait, mark)

    async def put_back(self, key: str, limits: Sequence[Limit], *, count: int, mark: Any) -> None:
        """Take tokens back."""
        await checkpoint()
        now_mark, debts = self._debts(key, limits)
        if mark == now_mark:
            self.returned += count
            terms = [limit.terms(SECOND) for limit in limits]
            less = (max(0, d - count * t.interval) for t, d in zip(terms, debts, strict=True))
            self.buckets[key] = self.now(), now_mark + 1, tuple(less)

    async def aclose(self) -> None:
        """Note that it is closed."""
        self.closed = True

    def _debts(self, key: str, limits: Sequence[Limit]) -> tuple[int, list[int]]:
        now = self.now()
        time, mark, debts = self.buckets.get(key, (now, 0, (0,) * len(limits)))
        passed = max(0, now - time)
        scales = [limit.terms(SECOND).scale for limit in limits]
        return mark, [
            max(0, debt - passed * scale) for debt, scale in zip(debts, scales, strict=True)
        ]
