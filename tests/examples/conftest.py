"""The programs in `examples/`, loaded or served."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 60
"""Seconds after which a process that a test waits for is killed, and its output ends."""


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Load a program afresh, by its name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


@contextmanager
def _running(*arguments: str, cwd: Path = EXAMPLES) -> Iterator[subprocess.Popen[str]]:
    environment = {
        "OTEL_SDK_DISABLED": "true",  # without a collector the exporters would complain
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    with subprocess.Popen(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        alarm = threading.Timer(PATIENCE, process.kill)
        alarm.start()
        try:
            yield process
        finally:
            alarm.cancel()
            process.kill()


@pytest.fixture
def run() -> Callable[..., Any]:
    """Run a module of Python in a folder; its output ends when it does, or after `PATIENCE`."""
    return _running


class Server:
    """A running uvicorn."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self._output = process.stdout
        self._lines: list[str] = []
        for line in self._output:
            self._lines.append(line)
            if found := re.search(r"running on http://(127\.0\.0\.1:\d+)", line):
                self.address = found[1]
                return
        pytest.fail(f"the server did not start:\n{''.join(self._lines)}")

    def stop(self) -> str:
        """Stop it, and give what it printed."""
        self._process.terminate()
        self._lines.extend(self._output)
        return "".join(self._lines)


@pytest.fixture
def serve() -> Callable[..., Any]:
    """Serve a program on a free port by uvicorn's command line."""

    @contextmanager
    def serving(target: str, cwd: Path = EXAMPLES) -> Iterator[Server]:
        with _running("uvicorn", target, "--port", "0", cwd=cwd) as process:
            yield Server(process)

    return serving
