"""Starting servers, each in a process of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = "benchmarks.end_to_end.apps:app"
COMMANDS = {
    "uvicorn": ("uvicorn", TARGET, "--port", "{port}", "--log-level", "error"),
    "granian": (
        *("granian", TARGET, "--interface", "asgi", "--port", "{port}"),
        *("--log-level", "error", "--workers", "1"),
    ),
    "hypercorn": ("hypercorn", TARGET, "--bind", "127.0.0.1:{port}", "--log-level", "error"),
}
"""How each server is started, with its own defaults, one worker."""

PATIENCE = 30.0
"""Seconds that a server has to listen."""

ROOT = Path(__file__).parents[2]


@contextmanager
def serving(server: str, app: str) -> Iterator[str]:
    """Serve an application while the block lasts, and give its URL.

    Args:
        server: A name of `COMMANDS`.
        app: A name of `apps.APPS`.

    Raises:
        TimeoutError: It does not listen.
    """
    port = _free_port()
    command = [part.format(port=port) for part in COMMANDS[server]]
    environment = {**os.environ, "BENCHMARK_APP": app, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(  # noqa: S603 - a command of ours
        [sys.executable, "-m", *command], cwd=ROOT, env=environment
    )
    try:
        _wait_for(port, process)
        yield f"ws://127.0.0.1:{port}/?room=7"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"{process.args} does not listen")
