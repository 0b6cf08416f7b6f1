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

_PACE: Final = 4
"""How many buckets that are not full are moved over at a time."""
_AT_ONCE: Final = 256
"""How many are looked at, at a time."""


class Bucket:
    """The bucket of one key under one limit: one number, the time when it will be full again.

    Args:
        now: Tells the time in parts of a nanosecond, as many as the limit's scale.
        terms: The limit.
        patience: How many nanoseconds a token may be waited for.
    """

    __slots__ = ("full_at", "interval", "now", "patience", "scale", "tolerance")

    def __init__(self, now: Now, terms: Terms, patience: int) -> None:
        self.now = now
        self.scale, self.interval, self.tolerance = terms
        self.patience = patience
        self.full_at = 0

    def take(self, cost: int) -> int:
        """Take tokens: see `Quota.take`."""
        now, full_at = self.now(), self.full_at
        if full_at < now:  # noqa: PLR1730 - a call of max takes a third of the time of all this
            full_at = now
        full_at += cost * self.interval
        if full_at - now > self.tolerance:
            return self._take_late(cost, full_at, full_at - now)
        self.full_at = full_at
        return 0

    def _take_late(self, cost: int, full_at: int, debt: int) -> int:
        if self.tolerance < 0:
            return ASK
        if cost * self.interval > self.tolerance:
            return NEVER
        wait = -((self.tolerance - debt) // self.scale)
        if wait <= self.patience:
            self.full_at = full_at
        return wait

    def is_full(self) -> bool:
        """Tell whether nothing is lost by forgetting it."""
        return self.full_at <= self.now()

    def owe(self, debts: Sequence[int]) -> None:
        """Have it owe so much at least, in nanoseconds."""
        self.full_at = max(self.full_at, self.now() + debts[0] * self.scale)

    def forget(self) -> None:
        """Have whoever still takes from it ask for another."""
        self.tolerance = -1


class CompoundBucket:
    """The bucket of one key under several limits, which all have to agree.

    Args:
        now: Tells the time, in nanoseconds.
        terms: The limits.
        patience: How many nanoseconds a token may be waited for.
    """

    __slots__ = ("forgotten", "full_at", "now", "patience", "terms")

    def __init__(self, now: Now, terms: Sequence[Terms], patience: int) -> None:
        self.now = now
        self.terms = terms
        self.patience = patience
        self.full_at = [0] * len(terms)
        self.forgotten = False

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

    def is_full(self) -> bool:
        """Tell whether nothing is lost by forgetting it."""
        time = self.now()
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

    A bucket that is full is forgotten, for it is as good as new. Whenever a key turns up that was
    not seen for a while, a few old ones are looked at: the full ones go, the others move over to a
    fresh dictionary, because one that has been large stays large.

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
        """Do nothing: a bucket goes when it is full."""

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
            if bucket.is_full():
                bucket.forget()
            else:
                self._recent[key] = bucket
                kept += 1
        if not self._older:
            self._older, self._recent = self._recent, {}
