"""Drop what is over the limit, and tell the client when to send it again.

Run it from this folder:

    uvicorn rate_limit_answer:app
"""

from __future__ import annotations

import json

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Logging, RateLimit
from wspipe_middlewares.rate_limit import Exceeded


async def slow_down(exceeded: Exceeded) -> None:
    """Answer in the handler's place; what this returned would go on to the handler."""
    answer = {
        "type": "slow down",
        "message": exceeded.event.get("text"),
        "limit": exceeded.limit,
        "retry_after": round(exceeded.retry_after, 3),
    }
    await exceeded.send({"type": "websocket.send", "text": json.dumps(answer)})


@websocket_app(pipeline=Logging() | RateLimit("5/second", on_limit=slow_down))
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
