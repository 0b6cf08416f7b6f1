"""`Timeouts`: how long a connection may take to be accepted, be idle, live, handle and send."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - configuration reads the types
from dataclasses import dataclass, field
from math import inf
from typing import Final

from wspipe import ASGIConnection, Composable, Receive, Send
from wspipe_middlewares.options import (
    check_close_code,
    check_flag,
    check_limit,
    check_mapping,
    refusal,
)
from wspipe_middlewares.timeouts.watch import Limits, Watch

__all__ = ["Timeouts"]

TIMEOUT: Final = 3008
"""The close code of a timeout (IANA WebSocket Close Code Number Registry)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts(Composable):
    """Close connections that take too long.

    All connections of an event loop share one timer, which reads the connection's traffic to tell
    idleness. So a connection that is idle is closed up to an eighth of the time later. The other
    limits are kept to a tenth of a second.

    What counts are messages that the application received or sent. Ping and pong are the server's,
    and no application sees them. What a client has sent and the application has not taken does not
    count either.

    # Order

    Put it behind the observers and limits, so that what those hold back does not count as
    handling; before a `SendQueue`, so that `send` times the server and not the queue.

    Args:
        accept: Seconds from the start to the answer of the handshake.
        idle: Seconds in which nothing was received or sent.
        idle_received: Seconds in which nothing was received.
        idle_sent: Seconds in which nothing was sent.
        lifetime: Seconds from the start of the connection.
        handling: Seconds from a message that the application was given to its next call of
            receive. An application that receives no more, and only sends, is handling still.
        send: Seconds that one send may take, which is long where the client does not read.
        cancel: Cancel the application too: at once where handling or a send takes too long, after
            another close where it has not ended 6 seconds later. It is cancelled once, as by
            `asyncio.Task.cancel`, under trio by a cancel scope. Without that it hears of the close
            at its next call of receive or send, which may never come.
        codes: Close codes by the names of the limits, such as `idle`; by default 3008, timeout
            (IANA WebSocket Close Code Number Registry). Before the accept, servers answer 403.

    Raises:
        ImproperlyConfiguredException: An option makes no sense. Limits are 0.1 seconds or more.
    """

    accept: float | None = 10.0
    idle: float | None = None
    idle_received: float | None = None
    idle_sent: float | None = None
    lifetime: float | None = None
    handling: float | None = None
    send: float | None = None
    cancel: bool = False
    codes: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    _limits: Limits = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        check_flag("cancel", self.cancel)
        check_mapping("codes", self.codes)
        limits = Limits(*(check_limit(name, getattr(self, name)) for name in Limits._fields))
        if min(limits) == inf:
            raise refusal("accept", None, "a number of seconds where there is no other limit")
        object.__setattr__(self, "_limits", limits)
        object.__setattr__(self, "codes", dict(self.codes))
        for name, code in self.codes.items():
            if name not in Limits._fields:
                raise refusal("codes", dict(self.codes), f"by limit: {', '.join(Limits._fields)}")
            check_close_code(f"codes[{name!r}]", code)

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Watch the connection from now on."""
        watch = Watch(self, self._limits, connection)
        if self.handling is not None:
            receive = watch.timed_receive(receive)
        if self.send is not None:
            send = watch.timed_send(send)
        return receive, send

    def code_of(self, limit: str) -> int:
        """Give the close code of a limit.

        Args:
            limit: Its name, such as `"idle"`.
        """
        return self.codes.get(limit, TIMEOUT)
