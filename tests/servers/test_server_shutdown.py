from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server

pytestmark = pytest.mark.asyncio


async def test_the_server_stops_while_connections_are_open(own_server: Server) -> None:
    handler, plain = own_server.visit("handlers"), own_server.visit("plain")
    async with (
        asyncio.timeout(15),
        handler.connect("echo") as to_handler,
        plain.connect("echo") as to_plain,
    ):
        for client in (to_handler, to_plain):
            await client.send("hello")
            await client.recv()
        await asyncio.to_thread(own_server.stop)
        await asyncio.gather(to_handler.wait_closed(), to_plain.wait_closed())
    lines = own_server.log.read_text().splitlines()
    endings = sorted(line for line in lines if line.startswith("ended "))
    if own_server.name.startswith("uvicorn"):
        # It closes by itself and tells the applications.
        assert (to_handler.close_code, to_plain.close_code) == (1012, 1012)
        assert endings == ['ended [1012, "", "server"]'] * 2
    elif own_server.name.startswith("hypercorn"):
        # It cancels the applications when its graceful timeout is over.
        assert to_handler.close_code == 1001
        assert to_plain.close_code in {1006, 1011}
        assert endings == ['ended [1001, "", "server"]', 'ended [null, "", "server"]']
    else:
        # Granian and daphne drop the connections and end, mostly before any application hears.
        assert (to_handler.close_code, to_plain.close_code) == (1006, 1006)
        assert set(endings) <= {'ended [1005, "", "client"]', 'ended [1006, "", "unknown"]'}
