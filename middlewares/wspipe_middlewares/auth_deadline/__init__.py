"""`AuthDeadline`: closes who is not authenticated in time, or not any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wspipe import ASGIConnection, Composable, Receive, Send
from wspipe_middlewares.auth_deadline.deadline import Deadline, authenticated
from wspipe_middlewares.auth_deadline.recheck import (
    Recheck,  # noqa: TC001 - configuration reads the types
)
from wspipe_middlewares.options import (
    check_choice,
    check_close_code,
    check_limit,
    check_seconds,
    refusal,
)

__all__ = ["AuthDeadline", "authenticated"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthDeadline(Composable):
    """Close connections whose application has not called `authenticated` in time.

    The application calls `authenticated(scope, expires_at=...)` once it knows who the client is,
    at the handshake or after a message, and again where a token is renewed. The connection is
    closed when nobody called it in time, when the time that it was given has passed, and when
    `recheck` says no.

    Nothing is done per message. All connections of an event loop share one timer.

    # Order

    Anywhere behind the observers: it looks at no event.

    Args:
        within: Seconds from the start of the connection to the first call; `None` is no limit, for
            where the authentication is settled before the handshake.
        recheck: A function of the connection, sync or async, that tells whether it is still
            authenticated: asked from the first call of `authenticated` on, with `within=None` from
            the start. It runs in a task of its own; a sync one must not block.
        every: Seconds between two times that it is asked, and the longest that it may take.
        on_recheck_error: What happens where it raises, or takes too long: `close`, or `keep` the
            connection and ask again the next time.
        code: The close code; by default 3000, unauthorized (IANA WebSocket Close Code Number
            Registry). Before the accept, servers answer 403.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    within: float | None = 10.0
    recheck: Recheck | None = None
    every: float = 60.0
    on_recheck_error: Literal["close", "keep"] = "close"
    code: int = 3000
    _within: float = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        object.__setattr__(self, "_within", check_limit("within", self.within))
        check_seconds("every", self.every, least=0.1, most=86400)
        check_choice("on_recheck_error", self.on_recheck_error, ("close", "keep"))
        check_close_code("code", self.code)
        if self.recheck is not None and not callable(self.recheck):
            raise refusal("recheck", self.recheck, "a function of the connection")

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Set the deadline."""
        Deadline(self, self._within, connection)
        return receive, send
