"""What a shared store has to do: one atomic draw, and taking back what was not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.gcra import Request
    from wspipe_middlewares.rate_limit.rate import Limit


@dataclass(frozen=True, slots=True)
class Grant:
    """What a store grants.

    Args:
        count: How many tokens: at least as many as were needed, or none.
        debts: For each limit, nanoseconds until its bucket will be full again, these tokens
            counted.
        wait: Nanoseconds until the tokens that were needed may be used, granted or not.
        mark: Tells this grant from later ones of the same key; whatever the store likes.
    """

    count: int
    debts: tuple[int, ...]
    wait: int
    mark: Any = None


@runtime_checkable
class Store(Protocol):
    """Holds the buckets that processes share.

    Both methods are atomic, and use one clock, which is the store's. A store that cannot answer
    raises any `Exception`; what then happens is `on_store_error`.

    It may have an `async aclose()`, which is called when the server shuts down.
    """

    async def take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        """Draw as many tokens as can be; `wspipe_middlewares.rate_limit.draw` is the arithmetic.

        Args:
            key: Names the bucket, at most 200 ASCII characters.
            limits: The limits of the bucket, always the same for one key.
            request: What is asked, `ahead` in nanoseconds.
        """
        ...

    async def put_back(self, key: str, limits: Sequence[Limit], *, count: int, mark: Any) -> None:
        """Take back tokens of a grant that were not used.

        Only the last grant of a key can be taken back. Where another came after it, nothing is to
        be done: time brings the tokens back.

        Args:
            key: Names the bucket.
            limits: Its limits.
            count: How many tokens.
            mark: The mark of their grant.
        """
        ...


def checked(grant: Grant, request: Request, limits: Sequence[Limit]) -> Grant:
    """Give a store's grant, if it makes sense.

    Raises:
        ValueError: It does not.
    """
    numbers = (grant.count, grant.wait, *grant.debts)
    count = grant.count
    if (
        len(grant.debts) != len(limits)
        or any(type(number) is not int or number < 0 for number in numbers)
        or not (request.least <= count <= request.most if count else grant.wait > request.ahead)
    ):
        raise ValueError(f"the store answered {request} by {grant}, which makes no sense")
    return grant
