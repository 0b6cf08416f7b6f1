"""Measuring contenders against each other: in turn, round by round, and by their ratios."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Contender = Callable[[], Awaitable[float]]
    Times = dict[str, list[float]]


async def interleave(contenders: Mapping[str, Contender], rounds: int) -> Times:
    """Run the contenders in turn, so that a slow moment of the machine meets them all.

    Garbage is collected between the runs.

    Args:
        contenders: Each runs once, and gives what it took.
        rounds: How often each runs.
    """
    times: Times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(await run())
            gc.collect()
    return times


@dataclass(frozen=True)
class Overhead:
    """What a contender takes more than the base, and as a share of what a peer does.

    The median is that of the rounds' own differences and ratios: a round is short enough for the
    machine to run at one speed, which it does not do from one round to the next.

    Attributes:
        minimum: The difference of the fastest runs.
        median: The median difference.
        of_minimum: The share, by the fastest runs.
        of_median: The median share.
    """

    minimum: float
    median: float
    of_minimum: float
    of_median: float

    @classmethod
    def of(cls, own: Sequence[float], base: Sequence[float], peer: Sequence[float]) -> Overhead:
        """Compare three contenders of one run.

        Args:
            own: The times of the contender.
            base: Those of the base.
            peer: Those of the peer.
        """
        over = [mine - zero for mine, zero in zip(own, base, strict=True)]
        peers = [theirs - zero for theirs, zero in zip(peer, base, strict=True)]
        ratios = [mine / theirs for mine, theirs in zip(over, peers, strict=True)]
        best, peers_best = min(own) - min(base), min(peer) - min(base)
        return cls(best, median(over), best / peers_best, median(ratios))
