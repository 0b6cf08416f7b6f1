"""A middleware class: configuration on the object, state in the closures of each connection.

Run it from this folder:

    uvicorn own_middleware:app
"""

from __future__ import annotations

from dataclasses import dataclass

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    Event,
    Receive,
    Send,
    WebSocket,
    websocket_app,
)
from wspipe_middlewares import Logging


@dataclass(frozen=True)
class Quota(Composable):
    """Close a connection with 1008 when it sends more than so many messages.

    Args:
        limit: The messages that each connection may send.
    """

    limit: int

    async def admit(self, connection: ASGIConnection) -> None:
        """Deny a client that does not name itself."""
        if "user" not in connection.query_params:
            raise ConnectionRejected(401, body="say who you are: ?user=...")

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Count what is received; leave the sending side alone."""
        used = 0

        def report() -> None:
            connection.logger.info("quota", used=used, limit=self.limit)

        async def receive_within_limit() -> Event:
            nonlocal used
            event = await receive()
            if event["type"] == "websocket.receive":
                if used == self.limit:
                    await connection.close(1008, "the quota is used up", by=self)
                    return await receive()
                used += 1
            return event

        connection.exit_stack.callback(report)
        return receive_within_limit, send


@websocket_app(pipeline=Logging() | Quota(3))
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
