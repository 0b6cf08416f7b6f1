"""The deadline of one connection."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from math import inf, isfinite
from time import time
from typing import TYPE_CHECKING, Final

from anyio import CancelScope

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.auth_deadline.recheck import ask
from wspipe_middlewares.closing import close
from wspipe_middlewares.timer import shared_timer

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import ASGIConnection, Scope
    from wspipe_middlewares.auth_deadline import AuthDeadline
    from wspipe_middlewares.auth_deadline.recheck import Recheck
    from wspipe_middlewares.timer import Alarm, Task, Timer

SCOPE_KEY: Final = "wspipe.auth_deadline"
"""Where a scope has the deadlines of its connection."""


def authenticated(scope: Scope, *, expires_at: float | datetime | None = None) -> bool:
    """Mark a connection as authenticated; again where that is renewed. May be called in any thread.

    Args:
        scope: The connection's ASGI scope.
        expires_at: When that ends: seconds since 1970 (UTC), as in the `exp` claim of a JSON Web
            Token (RFC 7519 section 4.1.4), or an aware `datetime`; left out, never.

    Returns:
        Whether an `AuthDeadline` is in the connection's pipeline, and has heard it.

    Raises:
        ImproperlyConfiguredException: `expires_at` is neither.
    """
    lasting = inf if expires_at is None else _timestamp(expires_at) - time()
    deadlines: tuple[Callable[[float], None], ...] = scope.get(SCOPE_KEY, ())
    for extend in deadlines:
        extend(lasting)
    return bool(deadlines)


def _timestamp(moment: object) -> float:
    with suppress(OverflowError):
        if isinstance(moment, datetime) and moment.tzinfo is not None:
            return moment.timestamp()
        if isinstance(moment, int | float) and not isinstance(moment, bool) and isfinite(moment):
            return float(moment)
    raise ImproperlyConfiguredException(
        detail=f"expires_at={moment!r} must be seconds since 1970, or a datetime with a time zone"
    )


class Deadline:
    """What belongs to one connection.

    `due` is when it is closed, `check` when it is asked about, both by the timer's clock;
    `renewals` counts how often it was authenticated.

    Args:
        config: The middleware.
        within: Seconds to the first authentication.
        connection: The connection.
    """

    __slots__ = (
        "asking",
        "check",
        "config",
        "connection",
        "due",
        "ended",
        "moment",
        "reason",
        "renewals",
        "timer",
    )

    def __init__(self, config: AuthDeadline, within: float, connection: ASGIConnection) -> None:
        self.config: AuthDeadline = config
        self.connection: ASGIConnection = connection
        self.timer: Timer = shared_timer()
        self.moment: set[Alarm] | None = None
        now = self.timer.now()
        self.due: float = now + within
        # Where nobody need call `authenticated`, it was settled before.
        self.check: float = now + config.every if within == inf and config.recheck else inf
        self.asking: CancelScope | None = None
        self.reason: str = "not authenticated in time"
        self.renewals: int = 0
        self.ended: bool = False

        def extend(lasting: float) -> None:  # a function, so that the scope may be copied deeply
            self.timer.loop.call(partial(self._extend, lasting))

        connection.allow_interruption()
        connection.scope[SCOPE_KEY] = (*connection.scope.get(SCOPE_KEY, ()), extend)
        connection.exit_stack.callback(self._end)
        self._set()

    def _extend(self, lasting: float) -> None:
        now = self.timer.now()
        self.renewals += 1
        self.due = now + lasting
        self.reason = "authentication has expired"
        if self.config.recheck is not None and self.check == inf:
            self.check = now + self.config.every
        self._set()

    def ring(self, now: float) -> Task | None:
        """Look what is due: see `Alarm`."""
        if self.connection.connection_state == "disconnect":
            return None
        if self.due <= now:
            return self._close
        recheck = self.config.recheck if self.check <= now else None
        if recheck is not None:
            self.check = inf
        self._set()
        return None if recheck is None else partial(self._ask, recheck)

    def _set(self) -> None:
        when = min(self.due, self.check)
        if when < inf and not self.ended:
            self.timer.at(when, self)
        else:
            self.timer.cancel(self)

    def _end(self) -> None:
        self.ended = True
        self.timer.cancel(self)
        if self.asking is not None:
            self.asking.cancel()

    async def _ask(self, recheck: Recheck) -> None:
        config, renewals = self.config, self.renewals
        confirmed = True
        with CancelScope() as self.asking:
            confirmed = await ask(recheck, self.connection, config)
        if confirmed or renewals != self.renewals:
            self.check = self.timer.now() + config.every
            self._set()
        else:
            self.reason = "no longer authenticated"
            await self._close()

    async def _close(self) -> None:
        await close(self.connection, self.config.code, self.reason, self.config)
