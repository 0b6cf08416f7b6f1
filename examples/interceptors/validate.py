"""Let only messages pass that fit a schema; tell the client what is wrong with the others.

Run it from this folder:
    uvicorn validate:app
"""

from contextlib import suppress
from typing import Annotated

import msgspec

from wspipe import ASGIConnection, Event, WebSocket, WebSocketDisconnect, on_receive, websocket_app


class Order(msgspec.Struct, forbid_unknown_fields=True):
    """What a client may send."""

    item: str
    amount: Annotated[int, msgspec.Meta(ge=1, le=100)]


@on_receive
async def validate(event: Event, connection: ASGIConnection) -> Event | None:
    try:
        msgspec.json.decode(event.get("text") or event.get("bytes") or "", type=Order)
    except (ValueError, RecursionError) as error:
        answer = msgspec.json.encode({"error": str(error)}).decode()
        with suppress(OSError, WebSocketDisconnect):  # it may have ended meanwhile
            await connection.send({"type": "websocket.send", "text": answer})
        return None
    return event


@websocket_app(pipeline=validate)
async def app(socket: WebSocket) -> None:
    async for order in socket.iter_json():
        await socket.send_json({"ordered": order})
