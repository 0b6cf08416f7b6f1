"""Real servers as subprocesses, and visits to them by a real client."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from uvicorn.config import WS_PROTOCOLS
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from websockets.http11 import Response

_UVICORN = "uvicorn {app} --port {port} --ws"
COMMANDS = {
    **{
        f"uvicorn-{name}": f"{_UVICORN} {name}"
        for name in WS_PROTOCOLS
        if name not in {"auto", "none"}
    },
    "hypercorn": "hypercorn {app} --bind 127.0.0.1:{port}",
    "hypercorn-trio": "hypercorn {app} --bind 127.0.0.1:{port} --worker-class trio",
    "granian": "granian {app} --interface asgi --port {port}",
    "daphne": "daphne {app} --bind 127.0.0.1 --port {port}",
}
_IMPORTS = (Path(__file__).parent, Path(__file__).parents[2])  # for `served` and `tests`


def that_stops(servers: Iterable[str]) -> list[Any]:
    """Expect of Hypercorn that it waits for ever: from Python 3.12 on `Server.wait_closed` does."""
    waits = pytest.mark.xfail(
        sys.version_info >= (3, 12),
        reason="Hypercorn awaits Server.wait_closed with connections open",
        strict=True,
    )
    return [pytest.param(name, marks=waits) if name == "hypercorn" else name for name in servers]


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, name: str, folder: Path, app: str = "served.app:app") -> Server:
        """Start a server and wait until it listens."""
        log, port = folder / f"{name}.log", _free_port()
        command = [sys.executable, "-m", *COMMANDS[name].format(app=app, port=port).split()]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, _IMPORTS))}
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        server = cls(name, port, process, log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return server
            time.sleep(0.05)
        server.stop()
        pytest.fail(f"{name} did not start:\n{log.read_text()}")

    def stop(self) -> None:
        """Ask the server to end, and make it if it does not."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            # The session is the server's own, so these are the server and its workers.
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def connect(self, path: str, **options: Any) -> connect:
        """Make a connection, to be awaited or entered."""
        return connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, max_size=2**22, **options)

    def visit(self, style: str) -> Visit:
        """Prepare a visit to the conversations in one style: handlers or plain."""
        return Visit(self, style)

    async def control(self, command: str, *names: str) -> list[Any]:
        """Have the application report on connections, evict them or let them go on."""
        async with asyncio.timeout(10), self.connect("/control") as client:
            await client.send(json.dumps([command, *names]))
            answer: list[Any] = json.loads(await client.recv())
            return answer

    async def logged(self, text: str) -> None:
        """Wait until the server has logged something."""
        async with asyncio.timeout(10):
            while text not in self.log.read_text():  # noqa: ASYNC110 - a file has no event
                await asyncio.sleep(0.02)


@dataclass(frozen=True)
class Visit:
    """One connection, with a name by which the application knows it."""

    server: Server
    style: str
    name: str = field(default_factory=lambda: uuid4().hex)

    def connect(self, conversation: str, **options: Any) -> connect:
        """Connect to a conversation."""
        return self.server.connect(f"/{self.style}/{conversation}?name={self.name}", **options)

    async def refusal(self, conversation: str) -> Response:
        """Try to connect, and give the response that refuses it."""
        with pytest.raises(InvalidStatus) as refused:
            await self.connect(conversation)
        return refused.value.response

    async def report(self) -> dict[str, Any]:
        """Give what the pipeline saw, once the connection has ended."""
        [report] = await self.server.control("report", self.name)
        return report


@pytest.fixture(scope="session", params=COMMANDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server that all tests share."""
    server = Server.start(request.param, tmp_path_factory.mktemp("server"))
    yield server
    server.stop()
    # That a conversation is over is no news for a server.
    log = server.log.read_text()
    assert "wspipe.exceptions.WebSocketDisconnect" not in log, log
    assert "wspipe.exceptions.ClientDisconnected" not in log, log


@pytest.fixture(scope="session", params=COMMANDS)
def observed_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Give a server of conversations under observation."""
    folder = tmp_path_factory.mktemp("observed")
    server = Server.start(request.param, folder, "served.observed:app")
    yield server
    server.stop()


@pytest.fixture(params=that_stops(COMMANDS))
def own_observed_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Give such a server that the test may stop."""
    server = Server.start(request.param, tmp_path, "served.observed:app")
    yield server
    server.stop()


@pytest.fixture(params=that_stops(COMMANDS))
def own_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Give a server that the test may stop."""
    server = Server.start(request.param, tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=["handlers", "plain"])
def visit(server: Server, request: pytest.FixtureRequest) -> Visit:
    """Give a visit in each style."""
    return server.visit(request.param)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the server's output where a test fails."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    server = next((each for each in arguments.values() if isinstance(each, Server)), None)
    if report.failed and server is not None:
        lines = server.log.read_text().splitlines()
        report.sections.append((f"last lines of {server.name}", "\n".join(lines[-40:])))
    return report


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
