"""The local store, against an exact model of a token bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.limited import SECOND, FakeClock, Model, echoing
from wspipe import WebSocketDisconnect
from wspipe.testing import connect
from wspipe_middlewares import RateLimit
from wspipe_middlewares.rate_limit.gcra import NEVER
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.quota import ASK
from wspipe_middlewares.rate_limit.rate import Limit, parse

if TYPE_CHECKING:
    from wspipe import ASGIConnection

limits = st.builds(Limit, st.integers(1, 1000), st.sampled_from([1, 3, 60]), st.integers(1, 50))
several = st.lists(limits, min_size=1, max_size=3)
# Gaps in nanoseconds, of all sizes; negative ones are a clock that jumps back.
gaps = st.one_of(st.just(0), st.integers(0, 10**7), st.integers(-(10**10), 10**11))
takes = st.tuples(gaps, st.sampled_from("abc"), st.integers(1, 60))


def path_of(connection: ASGIConnection) -> str:
    path: str = connection.scope["path"]
    return path


class Keys:
    """A store whose keys are taken from one by one, as connections would."""

    def __init__(self, limits: list[Limit], clock: FakeClock, patience: int = 0) -> None:
        self.store = LocalStore(limits, clock.now, patience)
        self.quotas: dict[str, Any] = {}

    def take(self, key: str, cost: int) -> int:
        """Take from a key's bucket, looked up again where it was forgotten."""
        wait: int = self.quotas[key].take(cost) if key in self.quotas else ASK
        if wait == ASK:
            self.quotas[key] = self.store.enter(key)
            wait = self.quotas[key].take(cost)
        return wait


@given(several, st.lists(takes, max_size=60))
def test_it_decides_as_the_model_does(
    limits: list[Limit], steps: list[tuple[int, str, int]]
) -> None:
    clock = FakeClock()
    keys = Keys(limits, clock)
    models = {key: [Model(x.amount, x.period, x.burst) for x in limits] for key in "abc"}
    for gap, key, cost in steps:
        clock.time += gap
        for every in models.values():
            for model in every:
                model.move_to(clock.time)
        admitted = all(model.tokens >= cost for model in models[key])
        assert (keys.take(key, cost) == 0) == admitted
        if admitted:
            for model in models[key]:
                model.take(cost)


@given(several, st.lists(takes, max_size=60))
def test_in_no_window_is_there_more_than_burst_and_rate(
    limits: list[Limit], steps: list[tuple[int, str, int]]
) -> None:
    clock, time = FakeClock(), 0
    keys, admitted = Keys(limits, clock, patience=10**18), list[tuple[int, int]]()
    for gap, _, cost in steps:
        clock.time += gap
        time += max(0, gap)
        wait = keys.take("a", cost)
        if wait != NEVER:
            admitted.append((time + wait, cost))
    for i, (start, _) in enumerate(admitted):
        total = 0
        for end, cost in admitted[i:]:
            total += cost
            assert end >= start, "who comes later passes later"
            for limit in limits:
                most = limit.burst * limit.period * SECOND + (end - start) * limit.amount
                # A wait is rounded up to whole nanoseconds.
                assert total * limit.period * SECOND <= most + 2 * limit.amount


