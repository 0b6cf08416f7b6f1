"""`ConnectionLimit` on real servers."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.servers.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from websockets.asyncio.client import ClientConnection
    from websockets.http11 import Response

pytestmark = pytest.mark.asyncio

SERVERS = ["uvicorn-websockets", "hypercorn-trio", "granian", "daphne"]
STYLES = ["handler", "plain"]


@pytest.fixture(scope="session", params=SERVERS)
def limited(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server with guards."""
    folder = tmp_path_factory.mktemp("connections")
    server = Server.start(request.param, folder, "served.guards:app")
    yield server
    server.stop()


async def denial(server: Server, path: str, **options: Any) -> Response:
    with pytest.raises(InvalidStatus) as refused:
        await server.connect(path, **options)
    return refused.value.response


def check(server: Server, response: Response, status: int, why: str, retry_after: str) -> None:
    """See that a denial is as it should be; Daphne has no denial responses."""
    if server.name == "daphne":
        assert (response.status_code, response.body) == (403, b"")
    else:
        assert (response.status_code, response.body) == (status, f"{why}\n".encode())
        assert response.headers["retry-after"] == retry_after


async def open_at(server: Server, path: str) -> int:
    """Tell how many slots are taken, once nobody is there any more."""
    async with server.connect("/control") as control:
        await control.send(path)
        report: dict[str, Any] = json.loads(await control.recv())
        return int(report["open"])


@pytest.mark.parametrize("style", STYLES)
async def test_in_all(limited: Server, style: str) -> None:
    path = f"/connections/total/{style}"
    async with asyncio.timeout(30):
        for _ in range(2):
            async with limited.connect(path), limited.connect(path) as second:
                refused = await denial(limited, path)
                check(limited, refused, 503, "too many connections", "5")
                await second.send("still here")
                assert await second.recv() == "still here"
            assert await open_at(limited, path) == 0


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("limit", "header", "value"),
    [("client", "x-forwarded-for", "192.0.2.{}"), ("forwarded", "forwarded", "for=192.0.2.{}")],
)
async def test_per_client(limited: Server, style: str, limit: str, header: str, value: str) -> None:
    path = f"/connections/{limit}/{style}"
    one, other = ({"additional_headers": {header: value.format(n)}} for n in (1, 2))
    async with asyncio.timeout(30):
        async with limited.connect(path, **one), limited.connect(path, **one):
            refused = await denial(limited, path, **one)
            check(limited, refused, 429, "too many connections from one address", "10")
            async with limited.connect(path, **other):
                pass
        assert await open_at(limited, path) == 0


@pytest.mark.parametrize("style", STYLES)
async def test_per_user(limited: Server, style: str) -> None:
    path = f"/connections/user/{style}"
    async with asyncio.timeout(30):
        async with limited.connect(f"{path}?user=ada"), limited.connect(f"{path}?user=ada"):
            refused = await denial(limited, f"{path}?user=ada")
            check(limited, refused, 429, "too many connections of one user", "10")
            async with limited.connect(f"{path}?user=grace"):
                pass
        assert await open_at(limited, path) == 0


@pytest.mark.parametrize("style", STYLES)
async def test_a_client_that_vanishes_leaves_no_slot_taken(limited: Server, style: str) -> None:
    path = f"/connections/total/{style}"
    async with asyncio.timeout(30):
        for _ in range(3):
            client = await limited.connect(path)
            client.transport.abort()
            assert await open_at(limited, path) == 0


@pytest.mark.parametrize("limited", ["uvicorn-websockets"], indirect=True)
@pytest.mark.parametrize("style", STYLES)
async def test_of_five_hundred_at_once_so_many_are_let_in_as_may(
    limited: Server, style: str
) -> None:
    path = f"/connections/many/{style}"
    clients: list[ClientConnection] = []
    denied: list[int] = []

    async def come(number: int, stack: AsyncExitStack) -> None:
        address = {"x-forwarded-for": f"192.0.2.{number % 25}"}
        opening = limited.connect(path, additional_headers=address, open_timeout=30)
        try:
            clients.append(await stack.enter_async_context(opening))
        except InvalidStatus as refused:
            denied.append(refused.response.status_code)

    async with asyncio.timeout(60):
        for _ in range(2):
            async with AsyncExitStack() as stack:
                async with asyncio.TaskGroup() as tasks:
                    for number in range(500):
                        tasks.create_task(come(number, stack))
                assert (len(clients), len(denied)) == (300, 200)
                assert set(denied) <= {429, 503}
                assert 503 in denied
                await clients[0].send("still here")
                assert await clients[0].recv() == "still here"
                for client in clients[1::2]:
                    client.transport.abort()
            assert await open_at(limited, path) == 0
            clients.clear()
            denied.clear()
