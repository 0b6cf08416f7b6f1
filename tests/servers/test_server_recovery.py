"""On real servers an application that fails ends alike, by each policy of `Recovery`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

from tests.servers.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.asyncio

SERVERS = ["uvicorn-websockets", "hypercorn", "granian", "daphne"]
CONNECTIONS = 500


@pytest.fixture(scope="module", params=SERVERS)
def recovering_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server of applications that fail."""
    folder = tmp_path_factory.mktemp("recovering")
    server = Server.start(request.param, folder, "served.recovering:app")
    yield server
    server.stop()


async def end_of(server: Server, path: str) -> tuple[int | None, str | None]:
    """Give close code and reason of a connection that was accepted."""
    async with asyncio.timeout(10), server.connect(path) as client:
        await client.send("go")
        await client.wait_closed()
    return client.close_code, client.close_reason


async def status_of(server: Server, path: str) -> int:
    """Give the status that refuses a connection."""
    async with asyncio.timeout(10):
        with pytest.raises(InvalidStatus) as refused:
            await server.connect(f"{path}?early")
    assert not refused.value.response.body
    return refused.value.response.status_code


@pytest.mark.parametrize(
    ("path", "code", "reason"),
    [
        ("/default/unknown", 1011, ""),
        ("/default/unknown_group", 1011, ""),
        ("/default/own_exception", 4003, ""),
        ("/default/returns", 1000, ""),
        ("/default/closes_as_a_framework", 4500, "internal detail"),
        ("/default/closes_kept", 4404, "é" * 61),
        ("/table/known", 4001, "the room is full"),
        ("/table/known_group", 4001, "the room is full"),
        ("/table/unknown_group", 1011, ""),
        ("/own/unknown", 4510, "désolé"),
        ("/own/returns", 4100, ""),
        ("/closes/closes_as_a_framework", 4011, ""),
        ("/closes/closes_kept", 4004, "no such room"),
        ("/closes-1011/closes_as_a_framework", 1011, ""),
    ],
)
async def test_after_the_accept_the_client_is_told_the_same_by_every_server(
    recovering_server: Server, path: str, code: int, reason: str
) -> None:
    # Daphne sends no reason.
    told = "" if recovering_server.name == "daphne" else reason
    assert await end_of(recovering_server, path) == (code, told)


async def test_a_code_that_daphne_refuses_becomes_1011_there(recovering_server: Server) -> None:
    code = 1011 if recovering_server.name == "daphne" else 1008
    assert await end_of(recovering_server, "/table/protocol_code") == (code, "")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/default/unknown", 500), ("/default/returns", 500), ("/table/unknown_group", 500)],
)
async def test_before_the_accept_a_failure_is_500_on_every_server(
    recovering_server: Server, path: str, status: int
) -> None:
    assert await status_of(recovering_server, path) == status


@pytest.mark.parametrize(
    ("path", "status", "on_daphne"),
    [("/table/known", 429, 403), ("/own/unknown", 503, 500), ("/own/returns", 503, 500)],
)
async def test_a_status_of_ones_own_needs_the_denial_response(
    recovering_server: Server, path: str, status: int, on_daphne: int
) -> None:
    daphne = recovering_server.name == "daphne"
    assert await status_of(recovering_server, path) == (on_daphne if daphne else status)


async def test_the_servers_log_has_what_is_not_in_the_table_and_nothing_of_what_is(
    recovering_server: Server,
) -> None:
    await end_of(recovering_server, "/table/known")
    await end_of(recovering_server, "/default/unknown")
    await recovering_server.logged("KeyError: 'internal detail'")
    assert "raise RoomFull" not in recovering_server.log.read_text()


async def test_five_hundred_connections_that_fail_at_once_are_all_told(
    recovering_server: Server,
) -> None:
    all_open = asyncio.Barrier(CONNECTIONS)

    async def fail() -> tuple[int | None, str | None]:
        connecting = recovering_server.connect("/default/unknown", open_timeout=30)
        async with connecting as client:
            await all_open.wait()
            await client.send("go")
            await client.wait_closed()
        return client.close_code, client.close_reason

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        visits = [tasks.create_task(fail()) for _ in range(CONNECTIONS)]
    assert {visit.result() for visit in visits} == {(1011, "")}
    assert await end_of(recovering_server, "/default/returns") == (1000, "")
