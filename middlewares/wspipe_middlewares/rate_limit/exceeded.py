"""What is told of a message, or a handshake, that is over the limit."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from typing import TYPE_CHECKING

from wspipe import WebSocketException

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Send


@dataclass(frozen=True, slots=True)
class Exceeded:
    """What an `on_limit` function is told.

    Args:
        connection: The connection.
        event: The message, or the `websocket.connect` event.
        name: The name of the `RateLimit`.
        limit: Its limits, as they are configured.
        key: Whose tokens are counted.
        retry_after: Seconds until it could pass; infinite where it is larger than any burst.
        send: Takes an event towards the client; it passes only what is before `RateLimit`. At a
            handshake nothing can be sent yet.
    """

    connection: ASGIConnection
    event: Event
    name: str
    limit: str
    key: str
    retry_after: float
    send: Send

    def __str__(self) -> str:
        """Say it in one line, fit for a close reason."""
        when = "" if self.retry_after == inf else f", retry after {ceil(self.retry_after)} s"
        return f"rate limit of {self.limit} exceeded{when}"


class RateLimitExceeded(WebSocketException):
    """A message was over the limit, and the policy is `"raise"`.

    Args:
        exceeded: What was exceeded, by what.

    Attributes:
        exceeded: All of it.
        event: The message.
        limit: The limits, as they are configured.
        key: Whose tokens are counted.
        retry_after: Seconds until it could pass; infinite where it is larger than any burst.
    """

    def __init__(self, exceeded: Exceeded) -> None:
        super().__init__(detail=str(exceeded), code=1008)
        self.exceeded = exceeded
        self.event: Event = exceeded.event
        self.limit: str = exceeded.limit
        self.key: str = exceeded.key
        self.retry_after: float = exceeded.retry_after
