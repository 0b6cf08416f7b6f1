"""What the tests may know of a connection: what the pipeline around it saw."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wspipe import ASGIConnection, Composable, ConnectionRejected, on_receive, on_send

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send

reports: defaultdict[str, asyncio.Future[dict[str, Any]]] = defaultdict(asyncio.Future)
"""The reports on the connections that have ended, by the name in their query."""
live: dict[str, ASGIConnection] = {}
"""The connections that have not ended."""
gates: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
"""What the applications wait for that go on when the test says so."""
started: list[str] = []
"""What was started with the server's lifespan."""


@dataclass(frozen=True, slots=True)
class Observer(Composable):
    """Report on each connection when it has ended."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Register the connection."""
        live[name_of(connection.scope)] = connection
        connection.exit_stack.callback(_report, connection)
        return receive, send

    async def startup(self) -> None:
        """Note that the server runs the lifespan."""
        started.append("observer")


@dataclass(frozen=True, slots=True)
class Turnstile(Composable):
    """Reject every connection."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Wrap nothing."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Reject."""
        raise ConnectionRejected(
            429, {"retry-after": "3"}, f"no room for {connection.query_params['name']}"
        )


@on_receive
def drop_noise(event: Event, _: ASGIConnection) -> Event | None:
    """Keep a kind of message from the application."""
    return None if event.get("text") == "noise" else event


@on_send
async def answer_in_french(event: Event, _: ASGIConnection) -> Event:
    """Change a kind of message on its way to the client."""
    return {**event, "text": "au revoir"} if event.get("text") == "goodbye" else event


pipeline = Observer() | drop_noise | answer_in_french


def name_of(scope: Scope) -> str:
    """Give the name that the test gave to the connection."""
    name: str = scope["query_string"].decode().removeprefix("name=")
    return name


def note(scope: Scope, what: str) -> None:
    """Add to the report something that only the application knows."""
    scope.setdefault("state", {}).setdefault("notes", []).append(what)


def _report(connection: ASGIConnection) -> None:
    name, by = name_of(connection.scope), connection.closed_by
    del live[name]
    traffic = connection.traffic
    reports[name].set_result(
        {
            "extensions": sorted(connection.scope.get("extensions") or ()),
            "status": connection.handshake_status,
            "code": connection.close_code,
            "reason": connection.close_reason,
            "by": by if isinstance(by, str | None) else type(by).__name__,
            "received": [traffic.messages_received, traffic.bytes_received],
            "sent": [traffic.messages_sent, traffic.bytes_sent],
            "error": None if connection.error is None else repr(connection.error),
            "notes": connection.scope.get("state", {}).get("notes", []),
        }
    )
