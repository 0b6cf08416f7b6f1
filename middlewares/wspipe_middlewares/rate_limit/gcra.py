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


def draw(
    terms: Sequence[Terms], debts: Sequence[int], least: int, most: int, ahead: int = 0
) -> Draw:
    """Draw tokens from a bucket that has one debt for each of its limits.

    Args:
        terms: The limits.
        debts: Their debts now, in parts of a tick.
        least: How many tokens are needed; none are drawn where there are fewer.
        most: How many are wanted.
        ahead: Draw also tokens that may be used only in so many ticks from now.
    """
    wait, granted = 0, most
    for (scale, interval, tolerance), debt in zip(terms, debts, strict=True):
        if least * interval > tolerance:
            return Draw(0, tuple(debts), NEVER)
        wait = max(wait, -((tolerance - debt - least * interval) // scale))
        granted = min(granted, (tolerance + ahead * scale - debt) // interval)
    if granted < least:
        return Draw(0, tuple(debts), wait)
    after = (debt + granted * each.interval for each, debt in zip(terms, debts, strict=True))
    return Draw(granted, tuple(after), wait)
