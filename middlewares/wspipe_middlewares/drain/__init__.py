"""`Drain`: closes what is open before the server stops, each connection between two messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wspipe import ASGIConnection, Composable, Receive, Send
from wspipe_middlewares.drain.connections import Connections, Drained
from wspipe_middlewares.options import check_close_code, check_reason, check_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe import Middleware

__all__ = ["Drain", "Drained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(Composable):
    """Close what is open, one connection after the other, and let no more come in.

    A server that stops closes all at once: its clients come back in one instant, and what was
    being handled is cut off. Call `drain()` first. It closes each connection at a moment of its
    own, and only between two messages, so that nothing is lost that the application received. The
    oldest goes first: who has just come, maybe from another process that drains, is not sent on
    at once.

    An application is between two messages while it has called receive as often as it was given a
    message. So one that hands messages to other tasks should receive the next when they are done.
    Where it is handling a message at its moment, the close comes at its next call of receive,
    which gives the disconnect. One that only sends, and was given no message, is closed at its
    moment.

    Granian and Hypercorn do not wait for the client's close frame. Where the client is sending at
    that moment, TCP may reset the connection, and answers that it has not read are gone.

    # Order

    Put it last, closest to the application, so that a call of receive is the application's own. A
    stage behind it that reads ahead would seem to be done with what the application still handles.

    Args:
        deadline: Seconds from the call of `drain()` to the last close, 0 to 3600. What handles a
            message even then is closed all the same. A close that the server does not take may
            last 5 seconds longer.
        spacing: Seconds between two closes at most, 0 or more. It is less where so many are open
            that their moments would take more than three quarters of the deadline.
        code: The close code; by default 1012, service restart (IANA WebSocket Close Code Number
            Registry).
        reason: The close reason, at most 123 bytes in UTF-8 (RFC 6455 section 5.5).

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    deadline: float = 10.0
    spacing: float = 0.1
    code: int = 1012
    reason: str = "service restart"
    _open: Connections = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; make what connections share."""
        check_seconds("deadline", self.deadline, most=3600)
        check_seconds("spacing", self.spacing)
        check_close_code("code", self.code)
        check_reason("reason", self.reason)
        object.__setattr__(self, "_open", Connections(self))

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Note when the application is between two messages."""
        if self._open.draining:
            return receive, send  # and `admit` refuses it
        return self._open.enter(connection, receive), send

    async def admit(self, connection: ASGIConnection) -> None:  # noqa: ARG002 - all are alike
        """Let nobody in once it drains.

        Raises:
            ConnectionRejected: It drains: status 503, with `retry-after`.
        """
        self._open.refuse()

    def review(self, before: Sequence[Middleware], behind: Sequence[Middleware]) -> Iterator[str]:
        """Advise on its place in a pipeline: see `wspipe.Middleware`."""
        del before
        if behind:
            yield "is not the last stage; put it last, closest to the application"

    async def drain(self) -> Drained:
        """Close all that is open, and return when it is closed; for good.

        Call it in the event loop that serves the connections, from any task. A second call waits
        for the same end; where the first was cancelled, it goes on with what is left, with a
        deadline of its own.

        Returns:
            What became of the connections.
        """
        return await self._open.drain()
