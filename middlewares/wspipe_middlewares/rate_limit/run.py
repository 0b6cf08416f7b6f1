"""The tokens of one grant, each with its window.

A window opens when the bucket would have let the token out, and shuts when the bucket begins to
regain it. So whatever is held is owed to the bucket meanwhile, and over all processes and in any
window of time no more is used than one bucket would have given.

The tokens that a message waits for are promised to it. They are used when they arrive, however long
that took, as they would be without leases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wspipe_middlewares.rate_limit.clock import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.rate import Limit
    from wspipe_middlewares.rate_limit.store import Grant

HORIZON: Final = SECOND // 20
"""How long the tokens of one grant are meant to last, in nanoseconds."""

_MOMENT: Final = SECOND // 1000
"""How long a token has to last to be held, where most do, in nanoseconds."""


class Run:
    """Tokens of one grant.

    The window of the last one is from `opens` to `shuts`; each token before it is one interval
    earlier. There is one pair for each limit.
    """

    __slots__ = ("count", "mark", "promised", "promised_until", "sure_until", "windows")

    def __init__(
        self, grant: Grant, limits: Sequence[Limit], promised: int, sent: int, received: int
    ) -> None:
        # The store's clock read something between the two; each bound takes the safe one.
        self.windows: list[tuple[int, int, int, int]] = [
            (
                received + debt + (-limit.burst * limit.period * SECOND // limit.amount),
                sent + debt - limit.period * SECOND // limit.amount,
                limit.amount,
                limit.period * SECOND,
            )
            for limit, debt in zip(limits, grant.debts, strict=True)
        ]
        self.count: int = grant.count
        self.mark: Any = grant.mark
        self.promised: int = promised
        self.promised_until: int = max(received, self.opens(promised)) + HORIZON
        self.sure_until: int = 0

    def opens(self, taken: int) -> int:
        """Tell when the last of so many tokens, from the first, may be used."""
        after = self.count - taken
        return max(opens - after * period // amount for opens, _, amount, period in self.windows)

    def alive(self, now: int) -> int:
        """Tell how many windows have not shut by some time."""
        return max(
            0,
            min(-((now - shuts) * amount // period) for _, shuts, amount, period in self.windows),
        )

    def expire(self, now: int) -> None:
        """Let go of the tokens whose windows have shut, but for those that are promised."""
        kept = self.alive(now) + (self.promised if now < self.promised_until else 0)
        self.count = min(self.count, kept)

    def spend(self, count: int) -> None:
        """Use tokens, from the first."""
        self.count -= count
        self.promised = max(0, self.promised - count)

    def be_sure(self, now: int) -> None:
        """Note until when each of the tokens may be used, so that none need be looked at."""
        if not self.count or self.promised or self.opens(self.count) > now:
            return
        # Rather without the few that shut in a moment than never sure.
        lasting = min(self.count, self.alive(now + _MOMENT))
        if 2 * lasting >= self.count:
            self.count = lasting
        after = self.count - 1
        self.sure_until = min(
            shuts - -(-after * period // amount) for _, shuts, amount, period in self.windows
        )
