"""Have Litestar use a WebSocket class of wspipe, with a pipeline of its own.

Run it from this folder:

    uvicorn litestar_class:app
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from litestar import Litestar, websocket
from litestar.params import FromPath

from wspipe import WebSocket
from wspipe_middlewares import Logging, MessageSizeLimit


class RoomSocket(WebSocket[Any, Any], pipeline=Logging() | MessageSizeLimit(text_received=1024)):
    """The connection of somebody in a room."""

    async def say(self, **fields: object) -> None:
        """Send an object with the time in it; orjson knows how to write a time."""
        await self.send_json({"at": datetime.now(UTC), **fields})


@websocket("/rooms/{number:int}")
async def room(socket: RoomSocket, number: FromPath[int]) -> None:
    async with socket:
        async for message in socket.iter_json():
            await socket.say(room=number, got=message)


app = Litestar([room], websocket_class=RoomSocket)  # type: ignore[arg-type]
