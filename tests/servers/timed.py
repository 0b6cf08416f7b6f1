"""Visits to the connections that take too long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from tests.servers.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from websockets.asyncio.client import ClientConnection, connect

SERVERS = ("uvicorn-websockets", "hypercorn-trio", "granian", "daphne")


@dataclass(frozen=True)
class TimedVisit:
    """One connection, with a name by which the application knows it."""

    server: Server
    path: str
    name: str = field(default_factory=lambda: uuid4().hex)

    def connect(self, **options: Any) -> connect:
        """Connect to the path."""
        options = {"compression": None, **options}  # a buffer takes no end of what is compressed
        return self.server.connect(f"{self.path}?name={self.name}", **options)

    async def all_sent(self) -> None:
        """Wait until the application has sent all that it has to send."""
        await self.server.control("sent", self.name)

    async def report(self) -> list[Any]:
        """Give what the application noted, once the connection has ended."""
        [seen] = await self.server.control("report", self.name)
        return list(seen)


async def closed(client: ClientConnection) -> tuple[float, list[str]]:
    """Read until closed; give how long that took, and what was read."""
    start = asyncio.get_running_loop().time()
    received = []
    try:
        while True:
            received.append(str(await client.recv()))
    except ConnectionClosed:
        return asyncio.get_running_loop().time() - start, received


def timed_server(names: Sequence[str]) -> Any:
    """Make the fixture of a server, each of the given ones in turn, that a module shares."""

    @pytest.fixture(scope="module", params=names)
    def server(
        request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[Server]:
        server = Server.start(request.param, tmp_path_factory.mktemp("timed"), "served.timed:app")
        yield server
        server.stop()

    return server
