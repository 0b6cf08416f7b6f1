"""Tests of `Networks`, without a server: the client in memory comes from 127.0.0.1."""

from __future__ import annotations

from typing import Any

import pytest
from wspipe_networks import Networks

from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    WebSocket,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def admitted(networks: Networks, client: tuple[str, int] | None) -> bool:
    """Tell whether a client comes in."""
    try:
        await networks.admit(ASGIConnection({**websocket_scope(), "client": client}))
    except ConnectionRejected:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "comes_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("2001:db8::7", True),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
        ("11.0.0.1", False),
        ("2001:db9::7", False),
    ],
)
async def test_only_clients_of_the_networks_come_in(host: str, comes_in: bool) -> None:  # noqa: FBT001
    networks = Networks(allow=("10.0.0.0/8", "2001:db8::/32", "192.0.2.1"))
    assert await admitted(networks, (host, 50000)) is comes_in


@pytest.mark.parametrize("client", [None, ("", 0), ("/run/chat.sock", 0)])
async def test_clients_without_an_address_come_in_where_they_may(client: Any) -> None:
    assert not await admitted(Networks(allow=("0.0.0.0/0",)), client)
    assert await admitted(Networks(allow=(), deny_unknown=False), client)


async def test_a_denied_client_gets_the_status() -> None:
    @websocket_app(pipeline=Networks(allow=("10.0.0.0/8",), status=404))
    async def app(socket: WebSocket) -> None:
        await socket.send_text("welcome")

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app):
            pass
    assert denied.value.status == 404


async def test_messages_pass() -> None:
    @websocket_app(pipeline=Networks(allow=("127.0.0.0/8",)))
    async def app(socket: WebSocket) -> None:
        await socket.send_text("welcome")

    async with connect(app) as client:
        assert await client.receive() == "welcome"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"allow": ("10.0.0.0/33",)},
            "allow has no network: '10.0.0.0/33' does not appear to be an IPv4 or IPv6 network",
        ),
        (
            {"allow": ("10.0.0.1/8",)},
            "allow has no network: 10.0.0.1/8 has host bits set",
        ),
        ({"allow": (), "status": 200}, "status is 400 to 599, not 200"),
    ],
)
def test_an_option_that_makes_no_sense_is_named(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Networks(**options)
    assert str(refused.value) == message


def test_a_configuration_finds_it_by_its_name() -> None:
    stage = {"use": "Networks", "allow": ["10.0.0.0/8"], "status": 404}
    pipeline = Pipeline.from_config({"pipelines": {"main": {"middlewares": [stage]}}})
    assert pipeline == Pipeline(Networks(allow=("10.0.0.0/8",), status=404))
