"""A chat: a WebSocket class of its own, with its pipeline and its methods.

Run it from this folder:

    uvicorn chat_class:app
"""

from __future__ import annotations

from wspipe import WebSocket, WebSocketDisconnect, websocket_app
from wspipe_middlewares import Logging

members: set[ChatSocket] = set()


class ChatSocket(WebSocket, pipeline=Logging()):
    """The connection of one member of the chat."""

    @property
    def name(self) -> str:
        """The name that the client gave: `?name=ann`."""
        return self.query_params.get("name", "somebody")

    async def say(self, text: str) -> None:
        """Send a line to every member, this one included."""
        for member in tuple(members):
            try:
                await member.send_text(f"{self.name}: {text}")
            except WebSocketDisconnect:
                members.discard(member)


@websocket_app(websocket_class=ChatSocket)
async def app(socket: ChatSocket) -> None:
    await socket.accept()
    members.add(socket)
    socket.exit_stack.callback(members.discard, socket)
    await socket.say("came in")
    async for text in socket.iter_text():
        await socket.say(text)
