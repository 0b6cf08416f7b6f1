"""The script on a real server, on a clock of the test: the arithmetic is that of `draw`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from redis import Redis

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import Request, draw
from wspipe_middlewares.rate_limit.rate import Limit
from wspipe_middlewares.rate_limit.redis import _SCRIPT, check_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MICROSECONDS = 1_000_000
START = 1_700_000_000 * MICROSECONDS
# The script with the time that it is given beside the key.
EXPIRING = _SCRIPT.replace("redis.call('TIME')", "cjson.decode(KEYS[2])")
# What expires, expires by the server's own clock.
SCRIPT = EXPIRING.replace("'PX', math.ceil(lasts / 1000) + 1", "'KEEPTTL'")


@pytest.fixture
def redis(server: Any) -> Iterator[Redis]:
    with Redis(port=server.port, socket_timeout=5) as client:
        yield client


class Bucket:
    """The bucket as `draw` has it, and as the server has it, on the same clock.

    Args:
        redis: The server.
        limits: The limits.
        key: Where it is kept.
    """

    def __init__(self, redis: Redis, limits: Sequence[Limit], key: str = "bucket") -> None:
        self.redis = redis
        self.key = key
        self.script = SCRIPT
        self.terms = [limit.terms(MICROSECONDS) for limit in limits]
        self.now = self.written_at = START
        self.mark = 0
        self.granted = 0
        self.written = (0,) * len(limits)
        redis.delete(key)

    def take(self, request: Request) -> tuple[int, int]:
        """Draw from both; tell what was granted, and the wait."""
        debts = self.debts()
        self.granted, wait, self.mark, *replied = self._run(
            *request[:3], int(request.sparing), request.share, 0, 0
        )
        expected = draw(self.terms, debts, request)
        assert (self.granted, tuple(replied), wait) == expected
        if self.granted:
            self.written, self.written_at = expected.debts, self.now
        return self.granted, wait

    def put_back(self, count: int, mark: int) -> None:
        """Put back into both."""
        debts, mark_before = self.debts(), self.mark
        _, _, self.mark, *replied = self._run(0, 0, 0, 0, 0, count, mark)
        if mark == mark_before and count:
            assert self.mark > mark
            debts = tuple(
                max(0, debt - count * each.interval)
                for each, debt in zip(self.terms, debts, strict=True)
            )
            self.written, self.written_at = debts, self.now
        assert tuple(replied) == debts

    def debts(self) -> tuple[int, ...]:
        """Tell what is owed by now. A clock that went back goes on from there."""
        self.written_at = min(self.written_at, self.now)
        passed = self.now - self.written_at
        return tuple(
            max(0, debt - passed * each.scale)
            for each, debt in zip(self.terms, self.written, strict=True)
        )

    def _run(self, *arguments: int) -> list[int]:
        clock = "[{}, {}]".format(*divmod(self.now, MICROSECONDS))
        numbers = [number for each in self.terms for number in each]
        reply: Any = self.redis.eval(self.script, 2, self.key, clock, *arguments, *numbers)
        return reply


def sized(amount: int, period: int, burst: int) -> Limit:
    limit = Limit(amount, period, burst)
    terms = limit.terms(MICROSECONDS)
    assume(terms.tolerance + 3600 * MICROSECONDS * terms.scale < 2**53)
    return limit


numbers = st.integers(1, 50) | st.integers(1, 10**6)
limits = st.lists(
    st.builds(sized, numbers, st.sampled_from([1, 10, 60, 3600, 86400]), numbers),
    min_size=1,
    max_size=3,
)
elapsed = st.integers(-5, 5) | st.integers(-(10**9), 10**9) | st.sampled_from([0, 50_000, 10**6])
aheads = st.integers(0, 3) | st.integers(0, 3600 * MICROSECONDS) | st.just(MICROSECONDS)
fractions = st.floats(0, 1)
shares = st.just(0) | st.integers(1, 50)
takes = st.tuples(elapsed, st.just("take"), fractions, fractions, aheads, st.booleans(), shares)
returns = st.tuples(elapsed, st.just("put back"), fractions, st.sampled_from([0, 0, 0, -1, 1]))


@given(limits, st.lists(takes | takes | returns, min_size=1, max_size=12))
@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_script_calculates_as_draw_does(
    redis: Redis, limits: list[Limit], steps: list[tuple[Any, ...]]
) -> None:
    bucket = Bucket(redis, limits)
    largest = min(limit.burst for limit in limits)
    for passed, what, some, *more in steps:
        bucket.now += passed
        if what == "take":
            least = 1 + round(some * (largest - 1))
            bucket.take(Request(least, least + round(more[0] * 2 * largest), *more[1:]))
        else:
            bucket.put_back(round(some * bucket.granted), bucket.mark + more[0])


def test_the_scripts_are_what_they_seem() -> None:
    assert "'TIME'" not in SCRIPT + EXPIRING
    assert "'PX'" in EXPIRING
    assert "'PX'" not in SCRIPT


def test_only_the_last_grant_can_be_put_back(redis: Redis) -> None:
    bucket = Bucket(redis, [Limit(1, 60, 10)])
    bucket.take(Request(1, 4))
    first = bucket.mark
    bucket.take(Request(1, 4))
    bucket.put_back(4, first)
    bucket.put_back(4, bucket.mark)
    assert bucket.debts() == (4 * 60 * MICROSECONDS,)
    assert bucket.take(Request(1, 10))[0] == 6


def test_a_clock_that_went_back_blocks_nobody(redis: Redis) -> None:
    bucket = Bucket(redis, [Limit(1, 1, 2)])
    assert bucket.take(Request(1, 2)) == (2, 0)
    bucket.now -= 3600 * MICROSECONDS
    assert bucket.take(Request(1, 1)) == (0, MICROSECONDS)
    bucket.now += MICROSECONDS
    assert bucket.take(Request(1, 1)) == (1, 0)


@pytest.mark.parametrize("period", [1, 1000, 86400 * 10_000])
def test_a_bucket_is_kept_until_it_is_full(redis: Redis, period: int) -> None:
    bucket = Bucket(redis, [Limit(1, period, 1)])
    bucket.script = EXPIRING
    bucket.take(Request(1, 1))
    left: Any = redis.pttl(bucket.key)
    assert (period - 1) * 1000 < left <= period * 1000 + 1


@given(
    st.sampled_from([1, 7, 999_999]),
    st.integers(1, 10_000),
    st.sampled_from([0, 3600]),
    st.lists(takes, min_size=1, max_size=6),
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_largest_limits_are_exact_and_larger_ones_are_refused(
    redis: Redis, amount: int, period: int, patience: int, steps: list[tuple[Any, ...]]
) -> None:
    farthest = max(1, patience) * MICROSECONDS
    scale, interval, _ = Limit(amount, period, 1).terms(MICROSECONDS)
    largest = Limit(amount, period, (2**53 - 1 - farthest * scale) // interval)
    check_size([largest], patience * SECOND)
    with pytest.raises(ImproperlyConfiguredException, match="is too large for a shared store"):
        check_size([Limit(amount, period, largest.burst + 1)], patience * SECOND)
    bucket = Bucket(redis, [largest])
    for passed, _, some, more, ahead, *rest in steps:
        bucket.now += passed
        least = 1 + round(some * (largest.burst - 1))
        most = least + round(more * largest.burst)
        bucket.take(Request(least, most, min(ahead, farthest), *rest))
