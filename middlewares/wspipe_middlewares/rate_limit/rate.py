"""Limits: how many tokens in how long, and how many at once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Final, NamedTuple

from wspipe_middlewares.options import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
_NUMBER: Final = "[0-9]+(?:_[0-9]+)*"
_RATE: Final = re.compile(
    rf"(?P<amount>{_NUMBER}) *(?:/|per +) *(?:(?P<count>{_NUMBER}) +)?(?P<unit>[a-z]+)"
)
_EXAMPLES: Final = '"20/second", "3 per 10 seconds" or "20/second; 500/minute"'


class Terms(NamedTuple):
    """A limit in whole numbers, so that nothing is lost to rounding.

    Time is counted in parts of a tick.

    Args:
        scale: How many parts a tick has.
        interval: How many parts a token takes to come back.
        tolerance: How many a full bucket takes.
    """

    scale: int
    interval: int
    tolerance: int


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: a bucket of `burst` tokens, into which `amount` come back every `period`.

    Args:
        amount: Tokens that come back in a period.
        period: The period, in seconds.
        burst: Tokens that a full bucket holds.
    """

    amount: int
    period: int
    burst: int

    def __str__(self) -> str:
        """Read as the text that it may be configured by."""
        for unit, seconds in reversed(_UNITS.items()):
            count, rest = divmod(self.period, seconds)
            if not rest:
                return f"{self.amount}/{unit if count == 1 else f'{count} {unit}s'}"
        raise AssertionError(self.period)  # pragma: no cover - a second divides every period

    def terms(self, ticks: int) -> Terms:
        """Give the limit in whole numbers.

        Args:
            ticks: How many ticks of the clock make a second.
        """
        period = self.period * ticks
        common = gcd(self.amount, period)
        interval = period // common
        return Terms(self.amount // common, interval, self.burst * interval)


def parse(rate: object, burst: int | tuple[int, ...] | None = None) -> tuple[Limit, ...]:
    """Read limits from their text.

    Args:
        rate: One limit or several, such as `20/second; 500/minute`.
        burst: How many tokens a full bucket holds; for several limits, as many numbers. Left out,
            it is the amount of one period.

    Raises:
        ImproperlyConfiguredException: It makes no sense.
    """
    if not isinstance(rate, str):
        raise refusal("rate", rate, f"a text such as {_EXAMPLES}")
    parts = [_parse_one(part.strip(), rate) for part in rate.split(";")]
    bursts = _bursts(burst, [amount for amount, _ in parts])
    return tuple(
        Limit(amount, period, size) for (amount, period), size in zip(parts, bursts, strict=True)
    )


def _parse_one(text: str, rate: str) -> tuple[int, int]:
    match = _RATE.fullmatch(text)
    if match is None:
        raise refusal("rate", rate, f"a text such as {_EXAMPLES}")
    unit = match["unit"].removesuffix("s")
    if unit not in _UNITS:
        raise refusal("rate", rate, f"a rate per second, minute, hour or day, such as {_EXAMPLES}")
    amount, count = int(match["amount"]), int(match["count"] or 1)
    if not amount or not count:
        raise refusal("rate", rate, f"a rate above zero, such as {_EXAMPLES}")
    return amount, count * _UNITS[unit]


def _bursts(burst: int | tuple[int, ...] | None, amounts: list[int]) -> Sequence[int]:
    if burst is None:
        return amounts
    bursts = burst if isinstance(burst, tuple) else (burst,)
    numbers = [size for size in bursts if type(size) is int and size > 0]
    if len(numbers) != len(bursts):
        raise refusal("burst", burst, "a whole number above zero, or a tuple of such")
    if len(numbers) != len(amounts):
        several = f"a tuple of {len(amounts)} numbers, one for each limit"
        raise refusal("burst", burst, "one number" if len(amounts) == 1 else several)
    return numbers


def are_as_strict(limits: Sequence[Limit], others: Sequence[Limit]) -> bool:
    """Tell whether what passes some limits surely passes others.

    Args:
        limits: The limits that it has passed.
        others: The limits that come after them.
    """
    return all(
        any(
            one.burst <= other.burst and one.amount * other.period <= other.amount * one.period
            for one in limits
        )
        for other in others
    )
