from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio

CONNECTIONS = 200
MESSAGES = 5


@pytest.mark.parametrize("style", ["handlers", "plain"])
async def test_two_hundred_connections_at_once(server: Server, style: str) -> None:
    visits = [server.visit(style) for _ in range(CONNECTIONS)]
    all_open = asyncio.Barrier(CONNECTIONS)

    async def converse(visit: Visit) -> None:
        async with visit.connect("echo", open_timeout=20) as client:
            await all_open.wait()
            for number in range(MESSAGES):
                text = f"{visit.name} {number}"
                await client.send(text)
                assert await client.recv() == text
            await client.close(4001)

    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        for visit in visits:
            tasks.create_task(converse(visit))
    reports = await server.control("report", *(visit.name for visit in visits))
    assert len(reports) == CONNECTIONS
    size = MESSAGES * len(f"{visits[0].name} 0")
    for report in reports:
        assert report["received"] == report["sent"] == [MESSAGES, size]
        assert report["ending"][2] == ("unknown" if "hypercorn" in server.name else "client")
        assert report["error"] is None
