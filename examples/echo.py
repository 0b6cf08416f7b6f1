"""Echo every text message; log each connection when it opens and when it ends.

Run it from this folder:

    uvicorn echo:app
"""

from __future__ import annotations

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Logging


@websocket_app(pipeline=Logging())
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
