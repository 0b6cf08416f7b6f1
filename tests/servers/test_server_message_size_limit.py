"""`MessageSizeLimit` on real servers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.servers.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.asyncio

SERVERS = ["uvicorn-websockets", "hypercorn-trio", "granian", "daphne"]
STYLES = ["handler", "plain"]


@pytest.fixture(scope="session", params=SERVERS)
def limited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server with guards."""
    folder = tmp_path_factory.mktemp("sizes")
    server = Server.start(request.param, folder, "served.guards:app")
    yield server
    server.stop()


async def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """Wait until a client is closed, and give what it was told."""
    with pytest.raises(ConnectionClosed):
        await client.recv()
    return client.close_code, client.close_reason


def told(server: Server, reason: str) -> tuple[int, str]:
    """Give what a server tells of a close with 1009."""
    # Daphne takes 1000 and 3000 to 4999 only, and sends no reason.
    return (1000, "") if server.name == "daphne" else (1009, reason)


async def messages_at(server: Server, path: str) -> int:
    """Count the messages that the application got, once nobody is there any more."""
    async with server.connect("/control") as control:
        await control.send(path)
        report: dict[str, Any] = json.loads(await control.recv())
        return int(report["ran"])


@pytest.mark.parametrize("style", STYLES)
async def test_what_fits_is_received(limited: Server, style: str) -> None:
    async with asyncio.timeout(30), limited.connect(f"/size/received/{style}") as client:
        for message in ("x" * 1000, "é" * 500, "🚀" * 250, b"x" * 2000):
            await client.send(message)
            assert await client.recv() == message


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("x" * 1001, "text message of more than 1000 bytes"),
        ("é" * 501, "text message of more than 1000 bytes"),
        ("🚀" * 251, "text message of more than 1000 bytes"),
        (b"x" * 2001, "binary message of more than 2000 bytes"),
    ],
    ids=["ascii", "two bytes", "four bytes", "binary"],
)
async def test_what_is_too_big_closes_and_the_application_never_gets_it(
    limited: Server, style: str, message: str | bytes, reason: str
) -> None:
    path = f"/size/received/{style}"
    async with asyncio.timeout(30):
        before = await messages_at(limited, path)
        async with limited.connect(path) as client:
            await client.send("first")
            assert await client.recv() == "first"
            await client.send(message)
            assert await end_of(client) == told(limited, reason)
        assert await messages_at(limited, path) == before + 1


async def test_what_is_too_big_to_send_raises_and_the_connection_goes_on(limited: Server) -> None:
    async with asyncio.timeout(30), limited.connect("/size/sent") as client:
        for size, answer in [
            (1000, "x" * 1000),
            (-2000, b"x" * 2000),
            (1001, '["text",1001,1000]'),
            (-2001, '["binary",2001,2000]'),
            (3, "xxx"),
        ]:
            await client.send(json.dumps(size))
            assert await client.recv() == answer


async def test_what_nobody_catches_closes(limited: Server) -> None:
    async with asyncio.timeout(30), limited.connect("/size/uncaught") as client:
        # Daphne refuses the code, and closes by itself when the exception gets there.
        code = 1011 if limited.name == "daphne" else 1009
        assert await end_of(client) == (code, "")
    await limited.logged("MessageTooBig")


@pytest.mark.parametrize("limited", ["uvicorn-websockets"], indirect=True)
@pytest.mark.parametrize("style", STYLES)
async def test_of_five_hundred_at_once_those_are_closed_that_send_too_much(
    limited: Server, style: str
) -> None:
    path = f"/size/received/{style}"
    all_open = asyncio.Barrier(500)

    async def converse(number: int) -> None:
        async with limited.connect(path, open_timeout=30) as client:
            await all_open.wait()
            for size in (1, 100, 1000):
                await client.send("x" * size)
                assert await client.recv() == "x" * size
            if number % 2:
                await client.send("x" * 1001)
                assert (await end_of(client))[0] == 1009
            else:
                await client.send(b"x" * 2000)
                assert await client.recv() == b"x" * 2000

    async with asyncio.timeout(60):
        before = await messages_at(limited, path)
        async with asyncio.TaskGroup() as tasks:
            for number in range(500):
                tasks.create_task(converse(number))
        assert await messages_at(limited, path) == before + 3 * 500 + 250
