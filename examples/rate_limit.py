"""Echo, but no more than 20 messages a second and 500 a minute from one client.

Run it from this folder:

    uvicorn rate_limit:app
"""

from __future__ import annotations

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Logging, RateLimit

limit = RateLimit("20/second; 500/minute")


@websocket_app(pipeline=Logging() | limit)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
