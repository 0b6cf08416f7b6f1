"""`wspipe run` gives each path and host its pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio

ROUTES = """
default = "main"

[pipelines.main]
middlewares = [{ use = "marks:Mark", mark = "main" }]

[pipelines.limited]
middlewares = [
    { use = "marks:Mark", mark = "limited" },
    { use = "RateLimit", rate = "2/hour", on_limit = "close" },
]

[pipelines.tenant]
middlewares = [{ use = "marks:Mark", mark = "tenant" }]

[[routes]]
path = "/rooms/{room}"
pipeline = "limited"

[[routes]]
path = "/*"
host = "*.tenants.example"
pipeline = "tenant"
"""


async def answer(server: Running, path: str, name: str = "") -> str:
    """Give the answer to one message."""
    async with server.connect(path, name=name) as client:
        await client.send("text")
        return str(await client.recv())


async def test_each_path_and_host_gets_its_pipeline(run: Callable[..., Running]) -> None:
    server = run("plain:app", config=ROUTES)
    assert await answer(server, "/lobby") == "main text"
    assert await answer(server, "/rooms") == "main text"
    assert await answer(server, "/rooms/1/members") == "main text"
    assert await answer(server, "/lobby", "a.tenants.example") == "tenant text"
    assert await answer(server, "/lobby", "tenants.example") == "main text"
    # The first route that matches has it.
    assert await answer(server, "/rooms/1", "a.tenants.example") == "limited text"


async def test_a_limit_is_on_its_routes_only(run: Callable[..., Running]) -> None:
    server = run("plain:app", config=ROUTES)
    async with server.connect("/rooms/1") as limited, server.connect("/lobby") as free:
        for number in range(3):
            await limited.send(str(number))
            await free.send(str(number))
            assert await free.recv() == f"main {number}"
        assert [await limited.recv(), await limited.recv()] == ["limited 0", "limited 1"]
        with pytest.raises(ConnectionClosed):
            await limited.recv()
        assert limited.close_code == 1008
        await free.send("3")
        assert await free.recv() == "main 3"


async def test_where_no_route_matches_there_is_no_pipeline(run: Callable[..., Running]) -> None:
    [_, without_default] = ROUTES.split("\n\n", 1)
    server = run("plain:app", config=without_default)
    assert await answer(server, "/lobby") == "text"
    assert await answer(server, "/rooms/1") == "limited text"
