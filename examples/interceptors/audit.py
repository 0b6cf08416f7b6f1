"""Record who said what and when, and in each record the hash of the one before it.

Check the file that has it, from this folder:
    wspipe check
"""

import hashlib
from datetime import UTC, datetime

import orjson
import structlog

from wspipe import ASGIConnection, Event, Receive, Send

log = structlog.PrintLogger()  # no level and no processor of the application's loses a record


def audit(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    link = ""

    def record(event: Event) -> None:
        nonlocal link
        who = getattr(connection.scope.get("user"), "display_name", connection.scope.get("client"))
        about = {"at": datetime.now(UTC), "who": who, "connection": connection.id, "previous": link}
        line = orjson.dumps({**event, **about}, repr)
        link = hashlib.sha256(line).hexdigest()
        log.info(line.decode())

    async def record_received() -> Event:
        record(event := await receive())
        return event

    async def record_sent(event: Event) -> None:
        record(event)
        await send(event)

    connection.exit_stack.callback(lambda: record({"type": "end", "code": connection.close_code}))
    return record_received, record_sent