@given(limits, st.lists(st.tuples(st.integers(0, 10**9), st.integers(1, 5)), max_size=60))
def test_a_client_below_the_rate_never_waits(limit: Limit, steps: list[tuple[int, int]]) -> None:
    clock = FakeClock()
    keys = Keys([limit], clock)
    interval = -(-limit.period * SECOND // limit.amount)
    for pause, cost in steps:
        wanted = min(cost, limit.burst)
        assert keys.take("a", wanted) == 0
        clock.time += wanted * interval + pause


@given(limits, st.integers(1, 60))
def test_the_wait_is_exact(limit: Limit, cost: int) -> None:
    clock = FakeClock()
    keys = Keys([limit], clock)
    keys.take("a", limit.burst)
    wait = keys.take("a", cost)
    if cost > limit.burst:
        assert wait == NEVER
        return
    clock.time += wait - 1
    assert keys.take("a", cost) > 0
    clock.time += 1
    assert keys.take("a", cost) == 0


@pytest.mark.parametrize("rate", ["1/second", "7/second", "1/second; 1/minute"])
def test_what_may_be_waited_for_is_taken_and_what_may_not_is_not(rate: str) -> None:
    clock = FakeClock()
    period = parse(rate)[-1].period * SECOND
    one = period // parse(rate)[-1].amount
    keys = Keys(list(parse(rate, (1,) * len(parse(rate)))), clock, patience=2 * period)
    waits = [keys.take("a", 1) for _ in range(20)]
    booked = [wait for wait in waits if wait <= 2 * period]
    assert booked == pytest.approx([i * one for i in range(len(booked))], abs=20)
    assert len(booked) == (2 * period) // one + 1
    assert set(waits[len(booked) :]) == {waits[-1]}
    clock.time += waits[-1]
    assert keys.take("a", 1) == 0


def test_a_clock_that_jumped_back_blocks_nobody() -> None:
    clock = FakeClock(10**15)
    keys = Keys(list(parse("10/second")), clock)
    assert keys.take("a", 10) == 0
    clock.move(-100_000)
    assert keys.take("a", 1) == SECOND // 10
    clock.move(0.1)
    assert keys.take("a", 1) == 0


@pytest.mark.parametrize("rate", ["10/second", "10/second; 20/minute"])
def test_a_full_bucket_is_forgotten_and_one_that_is_not_is_kept(rate: str) -> None:
    clock = FakeClock()
    store = LocalStore(parse(rate), clock.now)
    held = store.enter("held")
    assert held.take(10) == 0
    for i in range(100):
        store.enter(f"other {i}").take(1)
    assert store.enter("held") is held
    clock.move(0.5)
    for i in range(100, 200):
        store.enter(f"other {i}").take(1)
    assert store.enter("held") is held, "it is not full"
    clock.move(100)
    for i in range(200, 300):
        store.enter(f"other {i}")
    assert len(store) < 50
    assert held.take(1) == ASK, "whoever still has it is told"
    assert held.take(1000) == ASK, "and so is who asks for more than there is"
    assert store.enter("held") is not held


@pytest.mark.anyio
async def test_a_forgotten_bucket_is_never_used_again_however_long_nothing_comes() -> None:
    # Its clock counts in millionths of a nanosecond, so that its numbers are large after an hour.
    clock = FakeClock()
    app = echoing(RateLimit("1000003/second", burst=5, key=path_of, on_limit="close", clock=clock))
    async with connect(app, "/a") as first, connect(app, "/a") as second:
        await first.send_text("once")
        assert await first.receive() == "once"
        clock.move(2)
        for i in range(10):
            async with connect(app, f"/{i}") as other:
                await other.send_text("others come")
        clock.move(48 * 3600)
        await first.send_text("the first of five")
        assert await first.receive() == "the first of five"
        for text in "abcde":
            await second.send_text(text)
        assert [await second.receive() for _ in range(4)] == ["a", "b", "c", "d"]
        with pytest.raises(WebSocketDisconnect, match="rate limit"):
            await second.receive()


@pytest.mark.anyio
async def test_who_has_a_forgotten_bucket_is_given_the_one_that_others_have() -> None:
    clock = FakeClock()
    store = LocalStore(parse("10/second"), clock.now)
    old = store.enter("key")
    clock.move(1)
    for i in range(10):
        store.enter(str(i))
    assert old.take(1) == ASK
    new = store.enter("key")
    assert new.take(8) == 0
    quota, wait = await store.ask("key", 2)
    assert (quota, wait) == (new, 0)
    assert new.take(1) > 0
    await store.leave("key")


def test_keys_that_come_and_go_do_not_stay() -> None:
    clock = FakeClock()
    store = LocalStore(parse("20/second"), clock.now)
    most = 0
    for i in range(100_000):
        clock.time += 100_000
        store.enter(str(i)).take(1)
        most = max(most, len(store))
    # A bucket is full again after 50 ms and idle a second later, and until then 10,500 keys come.
    assert most < 21_000
    clock.move(2)
    for i in range(100):
        store.enter(f"later {i}")
    assert len(store) < 200


@pytest.mark.parametrize("rate", ["1000000/second", "1000000/second; 60000000/minute"])
def test_who_sends_every_second_keeps_the_bucket_whoever_else_comes(rate: str) -> None:
    clock = FakeClock()
    store = LocalStore(parse(rate), clock.now)
    bucket = store.enter("a")
    for _ in range(10):
        for i in range(100):
            assert bucket.take(1) == 0, "it is full at once, and not forgotten"
            clock.move(0.009)
            store.enter(f"other {i}").take(1)


@pytest.mark.parametrize("rate", ["10/second", "10/second; 20/minute"])
def test_a_bucket_may_owe_more_than_it_knows(rate: str) -> None:
    store = LocalStore(parse(rate), FakeClock().now)
    bucket = store.enter("a")
    bucket.owe([SECOND // 2] * len(parse(rate)))
    assert bucket.take(6) > 0
    assert bucket.take(3) == 0
    bucket.owe([SECOND // 10] * len(parse(rate)))
    assert bucket.take(2) == 0
    assert bucket.take(1) > 0


@pytest.mark.parametrize("rate", ["10/second", "10/second; 20/minute"])
def test_all_can_be_told_to_ask_again_and_nothing_is_forgiven(rate: str) -> None:
    store = LocalStore(parse(rate), FakeClock().now)
    buckets = [store.enter("a"), store.enter("a")]
    assert buckets[0].take(8) == 0
    store.recall()
    assert [bucket.take(1) for bucket in buckets] == [ASK] * 2
    assert store.enter("a").take(3) > 0
    assert store.enter("a").take(2) == 0
