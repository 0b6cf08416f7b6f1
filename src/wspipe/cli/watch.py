"""`Watch`: a middleware that keeps connections in reach, to ask what the pipeline knows of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any

from wspipe import ASGIConnection, Composable
from wspipe_middlewares.names import RATE_LIMIT_KEY  # noqa: TID251 - the demo stands on both

if TYPE_CHECKING:
    from wspipe import Receive, Send

REMEMBERED = 1000
"""How many connections to remember after their end."""


@dataclass
class Visit:
    """A connection, and when it began and ended."""

    connection: ASGIConnection
    began: float = field(default_factory=monotonic)
    ended: float | None = None

    def report(self) -> dict[str, Any]:
        """Tell all that the pipeline knows of the connection."""
        connection, traffic, by = (
            self.connection,
            self.connection.traffic,
            self.connection.closed_by,
        )
        return {
            "id": connection.id,
            "state": connection.connection_state,
            "duration": (self.ended or monotonic()) - self.began,
            "messages_received": traffic.messages_received,
            "messages_sent": traffic.messages_sent,
            "bytes_received": traffic.bytes_received,
            "bytes_sent": traffic.bytes_sent,
            "delayed": connection.scope.get(RATE_LIMIT_KEY, {}).get("delayed", 0),
            "code": connection.close_code,
            "reason": connection.close_reason,
            "closed_by": by if isinstance(by, str | None) else type(by).__name__,
        }


class Visits:
    """The connections by their ids: all that are open, and the last that ended."""

    def __init__(self) -> None:
        self.open: dict[str, Visit] = {}
        self.ended: dict[str, Visit] = {}

    def begin(self, connection: ASGIConnection) -> None:
        """Note a connection until its end, and for a while after it."""
        self.open[connection.id] = Visit(connection)
        connection.exit_stack.callback(self._end, connection.id)

    def find(self, connection_id: str) -> Visit | None:
        """Look up a connection."""
        return self.open.get(connection_id) or self.ended.get(connection_id)

    def _end(self, connection_id: str) -> None:
        visit = self.ended[connection_id] = self.open.pop(connection_id)
        visit.ended = monotonic()
        if len(self.ended) > REMEMBERED:
            del self.ended[next(iter(self.ended))]


@dataclass(frozen=True, slots=True)
class Watch(Composable):
    """Keep the connections in reach.

    It reads what the engine counts anyway, so it wraps nothing and a message costs nothing more.
    """

    visits: Visits = field(default_factory=Visits, init=False, repr=False, compare=False)

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Note the connection."""
        self.visits.begin(connection)
        return receive, send
