"""Memory: what a million keys leave behind once they are idle."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING

from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.local import LocalStore
from wspipe_middlewares.rate_limit.rate import parse

if TYPE_CHECKING:
    from benchmarks.rate_limit.bounds import Bounds

MEBIBYTE = 2**20
BOUND = 5 * MEBIBYTE
BETWEEN = 10_000
"""Nanoseconds from one message to the next."""


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        """Tell the time, in nanoseconds."""
        return self.time


def weigh(rate: str, count: int, after: tuple[int, ...]) -> tuple[int, list[int]]:
    """Give the bytes that many keys hold at most, and after some ordinary traffic by others.

    Args:
        rate: The limit; each key sends one message.
        count: How many keys, ten microseconds apart.
        after: When to weigh again, in messages by other keys; they begin when every bucket is full
            and has been so for the second after which it is idle.
    """
    hand = Hand()
    (limit,) = limits = parse(rate)
    gc.collect()
    tracemalloc.start()
    store = LocalStore(limits, hand.now)
    for i in range(count):
        hand.time += BETWEEN
        store.enter(f"client:{i}").take(1)
    _, peak = tracemalloc.get_traced_memory()
    hand.time += limit.burst * limit.period * SECOND // limit.amount + SECOND
    rests: list[int] = []
    sent = 0
    for until in after:
        for i in range(sent, until):
            hand.time += BETWEEN
            store.enter(f"other:{i}").take(1)
        sent = until
        gc.collect()
        rests.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return peak, rests


def run(count: int, bounds: Bounds) -> None:
    """Print what is left of a limit that fills quickly, and of one that fills slowly."""
    print(f"\nmemory of {count:,} keys, 10 us apart, then idle until full, then other keys; MiB")
    after = (1000, 10_000)
    others = "".join(f"{f'{each:,} others':>16}" for each in after)
    print(f"  {'':14}{'peak':>10}{others}")
    for rate in ("20/second", "1000/hour"):
        peak, rests = weigh(rate, count, after)
        cells = "".join(f"{rest / MEBIBYTE:>16.2f}" for rest in rests)
        print(f"  {rate:14}{peak / MEBIBYTE:>10.2f}{cells}")
        if rate == "20/second":
            bounds.check(
                f"{rests[0] / MEBIBYTE:.2f} MiB left, at most {BOUND // MEBIBYTE} MiB",
                holds=rests[0] < BOUND,
            )
