"""Terminals as a reader has them: one with a shell, some with servers, some with clients."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.compared import entries, is_in, is_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE = 60
"""Seconds after which whatever a reader waits for is killed."""
PATIENCE_WITH_PIP = 300
"""The same, where something may be downloaded."""
_CONTROL = re.compile(r"\x1b(\[[0-9;]*[A-Za-z]|[78])|.*\r")
_PROMPTS = re.compile(r"^(> ?)*")


def free_port() -> int:
    """Find a port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


class Process:
    """A process of the reader's, which is killed when it takes too long."""

    def __init__(self, *command: str, cwd: Path, env: Mapping[str, str]) -> None:
        self.command = " ".join(command)
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )
        self._alarm = threading.Timer(PATIENCE, self._kill)
        self._alarm.start()

    def be_patient(self) -> None:
        """Begin anew to wait."""
        self._alarm.cancel()
        self._alarm = threading.Timer(PATIENCE, self._kill)
        self._alarm.start()

    def _kill(self) -> None:
        with suppress(ProcessLookupError):  # what it has started may outlive it
            os.killpg(self.process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Leave nothing behind."""
        self._alarm.cancel()
        self._kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


class Server(Process):
    """A server in a terminal of its own, with what it has printed so far."""

    def __init__(self, command: str, port: int, cwd: Path, env: Mapping[str, str]) -> None:
        super().__init__("/bin/bash", "-c", f"exec {command}", cwd=cwd, env=env)
        self.port = port
        self.lines: list[str] = []
        self._read = 0
        self._news = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._follow, daemon=True)
        self._reader.start()
        try:
            self.wait_until(lambda line: bool(re.search(rf":{port}\b", line)), f"port {port}")
        except pytest.fail.Exception:
            self.end()
            raise
        self._read = 0

    def _follow(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait_until(self, is_it: Callable[[str], bool], what: str) -> None:
        """Go on reading to a line which is the one."""
        with self._news:
            while True:
                for number in range(self._read, len(self.lines)):
                    if is_it(self.lines[number]):
                        self._read = number + 1
                        return
                if self._ended:
                    log = "".join(self.lines)
                    pytest.fail(f"{self.command} printed no {what!r} (in this order):\n{log}")
                self._news.wait()

    def shows(self, block: str) -> None:
        """Wait for what a page says is in the log, in this order."""
        self.be_patient()
        for entry in entries(block):
            self.wait_until(lambda line, entry=entry: is_in(entry, line), entry)

    def interrupt(self) -> None:
        """Type Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self) -> None:
        """Stop it as Ctrl-C does, then make sure."""
        if self.process.poll() is None:
            self.interrupt()
        self._reader.join(10)
        super().end()


class Client(Process):
    """The interactive client of websockets."""

    def __init__(self, command: str, cwd: Path, env: Mapping[str, str]) -> None:
        super().__init__("/bin/bash", "-c", f"exec {command}", cwd=cwd, env=env)
        self.is_over = False

    def hold(self, block: str) -> None:
        """Say what the block says, and read what it shows, line by line."""
        assert self.process.stdin is not None
        self.be_patient()
        for line in block.splitlines():
            if line.startswith("> "):
                self.process.stdin.write(f"{line.removeprefix('> ')}\n")
                self.process.stdin.flush()
            else:
                self._expect(line)

    def _expect(self, shown: str) -> None:
        assert self.process.stdin is not None
        if shown == "Connection closed: 1000 (OK).":
            self.process.stdin.close()  # as Ctrl-D does
        line = self._next_line()
        if line.startswith("Connected to ") and not shown.startswith("Connected to "):
            line = self._next_line()
        self.is_over = line.startswith(("Connection closed", "Failed to connect"))
        if not is_shown(line, shown):
            pytest.fail(f"the client printed {line!r} where the page has {shown!r}")

    def _next_line(self) -> str:
        """Take the next line that is more than a prompt."""
        assert self.process.stdout is not None
        for printed in self.process.stdout:
            if line := _PROMPTS.sub("", _CONTROL.sub("", printed.rstrip("\n"))):
                return line
        pytest.fail("the client printed no more, or nothing in time")


class Prompt(Process):
    """Python, into which a reader types what a page has."""

    _DRIVER = """
import json as _json, sys as _sys, warnings as _warnings
_warnings.simplefilter("error")
_sys.path[0] = ""
for _line in _sys.stdin:
    exec(compile(_json.loads(_line), "<page>", "exec"), globals())
    print("\\0", flush=True)
"""

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        super().__init__("python", "-c", self._DRIVER, cwd=cwd, env=env)

    def type(self, code: str) -> str:
        """Give what the code prints."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.be_patient()
        self.process.stdin.write(f"{json.dumps(code)}\n")
        self.process.stdin.flush()
        printed = ""
        for line in self.process.stdout:
            if line == "\0\n":
                return printed
            printed += line
        pytest.fail(f"the code failed:\n{printed}")


class Shell:
    """The terminal in which a reader types commands; remembers folder and variables."""

    _REMEMBER = (
        "import json, os, sys; json.dump([os.getcwd(), dict(os.environ)], open(sys.argv[1], 'w'))"
    )

    def __init__(self, cwd: Path, env: Mapping[str, str], memory: Path) -> None:
        self.cwd = cwd
        self.env = dict(env)
        self._memory = memory

    def run(self, command: str) -> tuple[int, str]:
        """Give the exit code and what was printed."""
        remember = shlex.join([sys.executable, "-c", self._REMEMBER, str(self._memory)])
        try:
            done = subprocess.run(
                ["/bin/bash", "-c", f"{command}\ncode=$?\n{remember}\nexit $code"],
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=PATIENCE_WITH_PIP if "pip install" in command else PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            pytest.fail(f"{command} did not end: {late}")
        folder, self.env = json.loads(self._memory.read_text(encoding="utf-8"))
        self.cwd = Path(folder)
        return done.returncode, done.stdout
