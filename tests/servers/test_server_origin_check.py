"""`OriginCheck` on real servers."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.servers.conftest import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.asyncio

SERVERS = ["uvicorn-websockets", "hypercorn-trio", "granian", "daphne"]
STYLES = ["handler", "plain"]


@pytest.fixture(scope="session", params=SERVERS)
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server with guards."""
    folder = tmp_path_factory.mktemp("origins")
    server = Server.start(request.param, folder, "served.guards:app")
    yield server
    server.stop()


async def echoed(server: Server, path: str, **options: Any) -> bool:
    """Tell whether a client is let in; if not, see that it is told so as it should be."""
    try:
        async with server.connect(path, open_timeout=30, **options) as client:
            await client.send("hello")
            return bool(await client.recv() == "hello")
    except InvalidStatus as refused:
        response = refused.response
        assert response.status_code == 403
        # Daphne has no denial responses.
        assert response.body == (b"" if server.name == "daphne" else b"origin not allowed\n")
        return False


async def status(server: Server, path: str, *headers: bytes) -> int:
    """Shake hands with any headers, and give the status."""
    lines = [
        f"GET {path} HTTP/1.1".encode(),
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        *headers,
    ]
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"\r\n".join(lines) + b"\r\n\r\n")
        line = await reader.readline()
        writer.close()
        return int(line.split()[1])


@pytest.mark.parametrize("style", STYLES)
async def test_the_servers_own_pages_are_let_in_by_default(guarded: Server, style: str) -> None:
    path, port = f"/origin/own/{style}", guarded.port
    async with asyncio.timeout(30):
        assert await echoed(guarded, path, origin=f"http://127.0.0.1:{port}")
        for origin in (
            f"https://127.0.0.1:{port}",
            f"http://127.0.0.1:{port + 1}",
            "http://127.0.0.1",
            f"http://localhost:{port}",
            "https://evil.org",
            None,
        ):
            assert not await echoed(guarded, path, origin=origin), origin


@pytest.mark.parametrize("style", STYLES)
async def test_listed_pages_are_let_in(guarded: Server, style: str) -> None:
    path = f"/origin/listed/{style}"
    async with asyncio.timeout(30):
        for origin in ("https://app.example", "https://APP.example:443"):
            assert await echoed(guarded, path, origin=origin), origin
        for other in (
            f"http://127.0.0.1:{guarded.port}",
            "https://app.example.evil.org",
            "https://evil-app.example",
            "http://app.example",
            None,
        ):
            assert not await echoed(guarded, path, origin=other), other


async def test_a_page_without_an_origin_is_let_in_where_null_is_listed(guarded: Server) -> None:
    async with asyncio.timeout(30):
        for path in ("/origin/own/handler", "/origin/missing/handler"):
            assert not await echoed(guarded, path, origin="null")
        assert await echoed(guarded, "/origin/listed/handler", origin="null")


@pytest.mark.parametrize("style", STYLES)
async def test_who_is_no_browser_is_let_in_where_that_is_allowed(
    guarded: Server, style: str
) -> None:
    path = f"/origin/missing/{style}"
    async with asyncio.timeout(30):
        assert await echoed(guarded, path, origin=None)
        assert await echoed(guarded, path, origin=f"http://127.0.0.1:{guarded.port}")
        assert not await echoed(guarded, path, origin="https://evil.org")


@pytest.mark.parametrize(
    "headers",
    [
        [b"Host: h", b"Origin: https://app.example", b"Origin: https://app.example"],
        [b"Host: h", b"Origin: https://app.example", b"Origin: https://evil.org"],
        [b"Host: h", b"Origin: https://evil.org", b"Origin: https://app.example"],
        [b"Host: h", b"Origin: https://evil.org https://app.example"],
        [b"Host: h", b"Origin: https://app\t.example"],
        [b"Host: h", b"Origin: https://app.example\xe3\x80\x82"],
        [b"Host: h", b"Origin: https://app%2eexample"],
        [b"Host: h", b"Origin: https://app.example@evil.org"],
        [b"Host: h", b"Origin: https://" + b"app.example." * 500],
        [b"Host: h", b"Origin: https://app.example:443.evil.org"],
        [b"Host: h", b"Origin:"],
        [b"Host: h"],
        [b"Origin: https://evil.org"],
    ],
)
async def test_odd_headers_let_nobody_in(guarded: Server, headers: list[bytes]) -> None:
    # Some servers refuse a few of them by themselves, with a status of their own.
    assert await status(guarded, "/origin/listed/plain", *headers) >= 400


async def test_two_hosts_make_no_page_the_servers_own(guarded: Server) -> None:
    headers = [b"Host: a.example", b"Host: b.example"]
    for origin in (b"a.example", b"b.example"):
        denied = await status(guarded, "/origin/own/plain", *headers, b"Origin: http://" + origin)
        assert denied >= 400


async def test_a_page_that_follows_the_host_it_claims_is_the_servers_own(guarded: Server) -> None:
    # Why a proxy, or the application, has to know its names: see the reference.
    headers = [b"Host: rebound.example", b"Origin: http://rebound.example"]
    assert await status(guarded, "/origin/own/plain", *headers) == 101


@pytest.mark.parametrize("guarded", ["uvicorn-websockets"], indirect=True)
@pytest.mark.parametrize("style", STYLES)
async def test_five_hundred_at_once_are_told_apart(guarded: Server, style: str) -> None:
    path = f"/origin/own/{style}"
    origins = [
        f"http://127.0.0.1:{guarded.port}" if number % 2 else f"https://evil-{number}.org"
        for number in range(500)
    ]
    async with guarded.connect("/control") as control:
        await control.send(path)
        before = json.loads(await control.recv())["ran"]
    async with asyncio.timeout(60):
        let_in = await asyncio.gather(*(echoed(guarded, path, origin=each) for each in origins))
    assert let_in == [number % 2 == 1 for number in range(500)]
    async with guarded.connect("/control") as control:
        await control.send(path)
        assert json.loads(await control.recv())["ran"] - before == 250
