"""The check of stores: one that is right passes, and each kind of wrong one is told."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic_ns
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from tests.limited import MemoryStore
from wspipe_middlewares.rate_limit import Grant, Request, Store
from wspipe_middlewares.rate_limit.conformance import check_store
from wspipe_middlewares.rate_limit.redis import RedisStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """A shared store needs asyncio."""
    return "asyncio"


class Right(MemoryStore):
    """A store that does as it should."""

    def __init__(self) -> None:
        super().__init__(monotonic_ns)


async def test_a_store_that_is_right_passes_and_is_closed() -> None:
    made: list[Right] = []

    def make() -> Right:
        made.append(Right())
        return made[-1]

    await check_store(make)
    assert all(store.closed for store in made)
    assert isinstance(made[0], Store)


async def test_a_store_need_not_be_closable() -> None:
    class Bare:
        def __init__(self) -> None:
            store = Right()
            self.take, self.put_back = store.take, store.put_back

    await check_store(Bare)


async def test_the_store_on_redis_is_right(valkey_url: str) -> None:
    await check_store(lambda: RedisStore(valkey_url))


class Stingy(Right):
    """Grants all that is wanted, or nothing."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits, request._replace(least=request.most))


class Generous(Right):
    """Grants what is wanted, whatever there is."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:  # noqa: ARG002
        return Grant(request.most, (request.most * 86400 * 10**9,), 0)


class Partial(Right):
    """Grants less than is needed."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits, request._replace(least=1))


class ShortSighted(Right):
    """Grants nothing ahead."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits, request._replace(ahead=0))


class Greedy(Right):
    """Leaves nothing to others."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits, request._replace(sparing=False))


class Unfair(Right):
    """Gives to who comes first."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits, request._replace(share=0))


class OneLimit(Right):
    """Looks at the first limit only."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return self.take_now(key, limits[:1], request)


class OneKey(Right):
    """Has one bucket for all keys of a check."""

    async def take(self, key: str, limits: Any, request: Request) -> Grant:
        return self.take_now(key[:10], limits, request)


class Forgiving(Right):
    """Takes back whatever it is given."""

    async def put_back(self, key: str, limits: Any, *, count: int, mark: Any) -> None:  # noqa: ARG002
        _, last, _ = self.buckets[key]
        await super().put_back(key, limits, count=count, mark=last)


class Unforgiving(Right):
    """Takes nothing back."""

    async def put_back(self, key: str, limits: Any, *, count: int, mark: Any) -> None:
        pass


class Racing(Right):
    """Reads in one step and writes in another."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        before = dict(self.buckets)
        await checkpoint()
        self.buckets = before
        return self.take_now(key, limits, request)


class Timeless(Right):
    """Does not say when to come back."""

    async def take(self, key: Any, limits: Any, request: Request) -> Grant:
        return replace(self.take_now(key, limits, request), wait=0)


class Slow(Right):
    """Its tokens come back at half the rate."""

    def __init__(self) -> None:
        super().__init__()
        self.now = lambda: monotonic_ns() // 2


class Fast(Right):
    """Its tokens come back at twice the rate."""

    def __init__(self) -> None:
        super().__init__()
        self.now = lambda: monotonic_ns() * 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Stingy, "tokens where 6 are left and 100 are wanted: 0, which should be 6"),
        (Generous, "tokens where 6 are left and 100 are wanted: 100, which should be 6"),
        (Partial, "tokens where 3 are left and 4 are needed: 3, which should be 0"),
        (ShortSighted, "tokens of now and of the next two days: 10, which should be 12"),
        (Greedy, "at most a quarter of it: 10, which should be 2"),
        (Unfair, "tokens where 8 are drawn ahead, of a share of 4: 50, which should be 2"),
        (OneLimit, "tokens of a bucket of 10 and one of 3: 10, which should be 3"),
        (OneKey, "tokens of another key: 0, which should be 10"),
        (Forgiving, "tokens after an old grant was to be taken back: 1, which should be 0"),
        (
            Unforgiving,
            "tokens after 2 of the last grant were taken back, twice: 0, which should be 2",
        ),
        (Racing, "tokens for 50 at once, of a bucket of 10: 50, which should be 10"),
        (Timeless, "nanoseconds until the next token: 0, which should be"),
        (Slow, "far below the rate"),
        (Fast, "more than"),
    ],
)
async def test_a_store_that_is_wrong_is_told_what_is_wrong(wrong: type[Right], words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        await check_store(wrong)
