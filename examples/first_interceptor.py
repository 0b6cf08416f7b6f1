"""Look at each message on its way: redact one, drop one, answer one.

Run it from this folder:

    uvicorn first_interceptor:app
"""

from __future__ import annotations

import re
from contextlib import suppress

from wspipe import (
    ASGIConnection,
    Event,
    WebSocket,
    WebSocketDisconnect,
    on_receive,
    on_send,
    websocket_app,
)
from wspipe_middlewares import Logging

CARD_NUMBER = re.compile(r"\b\d{4}[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}\b")


@on_send
def hide_cards(event: Event, _connection: ASGIConnection) -> Event:
    """Redact: give another event in place of this one."""
    text = event.get("text")
    if text is None:
        return event
    return {**event, "text": CARD_NUMBER.sub("[card]", text)}


@on_receive
def drop_blank(event: Event, _connection: ASGIConnection) -> Event | None:
    """Drop: give `None`."""
    text = event.get("text")
    return None if text is not None and not text.strip() else event


@on_receive
async def answer_ping(event: Event, connection: ASGIConnection) -> Event | None:
    """Answer: send something, and drop what came."""
    if event.get("text") != "ping":
        return event
    with suppress(OSError, WebSocketDisconnect):  # either side may have ended it meanwhile
        await connection.send({"type": "websocket.send", "text": "pong"})
    return None


@websocket_app(pipeline=Logging() | hide_cards | drop_blank | answer_ping)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(f"you said {message}")
