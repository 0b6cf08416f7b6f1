"""Send what anybody says to all, and close who does not keep up.

Run it from this folder:

    uvicorn broadcast:app
"""

from __future__ import annotations

from contextlib import suppress

from wspipe import WebSocket, WebSocketDisconnect, websocket_app
from wspipe_middlewares import Logging, SendQueue

members: set[WebSocket] = set()
queue = SendQueue(max_messages=100, max_seconds=10)


@websocket_app(pipeline=Logging() | queue)
async def app(socket: WebSocket) -> None:
    await socket.accept()
    members.add(socket)
    socket.exit_stack.callback(members.discard, socket)
    async for text in socket.iter_text():
        for member in tuple(members):
            with suppress(WebSocketDisconnect):  # it has just left, or been closed
                await member.send_text(text)
