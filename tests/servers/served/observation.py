"""The pipeline around every conversation, and what the tests may learn from it."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from wspipe import ASGIConnection, Composable, ConnectionRejected, on_receive, on_send

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send


@dataclass
class Record:
    """What is known of one connection, under the name that the test gave it."""

    connection: ASGIConnection | None = None
    notes: list[str] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    ended: anyio.Event = field(default_factory=anyio.Event)
    may_go_on: anyio.Event = field(default_factory=anyio.Event)


records: defaultdict[str, Record] = defaultdict(Record)
started: list[str] = []


def record_of(scope: Scope) -> Record:
    """Give the record of a connection; its name is in the query."""
    return records[scope["query_string"].decode().removeprefix("name=")]


@dataclass(frozen=True, slots=True)
class Observer(Composable):
    """Report on each connection when it has ended."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Register the connection."""
        record_of(connection.scope).connection = connection
        connection.exit_stack.callback(_report, connection)
        return receive, send

    async def startup(self) -> None:
        """Note that the server runs the lifespan."""
        started.append("observer")


def _report(connection: ASGIConnection) -> None:
    by, traffic, record = connection.closed_by, connection.traffic, record_of(connection.scope)
    record.report = {
        "extensions": sorted(connection.scope.get("extensions") or ()),
        "started": started,
        "status": connection.handshake_status,
        "ending": [
            connection.close_code,
            connection.close_reason,
            by if isinstance(by, str | None) else type(by).__name__,
        ],
        "received": [traffic.messages_received, traffic.bytes_received],
        "sent": [traffic.messages_sent, traffic.bytes_sent],
        "error": None if connection.error is None else repr(connection.error),
        "notes": record.notes,
    }
    record.ended.set()
    # For a test that stops the server, and so cannot ask it.
    sys.stderr.write(f"ended {json.dumps(record.report['ending'])}\n")


@on_receive
async def guard(event: Event, connection: ASGIConnection) -> Event | None:
    """Keep one kind of message from the application, and close at another."""
    if event.get("text") == "forbidden":
        await connection.close(4008, "forbidden word", by="guard")
        return None
    return None if event.get("text") == "noise" else event


@on_send
def translate(event: Event, _: ASGIConnection) -> Event:
    """Change one kind of message on its way to the client."""
    return {**event, "text": "au revoir"} if event.get("text") == "goodbye" else event


pipeline = Observer() | guard | translate


@dataclass(frozen=True, slots=True)
class Turnstile(Composable):
    """Reject every connection."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap nothing."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Reject the connection."""
        headers = {"retry-after": "3"}
        raise ConnectionRejected(429, headers, f"no room for {connection.query_params['name']}")
