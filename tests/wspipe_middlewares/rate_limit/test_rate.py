"""Limits from their text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.rate_limit.rate import Limit, parse


@pytest.mark.parametrize(
    ("rate", "limits"),
    [
        ("20/second", [Limit(20, 1, 20)]),
        ("20/seconds", [Limit(20, 1, 20)]),
        ("20 per second", [Limit(20, 1, 20)]),
        ("1000/minute", [Limit(1000, 60, 1000)]),
        ("3 per 10 seconds", [Limit(3, 10, 3)]),
        ("3/10 seconds", [Limit(3, 10, 3)]),
        ("7/2 hours", [Limit(7, 7200, 7)]),
        ("1_000_000 / day", [Limit(1_000_000, 86400, 1_000_000)]),
        ("20/second; 500/minute", [Limit(20, 1, 20), Limit(500, 60, 500)]),
        (" 20/second;500/minute ", [Limit(20, 1, 20), Limit(500, 60, 500)]),
    ],
)
def test_a_text_gives_its_limits(rate: str, limits: list[Limit]) -> None:
    assert list(parse(rate)) == limits


def test_a_burst_takes_the_place_of_the_amount() -> None:
    assert parse("20/second", 50) == (Limit(20, 1, 50),)
    assert parse("20/second; 500/minute", (50, 600)) == (Limit(20, 1, 50), Limit(500, 60, 600))


NO_RATES = (
    *("", "20", "20/fortnight", "/second", "x/second", "-1/second", "1.5/second", "0/second"),
    *("20/0 seconds", "20/second;", "20 second", "²/second", "20/second, 5/minute", 20, None),
    *("1_/second", "1__0/second", "_1/second"),
)


@pytest.mark.parametrize("rate", NO_RATES)
def test_what_is_no_rate_is_refused_with_what_would_be_right(rate: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refusal:
        parse(rate)
    message = str(refusal.value)
    assert message.startswith(f"rate={rate!r} must be ")
    assert '"20/second"' in message
    assert "\n" not in message


@pytest.mark.parametrize("burst", [0, -1, 1.5, True, "5", (), (5, 5), (0,)])
def test_what_is_no_burst_is_refused_with_what_would_be_right(burst: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"^burst=.* must be .*number"):
        parse("20/second", burst)


def test_several_limits_need_as_many_bursts() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="a tuple of 2 numbers"):
        parse("20/second; 500/minute", 50)


@given(st.integers(1, 10**6), st.sampled_from([1, 7, 60, 90, 3600, 7200, 86400]))
def test_a_limit_reads_as_text_that_gives_it(amount: int, period: int) -> None:
    limit = Limit(amount, period, amount)
    assert parse(str(limit)) == (limit,)


@given(st.integers(1, 10**9), st.integers(1, 10**5), st.integers(1, 10**6))
def test_the_terms_are_exact(amount: int, period: int, burst: int) -> None:
    scale, interval, tolerance = Limit(amount, period, burst).terms(10**9)
    assert interval * amount == period * 10**9 * scale
    assert tolerance == burst * interval
