"""A demo in a process of its own, for tests to talk to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TIMEOUT = 20.0


@dataclass
class Running:
    """A demo in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def chat(self) -> str:
        return f"{self.url.replace('http', 'ws')}/chat"

    def wait_for(self, event: str, number: int) -> None:
        """Wait until it has logged an event so many times."""
        deadline = time.monotonic() + TIMEOUT
        while (text := self.log.read_text()).count(event) < number:
            assert time.monotonic() < deadline, text
            time.sleep(0.01)

    def stop(self, number: int = signal.SIGINT) -> str:
        self.process.send_signal(number)
        assert self.process.wait(TIMEOUT) == 0
        return self.log.read_text()


@contextmanager
def running(log: Path, *options: str) -> Iterator[Running]:
    """Run a demo with options on a free port; what it prints goes to `log`."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "wspipe", "demo", "--port", "0", *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + TIMEOUT
        while (found := re.search(r"http://[\d.]+:\d+(?= |\")", log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the demo did not start"
            time.sleep(0.02)
        yield Running(process, found[0], log)
    finally:
        process.kill()
        process.wait(TIMEOUT)


def close_of(client: Any) -> tuple[int, str]:
    """Receive until the server closes."""
    try:
        while True:
            client.recv(TIMEOUT)
    except ConnectionClosed as end:
        return end.rcvd.code, end.rcvd.reason
