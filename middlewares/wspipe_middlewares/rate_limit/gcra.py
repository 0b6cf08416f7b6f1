"""The arithmetic of token buckets, on any clock: the generic cell rate algorithm (GCRA).

A bucket is one number, its debt: how long it takes until it is full again. A token taken adds its
interval to the debt; time takes the debt away. A token may be used once the debt with it is no more
than that of an empty bucket. See ITU-T Recommendation I.371, annex A, "virtual scheduling".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.rate import Terms

NEVER: Final = 2**62
"""The wait for what no bucket of the limit can ever hold, in ticks."""


class Request(NamedTuple):
    """What is asked of a bucket.

    Args:
        least: How many tokens are needed, no more than any limit's burst; none are drawn where
            there are fewer.
        most: How many are wanted.
        ahead: Draw also tokens that may be used only in so many ticks from now.
        sparing: Beyond what is needed, draw no more than a quarter of what every bucket holds.
        share: Where so much or more is drawn ahead by then, draw less in proportion, beyond what is
            needed: what comes to the same for all who draw. 0 for no such thing.
    """

    least: int
    most: int
    ahead: int = 0
    sparing: bool = False
    share: int = 0


class Draw(NamedTuple):
    """What came of drawing from a bucket.

    Args:
        granted: How many tokens were drawn: as many as could be, or none.
        debts: The debts afterwards, limit by limit.
        wait: Ticks until the least that was asked for may be used, whether drawn or not.
    """

    granted: int
    debts: tuple[int, ...]
    wait: int


def draw(terms: Sequence[Terms], debts: Sequence[int], request: Request) -> Draw:
    """Draw tokens from a bucket that has one debt for each of its limits.

    Args:
        terms: The limits.
        debts: Their debts now, in parts of a tick.
        request: What is asked.
    """
    least, most, ahead, sparing, share = request
    wait, possible, held = 0, most, NEVER
    for (scale, interval, tolerance), debt in zip(terms, debts, strict=True):
        if least * interval > tolerance:
            return Draw(0, tuple(debts), NEVER)
        wait = max(wait, -((tolerance - debt - least * interval) // scale))
        possible = min(possible, (tolerance - debt + ahead * scale) // interval)
        held = min(held, (tolerance - debt) // interval)
    if possible < least:
        return Draw(0, tuple(debts), wait)
    granted = possible
    if sparing:
        granted = min(granted, held // 4)
    if share and -held > share:
        granted = min(granted, share * share // -held)
    granted = max(granted, least)
    after = (debt + granted * each.interval for each, debt in zip(terms, debts, strict=True))
    return Draw(granted, tuple(after), wait)
