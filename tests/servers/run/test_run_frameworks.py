"""`wspipe run` puts a pipeline around applications of frameworks that know nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio

DENIALS = {"starlette": 401, "fastapi": 403, "litestar": 403, "quart": 401, "channels": 403}
"""By which status an application of each framework refuses."""


@pytest.mark.parametrize("framework", DENIALS)
async def test_an_application_is_served_behind_a_pipeline(
    framework: str, run: Callable[..., Running]
) -> None:
    server = run(f"on_{framework}:app")
    page = await server.get("/page")
    assert (page.status_code, page.text) == (200, "started")
    async with server.connect("/echo", subprotocols=["chat", "chat.v2"]) as client:
        assert client.subprotocol == "chat.v2"
        for text in ("one", "two", "three"):
            await client.send(text)
            assert await client.recv() == text
    with pytest.raises(InvalidStatus) as refused:
        await server.connect("/deny")
    assert refused.value.response.status_code == DENIALS[framework]

    [opened] = await server.logged("websocket.open")
    closed, denied = await server.logged("websocket.close", 2)
    assert (opened["path"], opened["subprotocol"]) == ("/echo", "chat.v2")
    assert closed["connection_id"] == opened["connection_id"]
    assert (closed["messages_received"], closed["bytes_received"]) == (3, len("onetwothree"))
    assert (closed["messages_sent"], closed["bytes_sent"]) == (3, len("onetwothree"))
    assert (closed["code"], closed["closed_by"]) == (1000, "client")
    assert (denied["path"], denied["status"]) == ("/deny", DENIALS[framework])

    assert not (server.folder / "stopped").exists()
    assert await server.stop() == 0
    assert (server.folder / "stopped").exists() == (framework != "channels")
    assert server.lines("run.stop")
    assert server.errors == ""
