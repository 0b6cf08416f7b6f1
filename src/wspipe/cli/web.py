"""The demo over HTTP: its page, and reports on its connections.

A report is asked for over HTTP so that asking does not count as a message.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import orjson

if TYPE_CHECKING:
    from wspipe import Send
    from wspipe.cli.watch import Visits

PAGE: Final = files("wspipe.cli").joinpath("page.html").read_bytes()

# The page needs nothing from anywhere else, and may not.
_POLICY: Final = (
    "default-src 'none'; connect-src 'self' ws: wss:; img-src data:; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def respond(path: str, visits: Visits, send: Send) -> None:
    """Answer a request: `/` with the page, `/connections/<id>` with a report.

    Args:
        path: The path of the request.
        visits: Knows the connections.
        send: Takes the response.
    """
    status, kind, body = 404, "text/plain", b"There is nothing here. The demo's page is at /.\n"
    if path == "/":
        status, kind, body = 200, "text/html", PAGE
    elif visit := visits.find(path.removeprefix("/connections/")):
        status, kind, body = 200, "application/json", orjson.dumps(visit.report())
    await reply(send, status, f"{kind}; charset=utf-8", body)


async def reply(send: Send, status: int, content_type: str, body: bytes) -> None:
    """Send a whole response.

    Args:
        send: Takes the response.
        status: Its status.
        content_type: What the body is.
        body: The body.
    """
    headers = {
        "content-type": content_type,
        "content-length": str(len(body)),
        "content-security-policy": _POLICY,
        "cache-control": "no-store",
    }
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
    )
    await send({"type": "http.response.body", "body": body})
