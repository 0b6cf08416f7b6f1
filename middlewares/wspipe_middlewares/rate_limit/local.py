"""The local store: the buckets of this process, without a lock or a task."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Final

from wspipe_middlewares.rate_limit.clock import SECOND, steady
from wspipe_middlewares.rate_limit.gcra import NEVER, Request, draw
from wspipe_middlewares.rate_limit.quota import ASK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.clock import Now
    from wspipe_middlewares.rate_limit.quota import Quota
    from wspipe_middlewares.rate_limit.rate import Limit, Terms

_IDLE: Final = SECOND
"""For how many nanoseconds a bucket has been full that is forgotten. Whoever still takes from it
has to ask for another, which takes ten times as long; so nobody has to at each message."""
_PACE: Final = 4
"""How many buckets that are not idle are moved over at a time."""
_AT_ONCE: Final = 256
"""How many are looked at, at a time."""


class Bucket:
    """The bucket of one key under one limit: what it owed at some time.

    A fresh one owes nothing.

    Args:
        now: Tells the time in parts of a nanosecond, as many as the limit's scale.
        terms: The limit.
        patience: How many nanoseconds a token may be waited for.

    Attributes:
        debt: How long it was until it would be full, in parts of a nanosecond.
        since: When that was.
    """

    __slots__ = ("debt", "interval", "now", "patience", "scale", "since", "tolerance")

    def __init__(self, now: Now, terms: Terms, patience: int) -> None:
        self.now: Now = now
        self.scale: int = terms.scale
        self.interval: int = terms.interval
        self.tolerance: int = terms.tolerance
        self.patience: int = patience
        self.since: int = 0
        self.debt: int = 0

    def take(self, cost: int) -> int:
        """Take tokens: see `Quota.take`."""
        now = self.now()
        debt = self.debt - (now - self.since)
        if debt < 0:  # noqa: PLR1730 - a call of max takes a third of the time of all this
            debt = 0
        debt += cost * self.interval
        if debt > self.tolerance:
            return self._take_late(cost, now, debt)
        self.since, self.debt = now, debt
        return 0

    def _take_late(self, cost: int, now: int, debt: int) -> int:
        if self.tolerance < 0:
            return ASK
        if cost * self.interval > self.tolerance:
            return NEVER
        wait = -((self.tolerance - debt) // self.scale)
        if wait <= self.patience:
            self.since, self.debt = now, debt
        return wait

    def is_idle(self) -> bool:
        """Tell whether it has been full for so long that it may be forgotten."""
        return self.now() - self.since >= self.debt + _IDLE * self.scale

    def owe(self, debts: Sequence[int]) -> None:
        """Have it owe so much at least, in nanoseconds."""
        now = self.now()
        self.debt = max(self.debt - (now - self.since), debts[0] * self.scale)
        self.since = now

    def forget(self) -> None:
        """Have whoever still takes from it ask for another."""
        self.debt, self.tolerance = NEVER * self.scale, -1


class CompoundBucket:
    """The bucket of one key under several limits, which all have to agree.

    Args:
        now: Tells the time, in nanoseconds.
        terms: The limits.
        patience: How many nanoseconds a token may be waited for.
    """

    __slots__ = ("forgotten", "full_at", "now", "patience", "terms")

    def __init__(self, now: Now, terms: Sequence[Terms], patience: int) -> None:
        self.now: Now = now
        self.terms: Sequence[Terms] = terms
        self.patience: int = patience
        self.full_at: list[int] = [0] * len(terms)
        self.forgotten: bool = False

    def take(self, cost: int) -> int:
        """Take tokens: see `Quota.take`."""
        time = self.now()
        full_at: list[int] = []
        for (scale, interval, tolerance), full in zip(self.terms, self.full_at, strict=True):
            now = time * scale
            after = (full if full > now else now) + cost * interval  # noqa: FURB136 - as above
            if after - now > tolerance:
                return self._take_late(cost, time)
            full_at.append(after)
        if self.forgotten:
            return ASK
        self.full_at = full_at
        return 0

    def _take_late(self, cost: int, time: int) -> int:
        if self.forgotten:
            return ASK
        debts = [
            max(0, full - time * each.scale)
            for each, full in zip(self.terms, self.full_at, strict=True)
        ]
        granted, debts_after, wait = draw(self.terms, debts, Request(cost, cost, self.patience))
        if granted:
            self.full_at = [
                time * each.scale + debt for each, debt in zip(self.terms, debts_after, strict=True)
            ]
        return wait

    def is_idle(self) -> bool:
        """Tell whether it has been full for so long that it may be forgotten."""
        time = self.now() - _IDLE
        return all(
            full <= time * each.scale for each, full in zip(self.terms, self.full_at, strict=True)
        )

    def owe(self, debts: Sequence[int]) -> None:
        """Have it owe so much at least, in nanoseconds."""
        time = self.now()
        self.full_at = [
            max(full, (time + debt) * each.scale)
            for each, full, debt in zip(self.terms, self.full_at, debts, strict=True)
        ]

    def forget(self) -> None:
        """Have whoever still takes from it ask for another."""
        self.forgotten = True


class LocalStore:
    """The buckets of this process, by their keys.

    A bucket that has been full for a second is forgotten, for it is as good as new. Whenever a key
    turns up that was not seen for a while, a few old ones are looked at: the idle ones go, the
    others move over to a fresh dictionary, because one that has been large stays large.

    Args:
        limits: The limits.
        now: Tells the time, in nanoseconds; it may jump.
        patience: How many nanoseconds a token may be waited for.
    """

    holds = False

    def __init__(self, limits: Sequence[Limit], now: Now, patience: int = 0) -> None:
        self._terms = [limit.terms(SECOND) for limit in limits]
        self._now = now = steady(now)
        if len(limits) == 1 and (scale := self._terms[0].scale) != 1:
            self._now = lambda: now() * scale
        self._patience = patience
        self._recent: dict[str, Bucket | CompoundBucket] = {}
        self._older: dict[str, Bucket | CompoundBucket] = {}

    def __len__(self) -> int:
        """Count the buckets that are remembered."""
        return len(self._recent) + len(self._older)

    def enter(self, key: str) -> Bucket | CompoundBucket:
        """Give the bucket of a key."""
        bucket = self._recent.get(key)
        if bucket is None:
            bucket = self._older.pop(key, None) or self._make()
            self._recent[key] = bucket
            self._tidy()
        return bucket

    async def ask(self, key: str, cost: int) -> tuple[Quota, int]:
        """Take from the bucket of a key whose old one was forgotten."""
        bucket = self.enter(key)
        return bucket, bucket.take(cost)

    async def leave(self, key: str) -> None:
        """Do nothing: a bucket goes when it is idle."""

    def recall(self) -> None:
        """Have all who take from a bucket ask again; what is owed stays owed."""
        for buckets in (self._recent, self._older):
            for key, bucket in list(buckets.items()):
                buckets[key] = copy(bucket)
                bucket.forget()

    def _make(self) -> Bucket | CompoundBucket:
        if len(self._terms) > 1:
            return CompoundBucket(self._now, self._terms, self._patience)
        return Bucket(self._now, self._terms[0], self._patience)

    def _tidy(self) -> None:
        kept = 0
        for _ in range(_AT_ONCE):
            if kept == _PACE or not self._older:
                break
            key, bucket = self._older.popitem()
            if bucket.is_idle():
                bucket.forget()
            else:
                self._recent[key] = bucket
                kept += 1
        if not self._older:
            self._older, self._recent = self._recent, {}
