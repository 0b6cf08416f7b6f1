"""The watch over one connection: when it has to be looked at next, and what is overdue."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from anyio import sleep

from wspipe_middlewares.closing import LINGER, close
from wspipe_middlewares.timer import shared_timer

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Receive, Send
    from wspipe_middlewares.timeouts import Timeouts
    from wspipe_middlewares.timer import Alarm, Task, Timer

REASONS: Final = {
    "accept": "no accept in time",
    "idle": "idle",
    "idle_received": "nothing received",
    "idle_sent": "nothing sent",
    "lifetime": "open for too long",
    "handling": "handling took too long",
    "send": "send took too long",
}
"""The close reasons by the names of the limits."""

GRACE: Final = 1.0
"""Seconds that an application has to end, after its receive was ended, until it is cancelled."""

LOOKS: Final = 8
"""How often a connection is looked at in the time in which it may be idle."""


class Limits(NamedTuple):
    """The limits in seconds, infinity where there is none."""

    accept: float
    idle: float
    idle_received: float
    idle_sent: float
    lifetime: float
    handling: float
    send: float

    @property
    def look(self) -> float:
        """How long a connection that may be idle is not looked at."""
        return min(self.idle, self.idle_received, self.idle_sent) / LOOKS


class Watch:
    """What belongs to one connection.

    Args:
        config: The middleware.
        limits: Its limits.
        connection: The connection.
    """

    __slots__ = (
        "_scope",
        "began",
        "config",
        "connection",
        "given",
        "limits",
        "moment",
        "next",
        "overdue",
        "received",
        "received_at",
        "sends",
        "sent",
        "sent_at",
        "timer",
    )

    def __init__(self, config: Timeouts, limits: Limits, connection: ASGIConnection) -> None:
        self.config: Timeouts = config
        self.limits: Limits = limits
        self.connection: ASGIConnection = connection
        self._scope = connection.application_scope if config.cancel else None
        self.timer: Timer = shared_timer()
        self.moment: set[Alarm] | None = None
        self.began: float = self.timer.now()
        self.received: int = -1
        self.sent: int = -1
        self.received_at: float = inf
        self.sent_at: float = inf
        self.given: float = inf
        self.sends: list[float] | None = None
        self.overdue: str = ""
        connection.allow_interruption()
        self.ring(self.began)
        connection.exit_stack.callback(self.timer.cancel, self)

    def timed_receive(self, receive: Receive) -> Receive:
        """Note when the application is given a message, until it comes back for the next."""
        now, limit = self.timer.now, self.limits.handling

        async def timed() -> Event:
            self.given = inf
            event = await receive()
            if event["type"] == "websocket.receive":
                self.given = now()
                if self.given + limit < self.next:
                    self._look_at(self.given + limit)
            return event

        return timed

    def timed_send(self, send: Send) -> Send:
        """Note when each send that is on its way began."""
        now, limit = self.timer.now, self.limits.send
        sends = self.sends = []

        async def timed(event: Event) -> None:
            began = now()
            sends.append(began)
            if began + limit < self.next:
                self._look_at(began + limit)
            try:
                await send(event)
            finally:
                sends.remove(began)

        return timed

    def ring(self, now: float) -> Task | None:
        """Look whether anything is overdue: see `Alarm`."""
        self.next: float = inf
        due, limit = self._due(now)
        if due <= now:
            self.overdue = limit
            return self._close
        if due < inf:
            self._look_at(min(due, now + self.limits.look))
        return None

    def _look_at(self, when: float) -> None:
        self.next = when
        self.timer.at(when, self)

    def _due(self, now: float) -> tuple[float, str]:
        """Tell what is due first, and when."""
        limits, connection = self.limits, self.connection
        due, limit = inf, ""
        if connection.connection_state != "disconnect":
            due, limit = self.began + limits.lifetime, "lifetime"
            if connection.handshake_status is None:
                due, limit = min((due, limit), (self.began + limits.accept, "accept"))
            elif limits.look < inf:
                due, limit = min((due, limit), self._idle_due(now))
        elif self._scope is not None:
            due, limit = self.began + limits.lifetime, "lifetime"
        # Nobody else ends an application that hangs when its client has left.
        if self.given < inf:
            due, limit = min((due, limit), (self.given + limits.handling, "handling"))
        if self.sends:
            due, limit = min((due, limit), (self.sends[0] + limits.send, "send"))
        return due, limit

    def _idle_due(self, now: float) -> tuple[float, str]:
        limits, traffic = self.limits, self.connection.traffic
        if self.received != (received := traffic.messages_received):
            self.received, self.received_at = received, now
        if self.sent != (sent := traffic.messages_sent):
            self.sent, self.sent_at = sent, now
        return min(
            (max(self.received_at, self.sent_at) + limits.idle, "idle"),
            (self.received_at + limits.idle_received, "idle_received"),
            (self.sent_at + limits.idle_sent, "idle_sent"),
        )

    async def _close(self) -> None:
        config, limit = self.config, self.overdue
        hangs = limit in {"handling", "send"} and self._scope is not None
        linger = 0 if hangs else LINGER
        code = config.code_of(limit)
        await close(self.connection, code, REASONS[limit], config, linger=linger)
        if self._scope is not None:
            if not hangs:
                await sleep(GRACE)
            self._scope.cancel()
