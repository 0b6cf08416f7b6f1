"""Real servers close what takes too long."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.servers.timed import SERVERS, TimedVisit, closed, timed_server

if TYPE_CHECKING:
    from tests.servers.conftest import Server

pytestmark = pytest.mark.asyncio


server = timed_server(SERVERS)


async def test_who_is_not_accepted_in_time_is_denied(server: Server) -> None:
    visit = TimedVisit(server, "/timeouts/accept")
    async with asyncio.timeout(10):
        with pytest.raises(InvalidStatus) as denied:
            await visit.connect()
        assert denied.value.response.status_code == 403
        assert await visit.report() == [[3008, "Timeouts", "None"]]


LIMITS = {
    "idle": (3008, "idle"),
    "idle_received": (3008, "nothing received"),
    "idle_sent": (3008, "nothing sent"),
    "lifetime": (3008, "open for too long"),
    "handling": (3008, "handling took too long"),
    "handling_kept": (3008, "handling took too long"),
    "codes": (4100, "idle"),
}


async def test_each_limit_closes(server: Server) -> None:
    async def wait(limit: str) -> None:
        visit, (code, reason) = TimedVisit(server, f"/timeouts/{limit}"), LIMITS[limit]
        async with visit.connect() as client:
            await client.send("hello")
            await closed(client)
            # Daphne sends no reason.
            told = "" if server.name == "daphne" else reason
            assert (client.close_code, client.close_reason) == (code, told)
            assert await visit.report() == [[code, "Timeouts", "None"]]

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        for limit in LIMITS:
            tasks.create_task(wait(limit))


@pytest.mark.parametrize("path", ["/timeouts/send", "/timeouts/send_kept"])
async def test_a_client_that_does_not_read_is_closed_and_its_application_ends(
    server: Server, path: str
) -> None:
    visit = TimedVisit(server, path)
    async with asyncio.timeout(20), visit.connect() as client:
        client.transport.pause_reading()
        report = asyncio.create_task(visit.report())
        # Who is not cancelled sends on until the client has gone. And Hypercorn under trio shields
        # what it sends (TCPServer.protocol_send). The close has its 5 seconds.
        stays = path.endswith("kept") or server.name == "hypercorn-trio"
        await asyncio.wait([report], timeout=7 if stays else None)
        client.transport.abort()
        seen = await report
    expected = {
        # It buffers what a client does not read, without a bound: no send ever takes long.
        "daphne": [1000, "application", "None"],
        # It fails two sends at once to a client that does not read (an assertion of its protocol),
        # which looks as if it refused the code.
        "uvicorn-websockets": [1000, "Timeouts", "None"],
    }
    assert seen == [expected.get(server.name, [3008, "Timeouts", "None"])]


async def test_of_500_those_who_talk_stay_and_the_others_are_closed(server: Server) -> None:
    async with asyncio.timeout(60), AsyncExitStack() as stack:

        async def visit() -> TimedVisit:
            visit = TimedVisit(server, "/timeouts/many")
            clients[visit] = await stack.enter_async_context(visit.connect(open_timeout=30))
            return visit

        clients: dict[TimedVisit, object] = {}
        visits = []
        for _ in range(10):
            visits += await asyncio.gather(*(visit() for _ in range(50)))
        talking, idle = visits[::2], visits[1::2]

        async def talk(visit: TimedVisit) -> None:
            client = clients[visit]
            for number in range(6):
                await client.send(str(number))  # type: ignore[attr-defined]
                assert await client.recv() == str(number)  # type: ignore[attr-defined]
                await asyncio.sleep(0.5)

        async def wait(visit: TimedVisit) -> None:
            client = clients[visit]
            with pytest.raises(ConnectionClosed):
                await client.recv()  # type: ignore[attr-defined]
            assert client.close_code == 3008  # type: ignore[attr-defined]

        await asyncio.gather(*map(talk, talking), *map(wait, idle))
