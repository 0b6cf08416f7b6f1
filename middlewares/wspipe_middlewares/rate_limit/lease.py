"""A lease: tokens of a shared bucket that this process may use without asking again."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from wspipe_middlewares.rate_limit.clock import SECOND
from wspipe_middlewares.rate_limit.gcra import NEVER, Request
from wspipe_middlewares.rate_limit.quota import ASK
from wspipe_middlewares.rate_limit.run import HORIZON, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.clock import Now
    from wspipe_middlewares.rate_limit.rate import Limit
    from wspipe_middlewares.rate_limit.store import Grant

_A_FEW: Final = 16
"""How many tokens may be held that last longer than to the horizon, but no longer than a second."""

_SHORTEST: Final = SECOND // 100
"""How long a window has to be for tokens to be held, in nanoseconds."""

REACH: Final = SECOND
"""How far ahead a busy process may draw, in nanoseconds."""


class Lease:
    """The tokens of one key that this process holds.

    It does no input or output: whoever has it asks the store for what `request` says and hands the
    answer to `receive`.

    Args:
        limits: The limits of the key.
        now: Tells the time, in nanoseconds.
        patience: How many nanoseconds a token may be waited for.
    """

    __slots__ = (
        "appetite",
        "debts",
        "largest",
        "limits",
        "now",
        "open_at",
        "patience",
        "received_at",
        "refused",
        "runs",
        "share",
        "tight",
        "used",
        "waiting",
    )

    def __init__(self, limits: Sequence[Limit], now: Now, patience: int) -> None:
        self.limits: Sequence[Limit] = limits
        self.largest: int = min(limit.burst for limit in limits)
        self.now: Now = now
        self.patience: int = patience
        self.runs: deque[Run] = deque()
        self.used: int = 0
        self.waiting: int = 0
        self.open_at: int = 0
        self.tight: bool = False
        self.debts: tuple[int, ...] = ()
        self.received_at: int = 0
        self.refused: tuple[int, int, int] = (NEVER, 0, 0)
        self.share: int = min(map(_share, limits))
        self.appetite: int = max(1, self.share // 8)

    def take(self, cost: int) -> int:
        """Take tokens: see `Quota.take`. Nobody overtakes who waits."""
        if self.waiting:
            return ASK
        now, runs = self.now(), self.runs
        if runs and now < runs[0].sure_until and cost < runs[0].count:
            runs[0].count -= cost
            self.used += cost
            return 0
        return self.take_in_turn(cost)

    def take_in_turn(self, cost: int) -> int:
        """Take tokens for who is the first of those who wait, or for the only one."""
        now, runs = self.now(), self.runs
        if cost > self.largest:
            return NEVER
        at = now
        while (held := self._held(at)) >= cost:
            opens = max(now, self._opens(cost))
            if opens - now > self.patience:
                return opens - now
            if opens == at:
                self._spend(cost)
                if runs:
                    runs[0].be_sure(now)
                return opens - now
            # What is used by then must not have shut by then.
            at = opens
        return self._fall_short(cost, held, now)

    def request(self, cost: int, wanted: int = 0) -> Request:
        """Say what to ask for, so that a message of that cost can pass.

        As long as the bucket holds something, the process takes what lasts to the horizon, but no
        more than a quarter of what is there: what it does not use, the bucket soon regains. Where
        it is nearly empty, tokens are drawn ahead: twice as many as before where the process uses
        them as they come, else as many as it uses to the horizon. Where more is drawn ahead than
        lasts to the horizon, each process takes less, in proportion: that comes to the same share
        for all, which falls with the square root of their number.

        Args:
            cost: What the first message that waits costs.
            wanted: What all that wait cost together.
        """
        now = self.now()
        least = cost - self._held(now)
        if now - self.open_at < HORIZON:
            self.appetite = min(2 * max(self.appetite, self.used), self.largest)
        else:
            self.appetite = 1 + self.used * HORIZON // max(now - self.received_at, HORIZON)
        self.used = 0
        needed = least + max(0, wanted - cost)
        if not self.tight or now - self.received_at > REACH:
            if 4 * needed > self.share:
                return Request(least, needed, self.patience)
            return Request(least, self.share, self.patience, sparing=True)
        most = max(needed, min(self.share, self.appetite))
        if most <= least:
            return Request(least, least, self.patience)
        return Request(least, most, max(self.patience, REACH), share=self.share)

    def receive(self, grant: Grant, request: Request, sent: int) -> None:
        """Take what the store grants.

        Args:
            grant: The store's answer.
            request: What it was asked for.
            sent: When it was asked.
        """
        received = self.received_at = self.now()
        self.debts = grant.debts
        self.tight = any(
            debt * limit.amount * 8 > 7 * limit.burst * limit.period * SECOND
            for limit, debt in zip(self.limits, grant.debts, strict=True)
        )
        if grant.count:
            promised = request.least if grant.wait <= self.patience else 0
            run = Run(grant, self.limits, promised, sent, received)
            self.runs.append(run)
            self.open_at = max(received, run.opens(grant.count))
            return
        pause = max(grant.wait - request.ahead, HORIZON if request.most > request.least else 0)
        self.refused = request.least, received + pause, received + grant.wait
        self.open_at = received + grant.wait

    def unused(self) -> tuple[int, object]:
        """Let go of the tokens of the last grant; tell how many there were, and its mark."""
        if not self._held(self.now()):
            return 0, None
        run = self.runs.pop()
        self.runs.clear()
        return run.count, run.mark

    def debts_now(self) -> tuple[int, ...]:
        """Tell what the bucket owes by now, as far as is known here."""
        passed = self.now() - self.received_at
        return tuple(max(0, debt - passed) for debt in self.debts)

    def _held(self, now: int) -> int:
        held = 0
        for run in self.runs:
            run.expire(now)
            held += run.count
        while self.runs and not self.runs[0].count:
            self.runs.popleft()
        return held

    def _fall_short(self, cost: int, held: int, now: int) -> int:
        least, until, opens = self.refused
        if cost - held < least or now >= until:
            return ASK
        # Beyond the patience, because nothing is taken.
        return max(opens - now, self.patience + 1)

    def _opens(self, cost: int) -> int:
        opens = 0
        for run in self.runs:
            if cost:
                taken = min(cost, run.count)
                opens = max(opens, run.opens(taken))
                cost -= taken
        return opens

    def _spend(self, cost: int) -> None:
        self.used += cost
        while cost:
            run = self.runs[0]
            taken = min(cost, run.count)
            run.spend(taken)
            cost -= taken
            if not run.count:
                self.runs.popleft()


def _share(limit: Limit) -> int:
    """Tell how many tokens a process may hold."""
    period = limit.period * SECOND
    if (limit.burst - 1) * period < _SHORTEST * limit.amount:
        return 1
    soon = SECOND * limit.amount // period
    return max(1, HORIZON * limit.amount // period, min(limit.burst // 4, _A_FEW, soon))
