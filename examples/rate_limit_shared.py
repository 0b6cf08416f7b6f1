"""The same limit for all processes together, on all machines that use one Redis or Valkey server.

Run it from this folder, as often as you like:

    uvicorn rate_limit_shared:app
"""

from __future__ import annotations

from os import getenv

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Logging, RateLimit

limit = RateLimit("20/second; 500/minute", store=getenv("STORE_URL", "redis://127.0.0.1:6379"))


@websocket_app(pipeline=Logging() | limit)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
