"""A real client's visit to one conversation, and what it got, in the words of the tables."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from websockets.asyncio.client import ClientConnection

PATIENCE = 10.0
"""Seconds that a server has for what it does at all; Daphne takes 5 to answer who is not accepted
and looks for failed applications once a second."""

LONGEST_END = 7.0
"""Seconds that an end may take; longer ones count as none."""

CONNECT: dict[str, Any] = {
    "proxy": None,
    "compression": None,
    "max_size": 2**26,
    "open_timeout": PATIENCE,
    "ping_interval": None,
    # It runs from the close frame, which may come long before all is sent: so long that the
    # client itself ends no TCP connection that the server leaves open.
    "close_timeout": 6 * PATIENCE,
}


@dataclass(frozen=True)
class Visit:
    """A visit to one conversation on a server, bare or behind the pipeline.

    Attributes:
        name: By which the application knows it.
    """

    port: int
    style: str
    conversation: str
    name: str = field(default_factory=lambda: uuid4().hex)

    @asynccontextmanager
    async def connected(self) -> AsyncGenerator[ClientConnection, None]:
        """Connect; at the end nothing of the connection is left, whatever its state."""
        client = await connect(
            f"ws://127.0.0.1:{self.port}/{self.style}/{self.conversation}?{self.name}", **CONNECT
        )
        try:
            yield client
        finally:
            client.transport.abort()
            await client.wait_closed()

    async def told(self, command: str = "report") -> str:
        """Have the conversation go on or not, and give what the application was given."""
        async with connect(f"ws://127.0.0.1:{self.port}/control", **CONNECT) as client:
            await client.send(f"{command} {self.name}")
            notes = orjson.loads(await client.recv())
        return ", ".join(notes) or "nothing"

    async def refusal(self) -> tuple[str, str]:
        """Give the status that refuses the connection, and the body."""
        try:
            async with self.connected():
                return "101", ""
        except InvalidStatus as refused:
            response = refused.response
            return str(response.status_code), (response.body or b"").decode()
        except (InvalidHandshake, TimeoutError, EOFError):
            return "no answer", ""


async def end_of(client: ClientConnection) -> str:
    """Wait for the end of a connection; give what the server said of it."""
    try:
        async with asyncio.timeout(LONGEST_END):
            await client.wait_closed()
    except TimeoutError:
        close = client.protocol.close_rcvd
        return "stays open" if close is None else f"{int(close.code)}, TCP stays open"
    protocol = client.protocol
    if protocol.close_rcvd is not None:
        return str(int(protocol.close_rcvd.code))
    # The stream ends early where the server drops the connection.
    fault = protocol.parser_exc
    return "no close frame" if isinstance(fault, EOFError | None) else "a broken frame"


async def messages_to(client: ClientConnection) -> AsyncGenerator[str, None]:
    """Give the messages up to the end, whatever the end."""
    with suppress(ConnectionClosed):
        while True:
            message = await client.recv()
            yield message if isinstance(message, str) else message.decode()
