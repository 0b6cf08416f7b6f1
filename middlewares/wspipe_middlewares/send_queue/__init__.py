"""`SendQueue`: what waits for a slow client, in order and bounded."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wspipe import ASGIConnection, Composable, Event, Receive, Send
from wspipe_middlewares.options import (
    check_choice,
    check_close_code,
    check_count,
    check_function,
    check_reason,
    check_seconds,
    refusal,
)
from wspipe_middlewares.send_queue.connection import QueuedConnection
from wspipe_middlewares.timeouts import Timeouts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe import Middleware

__all__ = ["SendQueue"]

Key: TypeAlias = Callable[[Event, ASGIConnection], Hashable]
"""Gives the key of a message, `None` for one that nothing replaces."""

_POLICIES: Final = ("close", "drop_oldest", "drop_newest", "latest")


@dataclass(frozen=True, slots=True, kw_only=True)
class SendQueue(Composable):
    """Let nobody wait for a slow client, and bound what waits for it.

    A send puts its message into the connection's queue and returns; a task of the connection's own
    hands the messages to the server, one after the other. So whoever sends to many connections is
    not held up by one that does not read, and several tasks may send at once.

    What the server is just taking counts for `max_seconds` only. Where it fails to take a message,
    the next send raises its error. A close goes behind what waits, and so does the end of the
    application: that has 4 seconds more to be sent. Where another middleware closes, it is
    discarded.

    An application that sends as fast as it can, a file say, needs to be held up: there leave this
    out, and sends wait for the server.

    # Order

    Put it behind the observers, so that they see what reaches the server, and behind `Timeouts`.

    Args:
        max_messages: How many messages may wait.
        max_bytes: How many bytes they may have together, text in UTF-8. By default 4 MiB.
        max_seconds: How many seconds one may wait. By default 30.
        on_overflow: What happens when a message does not fit, or has waited too long. `close`
            closes the connection; `drop_oldest` and `drop_newest` discard messages, the one that
            waits for longest or the new one; `latest` replaces a waiting message by a newer one
            with the same key, in its place, and closes where that is not enough.
        key: For `latest`: a function of `(event, connection)` that gives the key of a message, or
            `None` for one that nothing replaces.
        code: The close code; by default 1013, try again later (IANA WebSocket Close Code Number
            Registry).
        reason: The close reason, at most 123 bytes in UTF-8 (RFC 6455 section 5.5).

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    max_messages: int = 1000
    max_bytes: int = 4 * 2**20
    max_seconds: float = 30.0
    on_overflow: Literal["close", "drop_oldest", "drop_newest", "latest"] = "close"
    key: Key | None = None
    code: int = 1013
    reason: str = "too slow"

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        check_count("max_messages", self.max_messages)
        check_count("max_bytes", self.max_bytes)
        check_seconds("max_seconds", self.max_seconds, least=0.1)
        check_choice("on_overflow", self.on_overflow, _POLICIES)
        check_close_code("code", self.code)
        check_reason("reason", self.reason)
        if self.on_overflow == "latest":
            check_function("key", self.key, "a function of (event, connection)", 2)
        elif self.key is not None:
            raise refusal("key", self.key, "left out where on_overflow is not 'latest'")

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Put a queue before the server."""
        return receive, QueuedConnection(self, connection, send).send

    def review(self, before: Sequence[Middleware], behind: Sequence[Middleware]) -> Iterator[str]:
        """Advise on its place in a pipeline: see `wspipe.Middleware`."""
        del before
        if any(getattr(other, "send", None) and isinstance(other, Timeouts) for other in behind):
            yield "hides slow sends from the Timeouts behind it; put it behind the Timeouts"

    def rehearsal(self) -> SendQueue:
        """Give a copy to be measured, which drops nothing: see `wspipe.Middleware`."""
        return replace(self, max_messages=10**9, max_bytes=10**15, max_seconds=3600)
