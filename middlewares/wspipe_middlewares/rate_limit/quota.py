"""What a connection takes its tokens from, and where it gets that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable

ASK: Final = -1
"""The answer of a quota that cannot tell any more: ask the source."""


class Quota(Protocol):
    """The tokens of one key, as far as they are known in this process."""

    def take(self, cost: int) -> int:
        """Take tokens, at once or not at all.

        Args:
            cost: How many, at least 1.

        Returns:
            0 where they may be used now; else nanoseconds until they may. Up to the source's
            patience they are taken, beyond it they are not. `ASK` where only the source can tell.
        """
        ...


class Verdict:
    """The quota that says the same to everybody, such as while a store is out of order."""

    __slots__ = ("wait",)

    def __init__(self, wait: int) -> None:
        self.wait: int = wait

    def take(self, cost: int) -> int:  # noqa: ARG002 - whatever it costs
        """Say the same to all."""
        return self.wait


class Source(Protocol):
    """Where quotas come from: the buckets of this process, or leases from a shared store."""

    def enter(self, key: str) -> Quota:
        """Give a connection its quota; it has to `leave` where `holds` says so."""
        ...

    def ask(self, key: str, cost: int) -> Awaitable[tuple[Quota, int]]:
        """Take tokens where the quota could not tell.

        Returns:
            The quota to take from next, and what `Quota.take` would return, but never `ASK`.
        """
        ...

    @property
    def holds(self) -> bool:
        """Whether it holds something for a connection until that leaves."""
        ...

    def leave(self, key: str) -> Awaitable[None]:
        """Give back what is held for a connection that has ended."""
        ...
