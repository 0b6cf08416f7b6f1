"""The vocabulary: the types of ASGI and the one contract of wspipe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from wspipe.connection import ASGIConnection

Event: TypeAlias = MutableMapping[str, Any]
"""An ASGI event, which is a dictionary with a `"type"`."""

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI connection scope."""

Receive: TypeAlias = Callable[[], Awaitable[Event]]
"""Gives the next event from the server."""

Send: TypeAlias = Callable[[Event], Awaitable[None]]
"""Hands an event to the server."""

ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
"""An ASGI application (version 3, a single callable)."""


class Middleware(Protocol):
    """The contract: take a connection's receive and send, return the two to use from now on.

    The object is configuration, shared by all connections. State that belongs to one connection
    lives in the closures that the call makes. A stage with nothing to do in a direction returns
    the callable that it was given.

    A middleware may also have any of these:

    - `async admit(connection)`: runs before the application sees the connection and may raise
      `ConnectionRejected`;
    - `async startup()` and `async shutdown()`: run with the server's lifespan;
    - `owns_resources`: whether it needs those two at all.

    And for the commands that look at a configured pipeline without running it:

    - `observes`: whether it wants to see every connection, rejected ones included;
    - `rejects`: whether its `admit`, as it is configured, may reject;
    - `checks_origin`: whether it refuses pages of other sites;
    - `review(before, behind)`: gives a sentence for each thing that is wrong with its place among
      the stages closer to the server and those closer to the application;
    - `rehearsal()`: gives a copy to be measured, with no effect outside the process, and never in
      the way of a message.
    """

    def __call__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send, /
    ) -> tuple[Receive, Send]:
        """Wrap the two directions of one connection.

        Args:
            connection: The connection, before its first event.
            receive: Gives events that already passed the stages closer to the server.
            send: Takes events towards the server.

        Returns:
            The pair that the next stage, closer to the application, is to use.
        """
        ...
