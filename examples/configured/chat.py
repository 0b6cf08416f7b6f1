"""A chat on Starlette with a room for each path, written without a thought of wspipe.

Run it from its folder:

    uvicorn chat:app
"""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

rooms: dict[str, set[WebSocket]] = {}


async def chat(socket: WebSocket) -> None:
    """Send what a member of the room says to all its members."""
    room = rooms.setdefault(socket.path_params["room"], set())
    await socket.accept()
    room.add(socket)
    try:
        async for text in socket.iter_text():
            for member in list(room):
                await member.send_text(text)
    finally:
        room.discard(socket)


async def count(socket: WebSocket) -> None:
    """Tell how many members each room has, each time that something is asked."""
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_json({name: len(room) for name, room in rooms.items()})


app = Starlette(
    routes=[WebSocketRoute("/chat/{room}", chat), WebSocketRoute("/admin/count", count)]
)
