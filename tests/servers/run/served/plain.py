"""Applications without a framework."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wspipe import ASGIApp, Receive, Scope, Send

received: defaultdict[str, list[str]] = defaultdict(list)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo, and write down at the end what was received by whom."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        page = {"path": scope["path"], "root_path": scope["root_path"], "ws": _implementations()}
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(page).encode()})
    else:
        mine = received[scope["path"]]
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            mine.append(event["text"])
            await asyncio.sleep(0.001 * (len(mine) % 3))
            await send({"type": "websocket.send", "text": event["text"]})


def _implementations() -> list[str]:
    """Name uvicorn's implementations of the WebSocket protocol that are loaded."""
    modules = (name.rpartition(".")[2] for name in sys.modules if "uvicorn.protocols.web" in name)
    return sorted(name.removesuffix("_impl") for name in modules if name.endswith("_impl"))


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    Path("received.json").write_text(json.dumps(received))  # noqa: ASYNC240 - all is over
    await send({"type": "lifespan.shutdown.complete"})


def make() -> ASGIApp:
    """Make the application."""
    return app


def fail() -> ASGIApp:
    """Fail to make it."""
    raise RuntimeError("no such\ndatabase")


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail at startup."""
    await receive()
    message = f"{scope['type']}: no database"
    await send({"type": "lifespan.startup.failed", "message": message})


async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
    """Go on whatever comes, until it is cancelled."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    try:
        await asyncio.Event().wait()
    finally:
        Path("cancelled").touch()  # noqa: ASYNC240 - all is over


not_callable = "a text"
