"""Test a middleware without a server, by the client in memory.

Run it from this folder:

    python -m pytest -q test_own_middleware.py
"""

from __future__ import annotations

import pytest
from own_middleware import Quota

from wspipe import WebSocket, WebSocketDisconnect, websocket_app
from wspipe.testing import ConnectionDenied, connect

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@websocket_app(pipeline=Quota(2))
async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def test_messages_within_the_quota_pass() -> None:
    async with connect(echo, "/?user=ann") as client:
        for message in ("one", "two"):
            await client.send_text(message)
            assert await client.receive() == message


async def test_a_message_too_many_closes_with_1008() -> None:
    async with connect(echo, "/?user=ann") as client:
        for message in ("one", "two", "three"):
            await client.send_text(message)
        assert [await client.receive() for _ in range(2)] == ["one", "two"]
        with pytest.raises(WebSocketDisconnect, match="used up") as closed:
            await client.receive()
    assert closed.value.code == 1008


async def test_each_connection_has_a_quota_of_its_own() -> None:
    async with connect(echo, "/?user=ann") as ann, connect(echo, "/?user=bob") as bob:
        for client in (ann, ann, bob, bob):
            await client.send_text("hello")
            assert await client.receive() == "hello"


async def test_a_client_without_a_name_is_denied() -> None:
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(echo):
            pass
    assert (denied.value.status, denied.value.body) == (401, b"say who you are: ?user=...")
