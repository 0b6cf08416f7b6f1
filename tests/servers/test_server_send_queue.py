"""Real servers, and clients that do not read: what waits for them is bounded."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.timed import TimedVisit, closed, timed_server

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from tests.servers.conftest import Server

pytestmark = pytest.mark.asyncio

# Daphne buffers whatever it is given, so that nothing ever waits in the queue.
SERVERS = ("uvicorn-websockets-sansio", "hypercorn", "hypercorn-trio", "granian")
CHUNKS = 1500


server = timed_server(SERVERS)


async def test_overflow_closes(server: Server) -> None:
    await asyncio.gather(overflow(server, "close"), overflow(server, "time"))


async def overflow(server: Server, bound: str) -> None:
    visit = TimedVisit(server, f"/queue/{bound}")
    async with asyncio.timeout(20), visit.connect() as client:
        client.transport.pause_reading()
        report = asyncio.create_task(visit.report())
        # Hypercorn under trio shields what it sends (TCPServer.protocol_send) from being cancelled,
        # and the close has its 5 seconds.
        await asyncio.wait([report], timeout=7 if server.name == "hypercorn-trio" else None)
        client.transport.abort()
        seen = await report
    sent, end = seen
    assert end == [1013, "SendQueue", "None"]
    if bound == "time":
        assert sent == [CHUNKS - 1, None]
    else:
        number, code = sent
        # 64 KiB each: so many are in the queue's 4 MiB and in the buffers below.
        assert number < CHUNKS / 2
        assert code == 1013


async def read_on(server: Server, policy: str) -> tuple[list[Any], list[int]]:
    """Read nothing until all is sent, then everything; give what the application noted too."""
    visit = TimedVisit(server, f"/queue/{policy}")
    async with asyncio.timeout(30), visit.connect() as client:
        client.transport.pause_reading()
        await client.send("read")  # taken when all chunks are sent
        await visit.all_sent()
        client.transport.resume_reading()
        numbers = []
        while (text := await client.recv()) != "end":
            numbers.append(int(str(text)[:6]))
        await client.close()
        return await visit.report(), numbers


async def test_the_oldest_are_dropped(server: Server) -> None:
    seen, numbers = await read_on(server, "drop_oldest")
    assert seen[0] == [CHUNKS - 1, None]
    assert numbers == sorted(numbers)
    assert len(numbers) < CHUNKS
    assert numbers[0] == 0
    assert numbers[-1] == CHUNKS - 1


async def test_the_newest_are_dropped(server: Server) -> None:
    seen, numbers = await read_on(server, "drop_newest")
    assert seen[0] == [CHUNKS - 1, None]
    assert numbers == sorted(numbers)
    assert numbers[:50] == list(range(50))
    assert numbers[-1] < CHUNKS - 1


async def test_the_latest_of_each_key_is_kept(server: Server) -> None:
    seen, numbers = await read_on(server, "latest")
    assert seen[0] == [CHUNKS - 1, None]
    assert set(range(CHUNKS - 100, CHUNKS)) <= set(numbers)
    assert len(numbers) < CHUNKS


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest"])
async def test_what_is_too_old_is_dropped(server: Server, policy: str) -> None:
    visit = TimedVisit(server, f"/queue/old/{policy}")
    async with asyncio.timeout(30), visit.connect() as client:
        client.transport.pause_reading()
        await visit.all_sent()
        client.transport.resume_reading()
        numbers = []
        while (text := await client.recv()) != "end":
            numbers.append(int(str(text)[:6]))
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < 400


async def test_500_members_of_a_room_are_sent_everything_in_order(server: Server) -> None:
    async with asyncio.timeout(60), AsyncExitStack() as stack:

        async def enter() -> ClientConnection:
            visit = TimedVisit(server, "/queue/room")
            client = await stack.enter_async_context(visit.connect(open_timeout=30))
            await client.ping()
            return client

        clients: list[ClientConnection] = []
        for _ in range(10):
            clients += await asyncio.gather(*(enter() for _ in range(50)))
        for number in range(10):
            await clients[0].send(str(number))

        async def read(client: ClientConnection) -> list[str]:
            return [str(await client.recv()) for _ in range(10)]

        received = await asyncio.gather(*map(read, clients))
        assert received == [[str(number) for number in range(10)]] * 500
        clients[0].transport.abort()
        assert (await closed(clients[0]))[1] == []
