"""`RedisStore` on a real server: its keys, atomic, with few round trips."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from wspipe_middlewares import RateLimit
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import Request
from wspipe_middlewares.rate_limit.rate import Limit, parse
from wspipe_middlewares.rate_limit.redis import RedisStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

LIMITS = (Limit(20, 1, 5), Limit(100, 60, 100))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(server: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(server.url)
    yield store
    await store.aclose()


async def test_a_key_tells_the_limit_its_configuration_and_the_client(
    server: Any, talk: Any
) -> None:
    for rate, name in (("5/minute", "chat"), ("6/minute", "chat"), ("6/minute", "")):
        async with talk(RateLimit(rate, name=name, store=server.url)) as client:
            assert await client.say() == 1
    matches = [
        re.fullmatch(r"wspipe:([^:]+):([0-9a-f]{8}):127\.0\.0\.1", key) for key in server.buckets()
    ]
    names = [match[1] for match in matches if match]
    assert sorted(names)[1:] == ["chat", "chat"]
    assert len({match[2] for match in matches if match}) == 2


async def test_connections_together_get_no_more_than_the_bucket_gives(server: Any) -> None:
    limit = Limit(20, 1, 30)
    stores = [RedisStore(server.url) for _ in range(8)]

    async def draw_often(store: RedisStore) -> int:
        grants = [await store.take("one", [limit], Request(1, 1 + i % 3)) for i in range(40)]
        return sum(grant.count for grant in grants)

    began = time.monotonic()
    granted = sum(await asyncio.gather(*map(draw_often, stores)))
    assert limit.burst <= granted <= limit.burst + limit.amount * (time.monotonic() - began)
    for each in stores:
        await each.aclose()


async def test_what_is_asked_at_the_same_time_travels_together(
    server: Any, store: RedisStore
) -> None:
    await store.take("first", LIMITS, Request(1, 1))
    packets = server.call("INFO", "stats")["total_reads_processed"]
    grants = await asyncio.gather(
        *(store.take(f"key-{i}", LIMITS, Request(1, i)) for i in range(1, 201))
    )
    assert [grant.count for grant in grants] == [min(i, 5) for i in range(1, 201)]
    assert server.calls_of("evalsha") == 1 + 200
    assert server.call("INFO", "stats")["total_reads_processed"] - packets < 50


async def test_a_script_that_is_unknown_is_sent_and_then_known(
    server: Any, store: RedisStore
) -> None:
    for evals in (10, 20):
        for _ in range(2):
            grants = await asyncio.gather(
                *(store.take(f"key-{i}", LIMITS, Request(1, 1)) for i in range(10))
            )
            assert [grant.count for grant in grants] == [1] * 10
            assert server.calls_of("eval") == evals
        server.call("SCRIPT", "FLUSH")


async def test_what_was_not_used_goes_back(store: RedisStore) -> None:
    limits = [Limit(1, 3600, 5)]
    grant = await store.take("bucket", limits, Request(1, 5))
    assert grant.count == 5
    assert grant.debts == (5 * 3600 * SECOND,)
    empty = await store.take("bucket", limits, Request(1, 1))
    assert empty.count == 0
    assert 3590 * SECOND < empty.wait <= 3600 * SECOND
    await store.put_back("bucket", limits, count=3, mark=grant.mark)
    await store.put_back("bucket", limits, count=3, mark=grant.mark)
    again = await store.take("bucket", limits, Request(1, 5))
    assert again.count == 3


async def test_a_bucket_that_is_full_again_leaves_nothing(
    server: Any, store: RedisStore, until: Any
) -> None:
    await store.take("bucket", [Limit(20, 1, 2)], Request(1, 2))
    assert 0 < server.call("PTTL", "bucket") <= 101
    await until(lambda: not server.buckets())


async def test_closing_one_that_was_never_used_or_twice_does_nothing(valkey_url: str) -> None:
    store = RedisStore(valkey_url)
    await store.aclose()
    await store.take("key", parse("1/second"), Request(1, 1))
    await store.aclose()
    await store.aclose()
