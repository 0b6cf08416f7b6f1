"""Real servers close who is not authenticated in time, or not any more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from tests.servers.timed import SERVERS, TimedVisit, closed, timed_server

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.servers.conftest import Server

pytestmark = pytest.mark.asyncio


server = timed_server(SERVERS)


async def test_who_is_not_authenticated_is_closed(server: Server) -> None:
    async def visit(path: str, says: list[str], reason: str) -> None:
        visit = TimedVisit(server, path)
        async with visit.connect() as client:
            for word in says:
                await client.send(word)
                assert await client.recv() == word
            await closed(client)
            # Daphne sends no reason.
            told = "" if server.name == "daphne" else reason
            assert (client.close_code, client.close_reason) == (3000, told)
            assert await visit.report() == [[3000, "AuthDeadline", "None"]]

    async def stay(path: str) -> None:
        async with TimedVisit(server, path).connect() as client:
            await client.send("login")
            assert await client.recv() == "login"
            await asyncio.sleep(2)  # the deadline passes, and it is asked about several times
            await client.send("login")
            assert await client.recv() == "login"

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(visit("/auth/silent", ["hello?"], "not authenticated in time"))
        tasks.create_task(visit("/auth", ["login 1"], "authentication has expired"))
        tasks.create_task(visit("/auth", ["login", "revoke"], "no longer authenticated"))
        tasks.create_task(visit("/auth/fail", ["login"], "no longer authenticated"))
        tasks.create_task(stay("/auth"))
        tasks.create_task(stay("/auth/keep"))


async def test_of_500_those_who_authenticate_stay(server: Server) -> None:
    async with asyncio.timeout(60), AsyncExitStack() as stack:

        async def enter() -> ClientConnection:
            visit = TimedVisit(server, "/auth/many")
            return await stack.enter_async_context(visit.connect(open_timeout=30))

        clients: list[ClientConnection] = []
        for _ in range(10):
            clients += await asyncio.gather(*(enter() for _ in range(50)))
        known, unknown = clients[::2], clients[1::2]

        async def stay(client: ClientConnection) -> None:
            await client.send("login")
            assert await client.recv() == "login"

        async def be_closed(client: ClientConnection) -> None:
            await closed(client)
            assert client.close_code == 3000

        await asyncio.gather(*map(stay, known), *map(be_closed, unknown))
        await asyncio.gather(*map(stay, known))
