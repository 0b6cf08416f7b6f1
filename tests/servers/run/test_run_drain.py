"""`wspipe run` drains on a signal: nothing that the application received goes without an answer."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack, suppress
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.client import ClientConnection

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio

CONNECTIONS = 100
# On the slowest machine too, nothing is still handled at the deadline.
DRAINED = """
[pipelines.main]
middlewares = ["Logging", { use = "Drain", deadline = 60, spacing = 0.02 }]
"""
AHEAD = 3  # messages that a client sends before it has the answer to the first


class Crowd:
    """Clients that talk until they are closed."""

    def __init__(self) -> None:
        self.answers: list[list[str]] = []
        self.rounds = 0
        self.moments: list[int] = []
        """How many answers there were in all, at the end of each connection."""
        self.one_is_closed = asyncio.Event()

    async def talk(self, client: ClientConnection) -> None:
        """Send without end, and keep the answers."""
        answers: list[str] = []
        self.answers.append(answers)
        for number in range(AHEAD):
            await client.send(str(number))
        with suppress(ConnectionClosed):
            while True:
                answers.append(str(await client.recv()))
                self.rounds += 1
                with suppress(ConnectionClosed):  # what came before the close is still to be read
                    await client.send(str(len(answers) + AHEAD - 1))
        self.moments.append(self.rounds)
        self.one_is_closed.set()

    async def goes_on(self) -> None:
        """Wait until there are as many answers as clients, several times over."""
        seen = self.rounds
        while self.rounds < seen + 3 * CONNECTIONS:  # noqa: ASYNC110 - each answer is an event
            await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_what_the_application_received_is_answered(
    number: int, run: Callable[..., Running], record_property: Callable[[str, object], None]
) -> None:
    server = run("plain:app", config=DRAINED)
    crowd = Crowd()
    async with asyncio.timeout(60), AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        clients = [
            await stack.enter_async_context(server.connect(f"/{index}"))
            for index in range(CONNECTIONS)
        ]
        for client in clients:
            tasks.create_task(crowd.talk(client))
        await crowd.goes_on()
        server.process.send_signal(number)
        await crowd.one_is_closed.wait()
        server.process.send_signal(signal.SIGHUP)  # which is of no account any more
        with pytest.raises(ConnectionRefusedError):
            await server.connect("/late")
    assert await server.ended() == 0

    ends = {(client.close_code, client.close_reason) for client in clients}
    assert ends == {(1012, "service restart")}
    [done] = server.lines("drain.done")
    assert (done["closed"], done["interrupted"], done["ended"]) == (CONNECTIONS, 0, 0)
    received = json.loads((server.folder / "received.json").read_text())
    assert crowd.answers == [received[f"/{index}"] for index in range(CONNECTIONS)]
    # Each at a moment of its own: the others go on talking between two closes.
    moments = crowd.moments
    assert len(set(moments)) > CONNECTIONS / 2
    shares = [(each - moments[0]) / (moments[-1] - moments[0]) for each in moments]
    record_property("shares of the answers at each tenth close", shares[::10])
    # Were all closed at once, or all but a few, the shares in the middle would be 0 or 1.
    assert 0.1 < shares[CONNECTIONS // 2] < 0.9
    closes = server.lines("websocket.close")
    assert len(closes) == CONNECTIONS
    assert server.lines("run.stop")
    assert server.errors == ""


async def test_with_no_connection_it_exits_at_once(run: Callable[..., Running]) -> None:
    server = run("plain:app", "--drain", 3600)
    assert await server.stop() == 0
    [done] = server.lines("drain.done")
    assert (done["closed"], done["interrupted"], done["ended"]) == (0, 0, 0)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_at_once(second: int, run: Callable[..., Running]) -> None:
    # The drain is far too slow to end while the test waits.
    config = (
        '[pipelines.main]\nmiddlewares = [{ use = "Drain", deadline = 3600, spacing = 3600 }]\n'
    )
    server = run("plain:app", config=config)
    async with asyncio.timeout(60), server.connect("/1") as first, server.connect("/2") as other:
        server.process.send_signal(signal.SIGTERM)
        await first.wait_closed()
        server.process.send_signal(second)
        await other.wait_closed()
        assert (first.close_code, other.close_code) == (1012, 1012)
        assert other.close_reason != first.close_reason
    assert await server.ended() == 0
    assert server.lines("drain.done") == []
    assert server.lines("run.stop")


async def test_an_application_that_hears_nothing_is_cancelled(run: Callable[..., Running]) -> None:
    server = run("plain:deaf", "--drain", 1, "--timeout-graceful-shutdown", 1)
    async with asyncio.timeout(60), server.connect("/") as client:
        server.process.send_signal(signal.SIGTERM)
        await client.wait_closed()
        assert client.close_code == 1012
        assert await server.ended() == 0
    assert (server.folder / "cancelled").exists()
    assert server.lines("run.stop")
    assert server.errors == ""


async def test_a_pipeline_drains_by_its_own_drain(run: Callable[..., Running]) -> None:
    stage = '{ use = "Drain", spacing = 0.5, code = 4000, reason = "moved" }'
    own = f"[pipelines.main]\nmiddlewares = [{stage}]\n"
    server = run("plain:app", "--drain", 0, config=own)  # by which all would be closed at once
    async with asyncio.timeout(60), server.connect("/1") as first, server.connect("/2") as other:
        server.process.send_signal(signal.SIGTERM)
        for client in (first, other):
            await client.wait_closed()
            assert (client.close_code, client.close_reason) == (4000, "moved")
    assert await server.ended() == 0
