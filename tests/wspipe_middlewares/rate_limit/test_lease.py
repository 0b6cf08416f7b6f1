"""Leases: what many processes use together is what one bucket would have given."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.limited import SECOND, FakeClock, MemoryStore
from wspipe_middlewares.rate_limit import Grant, Request
from wspipe_middlewares.rate_limit.gcra import NEVER
from wspipe_middlewares.rate_limit.lease import Lease
from wspipe_middlewares.rate_limit.quota import ASK
from wspipe_middlewares.rate_limit.rate import Limit, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

MS = SECOND // 1000
limits = st.builds(Limit, st.integers(1, 2000), st.sampled_from([1, 3, 60]), st.integers(1, 300))
several = st.lists(limits, min_size=1, max_size=2)


class Process:
    """A process with a lease, and the store that it asks, over a network that takes its time."""

    def __init__(
        self, store: MemoryStore, clock: FakeClock, limits: Sequence[Limit], patience: int = 0
    ) -> None:
        self.store, self.clock, self.limits = store, clock, limits
        self.lease = Lease(limits, clock.now, patience)
        self.asked = 0

    def take(self, cost: int, there: int = 0, back: int = 0) -> int:
        """Take tokens, and ask the store where that is needed."""
        while (wait := self.lease.take(cost)) == ASK:
            self.asked += 1
            request, sent = self.lease.request(cost), self.clock.time
            self.clock.time += there
            grant = self.store.take_now("key", self.limits, request)
            self.clock.time += back
            self.lease.receive(grant, request, sent)
        return wait


@settings(max_examples=300)
@given(several, st.integers(1, 5), st.sampled_from([0, 5 * SECOND]), st.integers(0, 2**32))
def test_in_no_window_is_there_more_than_one_bucket_gives(
    limits: list[Limit], processes: int, patience: int, seed: int
) -> None:
    random, clock = Random(seed), FakeClock()  # noqa: S311 - a test
    store = MemoryStore(clock.now)
    fleet = [Process(store, clock, limits, patience) for _ in range(processes)]
    used: list[tuple[int, int]] = []
    for _ in range(300):
        gap = random.choice([0, 0, 0, MS // 10, MS, 20 * MS, 500 * MS, 10 * SECOND])
        clock.time += random.randint(0, gap)
        cost = random.choice([1, 1, 1, 2, 7])
        wait = random.choice(fleet).take(cost, random.randint(0, MS), random.randint(0, MS))
        if 0 <= wait <= patience:
            used.append((clock.time + wait, cost))
    used.sort()
    for limit in limits:
        debt, time = 0, 0
        for at, cost in used:
            debt = max(0, debt - (at - time) * limit.amount) + cost * limit.period * SECOND
            time = at
            # What is granted travels for up to two milliseconds, there and back.
            assert debt <= limit.burst * limit.period * SECOND + (2 * MS + 4) * limit.amount


@pytest.mark.parametrize("demand", [20, 200, 900])
def test_a_process_below_the_rate_passes_all_and_asks_seldom(demand: int) -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse("1000/second"))
    for _ in range(3 * demand):
        clock.time += SECOND // demand
        assert process.take(1, MS // 5, MS // 5) == 0
    most = {20: 60, 200: 90, 900: 90}[demand]
    assert process.asked <= most


@pytest.mark.parametrize("patience", [0, 5 * SECOND])
def test_a_process_above_the_rate_gets_the_rate_and_asks_seldom(patience: int) -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse("1000/second"), patience)
    passed = 0
    while clock.time < 5 * SECOND:
        wait = process.take(1, MS // 5, MS // 5)
        if wait <= patience:
            passed += 1
            clock.time += wait + 1000
        else:
            clock.time += MS // 10
    assert 0.97 <= passed / (1000 + 1000 * 5) <= 1
    assert passed / process.asked > 20


def test_a_refusal_is_remembered_until_asking_makes_sense() -> None:
    clock = FakeClock()
    store = MemoryStore(clock.now)
    process = Process(store, clock, parse("1/second"))
    assert process.take(1) == 0
    assert [process.take(1) for _ in range(100)] == [SECOND] * 100
    assert store.requests == 2
    clock.move(0.4)
    assert process.take(1) == 6 * SECOND // 10
    clock.move(0.6)
    assert process.take(1) == 0
    assert store.requests == 3


def test_a_refusal_that_is_remembered_is_not_taken_for_a_delay() -> None:
    clock = FakeClock()
    lease = Lease(parse("1000/second"), clock.now, 5 * SECOND)
    grant = Grant(0, (6 * SECOND,), 5 * SECOND + 10 * MS)
    lease.receive(grant, Request(1, 50, 5 * SECOND), clock.time)
    # A busy process does not come back before 50 ms have passed.
    clock.time += 49 * MS
    assert lease.take(1) > lease.patience
    clock.time += MS
    assert lease.take(1) == ASK


def test_what_is_larger_than_the_burst_never_passes_and_nobody_is_asked() -> None:
    clock = FakeClock()
    store = MemoryStore(clock.now)
    assert Process(store, clock, parse("5/second")).take(6) == NEVER
    assert store.requests == 0


def test_nor_does_it_pass_on_tokens_that_were_drawn_ahead() -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse("160/second", 3), 5 * SECOND)
    for _ in range(20):
        process.take(1)
        clock.time += MS
    assert process.lease.take(4) == NEVER


def test_tokens_that_are_not_used_expire_when_the_bucket_has_regained_them() -> None:
    clock = FakeClock()
    lease = Lease(parse("10/second"), clock.now, 0)
    store = MemoryStore(clock.now)
    request = lease.request(1)
    grant = store.take_now("key", lease.limits, Request(1, 4))
    lease.receive(grant, request, clock.time)
    assert lease.take(1) == 0
    # Of the three that are left the first begins to be regained after 100 ms, the last after 300.
    clock.move(0.15)
    assert lease.take(3) == ASK
    assert lease.take(1) == 0
    clock.move(0.15)
    assert lease.unused() == (0, None)


def test_what_a_message_waits_for_is_used_however_long_it_travelled() -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse("10000/second"))
    for _ in range(100):
        clock.move(1)
        assert process.take(1, 30 * MS, 30 * MS) == 0
    assert process.asked == 100


def test_what_nobody_waits_for_any_more_is_not_used_later() -> None:
    clock = FakeClock()
    lease = Lease(parse("10000/second"), clock.now, 0)
    request = lease.request(1)
    grant = MemoryStore(clock.now).take_now("key", lease.limits, request)
    lease.receive(grant, request, clock.time)
    clock.move(1)
    assert lease.take(1) == ASK


@pytest.mark.parametrize(("rate", "burst"), [("100/second", 1), ("10000/second", 20)])
def test_a_small_burst_is_not_leased_but_served(rate: str, burst: int) -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse(rate, burst), 5 * SECOND)
    passed = 0
    while clock.time < SECOND:
        clock.time += max(0, process.take(1, MS // 10, MS // 10))
        passed += 1
    (limit,) = process.limits
    assert passed <= burst + limit.amount + 2
    assert passed >= 0.4 * limit.amount


def test_what_is_left_can_be_given_back() -> None:
    clock = FakeClock()
    lease = Lease(parse("10/second"), clock.now, 0)
    store = MemoryStore(clock.now)
    grant = store.take_now("key", lease.limits, Request(1, 4))
    lease.receive(grant, lease.request(1), clock.time)
    assert lease.take(1) == 0
    assert lease.unused() == (3, grant.mark)
    assert lease.unused() == (0, None)
    assert lease.take(1) == ASK


def test_a_cost_may_take_the_rest_of_one_grant_and_some_of_the_next() -> None:
    clock = FakeClock()
    store = MemoryStore(clock.now)
    lease = Lease(parse("10/second", 100), clock.now, 0)
    for count in (4, 20):
        request = lease.request(1)
        lease.receive(store.take_now("key", lease.limits, Request(1, count)), request, clock.time)
    assert lease.take(10) == 0
    assert lease.take(15) == ASK
    assert lease.take(14) == 0


@pytest.mark.parametrize("processes", [2, 4, 16, 100])
def test_processes_that_want_all_get_the_same(processes: int) -> None:
    clock = FakeClock()
    store = MemoryStore(clock.now)
    limits = parse("10000/second", 1000)
    fleet = [Process(store, clock, limits, 5 * SECOND) for _ in range(processes)]
    ready = [i * MS // 10 for i in range(processes)]
    passed = [0] * processes
    while (time := min(ready)) < 8 * SECOND:
        clock.time = time
        i = ready.index(time)
        wait = fleet[i].take(1)
        ready[i] = clock.time + max(wait, 1000)
        passed[i] += time > 2 * SECOND
    mean = sum(passed) / processes
    assert all(0.8 * mean <= each <= 1.2 * mean for each in passed), passed
    assert sum(passed) >= 0.97 * 60_000
    assert sum(passed) / sum(each.asked for each in fleet) > 20


@pytest.mark.parametrize("processes", [4, 100])
def test_processes_that_want_half_get_it_at_once(processes: int) -> None:
    random, clock = Random(1), FakeClock()  # noqa: S311 - a test
    store = MemoryStore(clock.now)
    fleet = [Process(store, clock, parse("1000/second"), 5 * SECOND) for _ in range(processes)]
    late = 0
    for _ in range(5000):
        clock.time += random.randint(0, 4 * MS)
        late += fleet[random.randrange(processes)].take(1) > 0
    assert late <= 0.05 * 5000


@pytest.mark.parametrize("rate", ["100/hour", "60/minute", "20/day"])
def test_tokens_of_a_slow_limit_do_not_lie_about(rate: str) -> None:
    clock = FakeClock()
    store = MemoryStore(clock.now)
    fleet = [Process(store, clock, parse(rate)) for _ in range(8)]
    for process in fleet:
        assert process.take(1) == 0
    (limit,) = parse(rate)
    for _ in range(limit.burst - len(fleet)):
        clock.time += 2 * SECOND if rate != "60/minute" else SECOND
        assert fleet[0].take(1) == 0


def test_no_more_is_held_than_a_quarter_of_the_burst() -> None:
    clock = FakeClock()
    process = Process(MemoryStore(clock.now), clock, parse("1000/second", 5000), 5 * SECOND)
    for _ in range(20_000):
        clock.time += max(1000, process.take(1))
        assert sum(run.count for run in process.lease.runs) <= 5000 // 4
