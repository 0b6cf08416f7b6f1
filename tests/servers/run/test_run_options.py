"""`wspipe run` passes uvicorn's options on."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.asyncio.client import unix_connect
from websockets.exceptions import ConnectionClosed

from tests.servers.run.conftest import SERVED
from wspipe.cli.uvicorn_options import Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from websockets.asyncio.client import ClientConnection

    from tests.servers.run.conftest import Running

pytestmark = pytest.mark.asyncio


async def check_echo(client: ClientConnection, text: str = "text") -> None:
    await client.send(text)
    assert await client.recv() == text


@pytest.mark.parametrize("implementation", Protocol)
async def test_ws_and_ws_max_size(implementation: str, run: Callable[..., Running]) -> None:
    server = run("plain:app", "--ws", implementation, "--ws-max-size", 1000)
    async with asyncio.timeout(30), server.connect("/") as client:
        await check_echo(client, "x" * 1000)
        await client.send("x" * 1001)
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert client.close_code == 1009
    [closed] = await server.logged("websocket.close")
    assert closed["messages_received"] == 1
    loaded = (await server.get("/page")).json()["ws"]
    assert loaded == [implementation.replace("-", "_")] or implementation == "auto"


async def test_uds(run: Callable[..., Running]) -> None:
    server = run("plain:app", "--uds", "socket")
    assert server.address == "unix:socket"
    async with unix_connect(str(server.folder / "socket"), "ws://server/") as client:
        await check_echo(client)


async def test_fd(run: Callable[..., Running]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        number = listener.fileno()
        server = run("plain:app", "--fd", number, pass_fds=[number])
    assert server.address == f"file descriptor {number}"
    async with httpx.AsyncClient(trust_env=False) as client:
        page = await client.get(f"http://127.0.0.1:{port}/page")
    assert page.status_code == 200


async def test_tls(run: Callable[..., Running], tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    make = [*command.split(), *names, *files]
    await asyncio.to_thread(subprocess.run, make, check=True, capture_output=True)
    server = run("plain:app", "--ssl-keyfile", key, "--ssl-certfile", certificate)
    trust = ssl.create_default_context(cafile=certificate)
    async with server.connect("/", scheme="wss", ssl=trust) as client:
        await check_echo(client)
    with pytest.raises(ssl.SSLCertVerificationError):
        await server.connect("/", scheme="wss")


async def test_root_path(run: Callable[..., Running]) -> None:
    server = run("plain:app", "--root-path", "/behind")
    page = (await server.get("/page")).json()
    assert (page["root_path"], page["path"]) == ("/behind", "/behind/page")


async def test_lifespan_off(run: Callable[..., Running]) -> None:
    server = run("plain:failing", "--lifespan", "off")
    assert await server.stop() == 0


async def test_lifespan_on(launch: Callable[..., Running]) -> None:
    server = launch("on_channels:app", "--lifespan", "on")
    assert await server.ended() == 1
    assert server.lines("Application startup failed. Exiting.")


async def test_limit_concurrency(run: Callable[..., Running]) -> None:
    server = run("plain:app", "--limit-concurrency", 2)
    async with server.connect("/") as client:
        await check_echo(client)
        assert (await server.get("/page")).status_code == 503
        await check_echo(client)
    await server.logged("websocket.close")
    assert (await server.get("/page")).status_code == 200


async def test_factory_and_app_dir(run: Callable[..., Running], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(SERVED / "plain.py", elsewhere / "own_name.py")
    server = run("own_name:make", "--factory", "--app-dir", elsewhere)
    async with server.connect("/") as client:
        await check_echo(client)


async def test_proxy_headers(run: Callable[..., Running]) -> None:
    server = run("plain:app")
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}
    async with server.connect("/", additional_headers=headers) as client:
        await check_echo(client)
    [opened] = await server.logged("websocket.open")
    assert opened["client"] == "192.0.2.7:0"


async def test_log_level_and_access_log(run: Callable[..., Running]) -> None:
    server = run("plain:app", "--log-level", "info", "--access-log")
    await server.get("/page?token=secret")
    assert await server.stop() == 0
    [line] = [each for each in server.output.splitlines() if "uvicorn.access" in each]
    assert "GET /page?token=" in json.loads(line)["event"]
    assert "secret" not in server.output
