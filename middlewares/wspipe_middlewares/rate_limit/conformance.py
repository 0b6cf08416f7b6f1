"""What every `Store` has to do, as a test that any can be run through."""

from __future__ import annotations

import asyncio
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import Request
from wspipe_middlewares.rate_limit.rate import Limit, parse

__all__ = ["check_store"]

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe_middlewares.rate_limit.store import Grant, Store

# So slow that no token comes back during a check.
_SLOW: Final = (Limit(1, 86400, burst=10),)
_QUICK: Final = parse("100/second", burst=10)


async def check_store(make: Callable[[], Store]) -> None:
    """Run a store through what the leases rely on; takes less than a second of waiting.

    Args:
        make: Makes the store, which may have keys in it; it is called once for each check, and
            `aclose` afterwards where the store has one.

    Raises:
        AssertionError: The store does something else; the message says what.
    """
    for check in _CHECKS:
        store = make()
        try:
            await check(store, f"check:{token_hex(8)}")
        finally:
            aclose = getattr(store, "aclose", None)
            if aclose is not None:
                await aclose()


async def _grants_what_it_can(store: Store, key: str) -> None:
    grant = await store.take(key, _SLOW, Request(1, 4))
    _same("tokens of a full bucket of 10, of which 4 are wanted", grant.count, 4)
    _near("nanoseconds until the bucket is full again", grant.debts[0], 4 * 86400 * SECOND)
    grant = await store.take(key, _SLOW, Request(1, 100))
    _same("tokens where 6 are left and 100 are wanted", grant.count, 6)
    grant = await store.take(key, _SLOW, Request(1, 1))
    _same("tokens of an empty bucket", grant.count, 0)
    _near("nanoseconds until the next token", grant.wait, 86400 * SECOND)


async def _grants_nothing_where_it_is_too_little(store: Store, key: str) -> None:
    await store.take(key, _SLOW, Request(7, 7))
    grant = await store.take(key, _SLOW, Request(4, 4))
    _same("tokens where 3 are left and 4 are needed", grant.count, 0)
    _near("nanoseconds until 4 are there", grant.wait, 86400 * SECOND)
    grant = await store.take(key, _SLOW, Request(3, 3))
    _same("tokens that a refusal has left", grant.count, 3)


async def _draws_ahead(store: Store, key: str) -> None:
    day = 86400 * SECOND
    grant = await store.take(key, _SLOW, Request(1, 100, 2 * day))
    _same("tokens of now and of the next two days", grant.count, 12)
    _same("nanoseconds until the first may be used", grant.wait, 0)
    grant = await store.take(key, _SLOW, Request(1, 1, 4 * day))
    _same("tokens of the day after", grant.count, 1)
    _near("nanoseconds until that may be used", grant.wait, 3 * day)


async def _is_sparing_where_it_is_to_be(store: Store, key: str) -> None:
    grant = await store.take(key, _SLOW, Request(1, 100, sparing=True))
    _same("tokens of a full bucket of 10, at most a quarter of it", grant.count, 2)
    grant = await store.take(key, _SLOW, Request(3, 100, sparing=True))
    _same("tokens where 3 are needed, at most a quarter of 8 beyond that", grant.count, 3)


async def _gives_less_where_much_is_drawn_ahead(store: Store, key: str) -> None:
    far = 100 * 86400 * SECOND
    await store.take(key, _SLOW, Request(1, 18, far))
    grant = await store.take(key, _SLOW, Request(1, 50, far, share=4))
    _same("tokens where 8 are drawn ahead, of a share of 4", grant.count, 2)
    grant = await store.take(key, _SLOW, Request(5, 50, far, share=4))
    _same("tokens where 5 are needed, whatever the share", grant.count, 5)


async def _agrees_to_what_all_limits_do(store: Store, key: str) -> None:
    limits = (Limit(1, 86400, burst=10), Limit(1, 3600, burst=3))
    grant = await store.take(key, limits, Request(1, 100))
    _same("tokens of a bucket of 10 and one of 3", grant.count, 3)
    _same("debts, one for each limit", len(grant.debts), 2)
    _near("nanoseconds until the first is full", grant.debts[0], 3 * 86400 * SECOND)
    _near("nanoseconds until the second is full", grant.debts[1], 3 * 3600 * SECOND)


async def _keeps_keys_apart(store: Store, key: str) -> None:
    await store.take(key, _SLOW, Request(10, 10))
    grant = await store.take(f"{key}:other", _SLOW, Request(10, 10))
    _same("tokens of another key", grant.count, 10)


async def _takes_back_the_last_grant_only(store: Store, key: str) -> None:
    first = await store.take(key, _SLOW, Request(5, 5))
    last = await store.take(key, _SLOW, Request(5, 5))
    await store.put_back(key, _SLOW, count=5, mark=first.mark)
    grant = await store.take(key, _SLOW, Request(1, 1))
    _same("tokens after an old grant was to be taken back", grant.count, 0)
    for _ in range(2):
        await store.put_back(key, _SLOW, count=2, mark=last.mark)
    grant = await store.take(key, _SLOW, Request(1, 10))
    _same("tokens after 2 of the last grant were taken back, twice", grant.count, 2)


async def _is_atomic(store: Store, key: str) -> None:
    takes = [store.take(key, _SLOW, Request(1, 1)) for _ in range(50)]
    grants = await asyncio.gather(*takes)
    _same("tokens for 50 at once, of a bucket of 10", sum(each.count for each in grants), 10)


async def _gives_no_more_than_the_rate(store: Store, key: str) -> None:
    loop = asyncio.get_running_loop()
    start, granted = loop.time(), 0
    while (passed := loop.time() - start) < 0.5:
        grant: Grant = await store.take(key, _QUICK, Request(1, 3))
        granted += grant.count
        await asyncio.sleep(0 if grant.count else grant.wait / SECOND)
    most = 10 + 100 * (loop.time() - start)
    _check(f"{granted} tokens in {passed:.3f} s, more than {most:.1f}", ok=granted <= most)
    # Somewhat less than the rate: the machine may have been busy with something else.
    _check(f"{granted} tokens in {passed:.3f} s, far below the rate", ok=granted >= 45)


_CHECKS: Final[tuple[Callable[[Store, str], Awaitable[None]], ...]] = (
    _grants_what_it_can,
    _grants_nothing_where_it_is_too_little,
    _draws_ahead,
    _is_sparing_where_it_is_to_be,
    _gives_less_where_much_is_drawn_ahead,
    _agrees_to_what_all_limits_do,
    _keeps_keys_apart,
    _takes_back_the_last_grant_only,
    _is_atomic,
    _gives_no_more_than_the_rate,
)


def _same(what: str, given: int, right: int) -> None:
    _check(f"{what}: {given}, which should be {right}", ok=given == right)


def _near(what: str, given: int, right: int) -> None:
    # Time goes on while the store works.
    _check(
        f"{what}: {given}, which should be {right} or, as time goes on, up to ten seconds less",
        ok=right - 10 * SECOND <= given <= right,
    )


def _check(what: str, *, ok: bool) -> None:
    if not ok:
        raise AssertionError(what)
