"""Sessions with the interactive client of websockets, as the pages show them."""

from __future__ import annotations

import re
from typing import Any

import pytest

CONTROL = re.compile(r"\x1b(\[[0-9;]*[A-Za-z]|[78])")


class Session:
    """A session of the interactive client of websockets, held as the page shows it."""

    def __init__(self, process: Any) -> None:
        self.process = process
        self.output = ""

    def hold(self, shown: str) -> None:
        for line in shown.splitlines():
            if line.startswith("> "):
                self.process.stdin.write(f"{line.removeprefix('> ')}\n")
                self.process.stdin.flush()
            else:
                if line == "Connection closed: 1000 (OK).":
                    self.process.stdin.close()
                self.expect(line)

    def expect(self, line: str) -> None:
        while line not in self.output:
            char = self.process.stdout.read(1)
            if not char:
                pytest.fail(f"the client ended before it printed {line!r}: {self.output!r}")
            self.output = CONTROL.sub("", self.output + char)
        self.output = self.output.partition(line)[2]
