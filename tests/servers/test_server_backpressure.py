"""What servers do with the messages of a client while the application does not receive.

A server with backpressure stops reading: the client cannot send on, and the server's memory stays
bounded. A server without it takes whatever comes.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tests.servers.conftest import COMMANDS, Server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.servers.conftest import Visit

pytestmark = pytest.mark.asyncio

KIBIBYTE, MEBIBYTE = 2**10, 2**20
HAS_BACKPRESSURE = {
    "uvicorn-websockets": True,
    "uvicorn-websockets-sansio": True,
    "uvicorn-wsproto": True,
    "hypercorn": True,
    "hypercorn-trio": True,
    "granian": True,
    # WebSocketProtocol.onMessage puts into a queue without a bound, and never stops reading.
    "daphne": False,
}


@dataclass(frozen=True)
class Flood:
    """Messages of one size: all of them together, and what stays below the bound is little."""

    size: int
    count: int
    bound: int


FLOODS = {
    "large": Flood(64 * KIBIBYTE, count=1024, bound=16 * MEBIBYTE),
    "small": Flood(100, count=80_000, bound=4 * MEBIBYTE),
}


@dataclass
class Client:
    """A client that knows how much of what it sends is on its way."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    protocol: ClientProtocol
    sent: int = 0

    @classmethod
    @asynccontextmanager
    async def connect(cls, visit: Visit) -> AsyncIterator[Client]:
        """Shake hands, with little room for messages between here and the server."""
        port, connection = visit.server.port, socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * KIBIBYTE)
        connection.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=connection)
        # So that it has drained as soon as the system has taken everything, and not before.
        writer.transport.set_write_buffer_limits(0)
        uri = f"ws://127.0.0.1:{port}/{visit.style}?name={visit.name}"
        protocol = ClientProtocol(parse_uri(uri))
        client = cls(reader, writer, protocol)
        try:
            protocol.send_request(protocol.connect())
            client.write()
            protocol.receive_data(await reader.readuntil(b"\r\n\r\n"))
            yield client
        finally:
            # Not a close, which waits until a server that does not read takes the rest.
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def send(self, flood: Flood) -> bool:
        """Send until all has been sent or the server takes no more; say whether it took all."""
        rest = bytes(flood.size - 8)
        at_once = max(1, 64 * KIBIBYTE // flood.size)
        while self.sent < flood.count:
            for number in range(self.sent, min(self.sent + at_once, flood.count)):
                self.protocol.send_binary(number.to_bytes(8, "big") + rest)
                self.sent += 1
            self.write()
            if not await self.drains():
                return False
        return True

    def write(self) -> None:
        """Write what the protocol has to send."""
        self.writer.writelines(self.protocol.data_to_send())

    async def drains(self) -> bool:
        """Tell whether the system takes what was written."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0.3):
                await self.writer.drain()
        return self.writer.transport.get_write_buffer_size() == 0

    async def close(self) -> None:
        """Close, and wait until the server has read that, and thus all that was sent before."""
        self.protocol.send_close()
        self.write()
        await self.writer.drain()
        await self.reader.read()
        self.writer.close()


@pytest.fixture(scope="module", params=COMMANDS)
def stalling_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server of the application that does not receive."""
    folder = tmp_path_factory.mktemp("stalling")
    server = Server.start(request.param, folder, "served.stalling:app")
    yield server
    server.stop()


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
async def test_what_the_server_takes_while_the_application_does_not_receive(
    stalling_server: Server, flood: Flood
) -> None:
    server, visit = stalling_server, stalling_server.visit("stall")
    async with asyncio.timeout(30), Client.connect(visit) as client:
        memory = _memory(server)
        took_all = await client.send(flood)
        while not took_all:
            # A server that is only slow gets on with reading while it answers another client.
            await server.control("nothing")
            if not await client.drains():
                break
            took_all = await client.send(flood)
        assert took_all is not HAS_BACKPRESSURE[server.name]
        if took_all:
            await client.close()
        else:
            assert client.sent * flood.size < flood.bound
        memory = _memory(server) - memory
        await server.control("go on", visit.name)
        if not took_all:
            await client.close()
    assert await visit.report() == {"received": client.sent, "in order": True}
    if sys.platform == "linux":
        assert memory > flood.bound if took_all else memory < flood.bound


def _memory(server: Server) -> int:
    """Give the bytes that the server and its workers have in memory, where the system tells."""
    pages = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getsid(int(process.name)) == server.process.pid:
                pages += int((process / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
