"""A real server drains: whatever the application received, the client has an answer to."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.servers.conftest import COMMANDS, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

pytestmark = pytest.mark.asyncio

CONNECTIONS = 50
AHEAD = 3  # messages that a client sends before it has the answer to the first
# Granian ends the TCP connection with the close frame, Hypercorn when the application returns; they
# do not wait for the client's close. Where messages lie unread there or still come, the kernel
# resets it (RFC 1122 section 4.2.2.13), and what the client has not read is gone: the close frame,
# and answers too, unless it waits for each.
RESETS = {"granian", "hypercorn", "hypercorn-trio"}


@pytest.fixture(params=COMMANDS)
def draining_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Give a server that drains once."""
    server = Server.start(request.param, tmp_path, "served.draining:app")
    yield server
    server.stop()


async def talk(client: ClientConnection, ahead: int, answered: asyncio.Semaphore) -> list[str]:
    """Send without end until closed, and give the answers."""
    answers: list[str] = []
    for number in range(ahead):
        await client.send(str(number))
    with suppress(ConnectionClosed):
        while True:
            answers.append(str(await client.recv()))
            answered.release()
            with suppress(ConnectionClosed):  # what has come before the close is still to be read
                await client.send(str(len(answers) + ahead - 1))
    return answers


async def drain(server: Server) -> dict[str, Any]:
    async with server.connect("/control") as client:
        report: dict[str, Any] = json.loads(await client.recv())
        return report


@pytest.mark.parametrize("style", ["handlers", "plain"])
async def test_what_the_application_received_is_answered(
    draining_server: Server, style: str
) -> None:
    names = [str(number) for number in range(CONNECTIONS)]
    resets = draining_server.name in RESETS
    ahead = 1 if resets else AHEAD
    answered = asyncio.Semaphore(0)
    async with asyncio.timeout(40), AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                draining_server.connect(f"/{style}?name={name}", open_timeout=20)
            )
            for name in names
        ]
        async with asyncio.TaskGroup() as tasks:
            talks = [tasks.create_task(talk(client, ahead, answered)) for client in clients]
            for _ in range(3 * CONNECTIONS):
                await answered.acquire()
            report = await drain(draining_server)
        answers = {name: each.result() for name, each in zip(names, talks, strict=True)}
        assert answers == report["received"]
        drained = report["drained"]
        assert (drained["closed"], drained["interrupted"], drained["ended"]) == (CONNECTIONS, 0, 0)
        # Daphne takes 1000 and 3000 to 4999 only, and sends no reason.
        told = (1000, "") if draining_server.name == "daphne" else (1012, "service restart")
        ends = {(client.close_code, client.close_reason) for client in clients}
        assert ends - {(1006, "") if resets else told} <= {told}
        # Each at its own moment; who handled a message then may have met another.
        assert len(set(report["turns"])) > CONNECTIONS / 2
        # And nobody comes in any more.
        with pytest.raises(InvalidStatus) as refused:
            await draining_server.connect(f"/{style}?name=late")
        status = 403 if draining_server.name == "daphne" else 503
        assert refused.value.response.status_code == status


async def test_500_connections_are_drained_in_time(tmp_path: Path) -> None:
    server = Server.start("uvicorn-websockets-sansio", tmp_path, "served.draining:app")
    try:
        async with asyncio.timeout(60), AsyncExitStack() as stack:

            async def enter(number: int) -> ClientConnection:
                path = f"/handlers?name={number}"
                client = await stack.enter_async_context(server.connect(path, open_timeout=20))
                await client.send("hello")
                assert await client.recv() == "hello"
                return client

            clients: list[ClientConnection] = []
            for first in range(0, 500, 50):
                clients += await asyncio.gather(*(enter(first + number) for number in range(50)))
            report = await drain(server)
            assert report["drained"]["closed"] == 500
            assert report["drained"]["seconds"] < 10
            await asyncio.gather(*(client.wait_closed() for client in clients))
            assert {client.close_code for client in clients} == {1012}
    finally:
        server.stop()
