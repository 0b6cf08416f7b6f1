from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio


async def test_the_client_closes_first(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("echo") as client:
        await client.send("hello")
        await client.recv()
        await client.close(4001, "à bientôt")
    report = await visit.report()
    # Hypercorn tells 1006 whatever the client sent (WSStream.handle, StreamClosed); granian and
    # daphne tell the code, but put no reason into the disconnect event.
    told = {
        "hypercorn": [1006, "", "unknown"],
        "hypercorn-trio": [1006, "", "unknown"],
        "granian": [4001, "", "client"],
        "daphne": [4001, "", "client"],
    }
    assert report["ending"] == told.get(visit.server.name, [4001, "à bientôt", "client"])
    assert report["received"] == report["sent"] == [1, 5]
    assert report["error"] is None


async def test_the_application_closes_first(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("close") as client:
        await client.send("please")
        await client.wait_closed()
    # Daphne sends no reason (WebSocketProtocol.serverClose takes the code only).
    reason = "" if visit.server.name == "daphne" else "merci à tous"
    assert (client.close_code, client.close_reason) == (4002, reason)
    report = await visit.report()
    assert report["ending"] == [4002, "merci à tous", "application"]
    assert report["error"] is None


async def test_a_handler_that_returns_closes_with_1000(server: Server) -> None:
    visit = server.visit("handlers")
    async with asyncio.timeout(10), visit.connect("end") as client:
        await client.send("enough")
        await client.wait_closed()
    assert (client.close_code, client.close_reason) == (1000, "")
    assert (await visit.report())["ending"] == [1000, "", "application"]


async def test_a_handler_that_raises_closes_with_1011(server: Server) -> None:
    visit = server.visit("handlers")
    async with asyncio.timeout(10), visit.connect("fail") as client:
        await client.send(visit.name)
        await client.wait_closed()
    assert (client.close_code, client.close_reason) == (1011, "")
    report = await visit.report()
    assert report["ending"] == [1011, "", "application"]
    assert report["error"] == f"RuntimeError('broken on purpose: {visit.name}')"
    await server.logged(f"broken on purpose: {visit.name}")


async def test_an_application_that_raises_is_left_to_the_server(server: Server) -> None:
    visit = server.visit("plain")
    async with asyncio.timeout(10), visit.connect("fail") as client:
        await client.send(visit.name)
        await client.wait_closed()
    # Uvicorn drops the connection, granian closes without a code, the others with 1011.
    codes = {"hypercorn": 1011, "hypercorn-trio": 1011, "granian": 1005, "daphne": 1011}
    assert client.close_code == codes.get(server.name, 1006)
    report = await visit.report()
    assert report["ending"] == [None, "", "application"]
    assert report["error"] == f"RuntimeError('broken on purpose: {visit.name}')"
    await server.logged(f"broken on purpose: {visit.name}")


async def test_a_client_that_vanishes_ends_the_connection(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("echo") as client:
        await client.send("hello")
        await client.recv()
        client.transport.abort()
    report = await visit.report()
    # No close frame came. RFC 6455 has 1006 for that; two of uvicorn's implementations and granian
    # tell 1005 instead, which stands for a close frame without a code, and so for the client.
    tells_1005 = {"uvicorn-websockets-sansio", "uvicorn-wsproto", "granian"}
    clean = visit.server.name in tells_1005
    assert report["ending"] == ([1005, "", "client"] if clean else [1006, "", "unknown"])
    assert report["received"] == report["sent"] == [1, 5]
    assert report["error"] is None


async def test_a_send_after_the_disconnect_was_received(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("talk_on") as client:
        await client.close(4001)
    report = await visit.report()
    raised = []
    if visit.style == "handlers":
        raised = ["ClientDisconnected"]
    elif visit.server.name == "uvicorn-websockets":
        # Its asgi_send takes the send for a fault once its receive has given the disconnect.
        raised = ["RuntimeError"]
    elif visit.server.name.startswith("uvicorn"):
        # Uvicorn has an OSError of this name as well.
        raised = ["ClientDisconnected"]
    assert report["notes"] == raised
    assert (report["error"] is None) == (raised != ["RuntimeError"])
    assert report["sent"] == [0, 0]


async def test_a_send_to_a_client_that_has_vanished(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("talk_blindly") as client:
        client.transport.abort()
    await visit.server.control("go on", visit.name)
    report = await visit.report()
    # Uvicorn raises an OSError; the others drop what they cannot send and tell nobody.
    if visit.server.name.startswith("uvicorn"):
        assert report["notes"] == ["ClientDisconnected"]
        assert report["ending"] == [1006, "", "unknown"]
    else:
        assert report["notes"] == []
        code = 1000 if visit.style == "handlers" else None
        assert report["ending"] == [code, "", "application"]
    assert report["error"] is None
