"""`wspipe run` in processes of its own, each in a folder with a configuration."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TIMEOUT = 30.0
LOGGED = '[pipelines.main]\nmiddlewares = ["Logging"]\n'
SERVED = Path(__file__).parent / "served"
_COMMAND = (sys.executable, "-m", "wspipe", "run", "--json", "--app-dir", str(SERVED))


@dataclass
class Running:
    """A process of `wspipe run` in a folder."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def output(self) -> str:
        """What it logged."""
        return (self.folder / "output").read_text()

    @property
    def errors(self) -> str:
        """What it printed on the standard error output."""
        return (self.folder / "errors").read_text()

    @property
    def address(self) -> str:
        """Where it listens."""
        [start] = self.lines("run.start")
        return str(start["address"])

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Give what it has logged of an event."""
        complete, _, _ = self.output.rpartition("\n")
        lines = map(json.loads, complete.splitlines())
        return [line for line in lines if line["event"] == event]

    async def logged(self, event: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait until it has logged an event so many times."""
        deadline = time.monotonic() + TIMEOUT
        while len(found := self.lines(event)) < number:
            assert time.monotonic() < deadline, self.output
            await asyncio.sleep(0.02)
        return found

    def wait_for_start(self) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + TIMEOUT
        while not self.lines("run.start"):
            assert self.process.poll() is None, self.output + self.errors
            assert time.monotonic() < deadline, "it did not start"
            time.sleep(0.02)

    def connect(self, path: str, *, name: str = "", scheme: str = "ws", **options: Any) -> connect:
        """Make a connection, to be awaited or entered; `name` is the host to ask for."""
        host, _, port = self.address.rpartition(":")
        url = f"{scheme}://{name or host}:{port}{path}"
        settings = {"host": host, "port": int(port), "proxy": None, "open_timeout": TIMEOUT}
        return connect(url, **settings, **options)

    async def get(self, path: str) -> httpx.Response:
        """Ask for a page."""
        async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT) as client:
            return await client.get(f"http://{self.address}{path}")

    async def ended(self) -> int:
        """Wait for its end, and give the exit code."""
        return await asyncio.to_thread(self.process.wait, TIMEOUT)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal, and give the exit code."""
        self.process.send_signal(number)
        return await self.ended()

    async def failure(self) -> tuple[int, str]:
        """Wait for its end, and give the exit code and what it printed as errors."""
        return await self.ended(), self.errors


@contextmanager
def launched(
    folder: Path, app: str, *options: object, config: str | None = LOGGED, **more: Any
) -> Iterator[Running]:
    """Run it on a free port, until the block ends.

    Args:
        folder: Where it runs.
        app: The application.
        options: Of the command.
        config: What is in `wspipe.toml`; `None` leaves the folder as it is.
        more: For `Popen`.
    """
    if config is not None:
        (folder / "wspipe.toml").write_text(config)
    command = [*_COMMAND, app, "--port", "0", *map(str, options)]
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=errors, **more)
    try:
        yield Running(process, folder)
    finally:
        process.kill()
        process.wait(TIMEOUT)


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Give the function that starts it."""
    with ExitStack() as stack:

        def launch(*arguments: Any, **options: Any) -> Running:
            return stack.enter_context(launched(tmp_path, *arguments, **options))

        yield launch


@pytest.fixture
def run(launch: Callable[..., Running]) -> Callable[..., Running]:
    """Give the function that starts it and waits until it listens."""

    def run(*arguments: Any, **options: Any) -> Running:
        running = launch(*arguments, **options)
        running.wait_for_start()
        return running

    return run
