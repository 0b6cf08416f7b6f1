"""The room: what one tab says, all tabs hear."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from anyio import create_task_group, fail_after, move_on_after

from wspipe import WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wspipe import WebSocket

PATIENCE = 1.0
"""Seconds that a tab has to take a message before the room goes on without it."""


class Room:
    """The tabs that chat with each other."""

    def __init__(self) -> None:
        self.sockets: set[WebSocket] = set()

    @asynccontextmanager
    async def seat(self, socket: WebSocket) -> AsyncGenerator[None]:
        """Have a tab in the room for as long as the block runs."""
        self.sockets.add(socket)
        try:
            await self.tell({"type": "room", "tabs": len(self.sockets)})
            yield
        finally:
            self.sockets.discard(socket)
            await self.tell({"type": "room", "tabs": len(self.sockets)})

    async def tell(self, message: dict[str, Any]) -> None:
        """Send a message to all tabs at once, so that none waits for another."""
        async with create_task_group() as tasks:
            for socket in self.sockets:
                tasks.start_soon(self._deliver, socket, message)

    async def _deliver(self, socket: WebSocket, message: dict[str, Any]) -> None:
        try:
            with fail_after(PATIENCE):
                await socket.send_json(message)
        except WebSocketDisconnect:
            self.sockets.discard(socket)
        except TimeoutError:
            self.sockets.discard(socket)
            with move_on_after(PATIENCE):
                await socket.close(1013, "too slow", by=self)
