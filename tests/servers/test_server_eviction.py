from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("style", ["handlers", "plain", "nested"])
async def test_a_close_from_another_task_ends_a_waiting_receive(server: Server, style: str) -> None:
    visit = server.visit(style)
    async with asyncio.timeout(15), visit.connect("echo") as client:
        await client.send("hello")
        await client.recv()
        # From here on the application waits in receive.
        async with asyncio.timeout(4):  # well within what a middleware waits for its close
            await visit.server.control("evict with 4003", visit.name)
            await client.wait_closed()
    # Daphne sends no reason (WebSocketProtocol.serverClose takes the code only).
    seen = {"daphne": (4003, "")}
    expected = seen.get(visit.server.name, (4003, "go away"))
    assert (client.close_code, client.close_reason) == expected
    report = await visit.report()
    assert report["ending"] == [4003, "go away", "operator"]
    assert report["error"] is None


async def test_a_send_after_the_eviction_is_refused(visit: Visit) -> None:
    async with asyncio.timeout(5), visit.connect("talk_blindly") as client:
        await visit.server.control("evict with 4003", visit.name)
        await client.wait_closed()
        assert client.close_code == 4003
        await visit.server.control("go on", visit.name)
    report = await visit.report()
    assert report["notes"] == ["ClientDisconnected"]
    assert report["ending"] == [4003, "go away", "operator"]
    assert report["error"] is None


async def test_a_stage_closes_while_it_handles_a_message(visit: Visit) -> None:
    async with asyncio.timeout(5), visit.connect("echo") as client:
        await client.send("forbidden")
        await client.wait_closed()
    reason = "" if visit.server.name == "daphne" else "forbidden word"
    assert (client.close_code, client.close_reason) == (4008, reason)
    report = await visit.report()
    assert report["ending"] == [4008, "forbidden word", "guard"]
    assert report["received"] == [1, len("forbidden")]
    assert report["sent"] == [0, 0]
    assert report["error"] is None


async def test_a_close_with_a_code_of_the_protocol(visit: Visit) -> None:
    async with asyncio.timeout(5), visit.connect("talk_blindly") as client:
        await visit.server.control("evict with 1008", visit.name)
        await client.wait_closed()
        await visit.server.control("go on", visit.name)
    # Daphne refuses what is not 1000 or from 3000 up (autobahn, WebSocketProtocol.sendClose);
    # the connection is closed all the same, with 1000.
    code = 1000 if visit.server.name == "daphne" else 1008
    assert client.close_code == code
    report = await visit.report()
    assert report["ending"] == [code, "go away", "operator"]
    assert report["error"] is None
