"""A room, in which all hear what anyone says, behind the pipelines of `wspipe.toml` beside it.

Run it from this folder:
    uvicorn room:app
"""

from contextlib import suppress
from pathlib import Path

from wspipe import PipelineMiddleware, WebSocket, WebSocketDisconnect, websocket_app

members: set[WebSocket] = set()


@websocket_app
async def room(socket: WebSocket) -> None:
    await socket.accept()
    members.add(socket)
    socket.exit_stack.callback(members.discard, socket)
    async for text in socket.iter_text():
        for member in tuple(members):
            with suppress(WebSocketDisconnect):  # it has just left
                await member.send_text(text)


app = PipelineMiddleware.from_config(room, Path(__file__).with_name("wspipe.toml"))
