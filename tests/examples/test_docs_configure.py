"""The tutorial on configuration, followed to the letter in an empty directory."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples.client_session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "configure.md"
CONFIGURED = ROOT / "examples" / "configured"
PATIENCE = 60
FIGURE = re.compile(r"\d+(\.\d+)?( (ns|µs|ms|%))?")


class Run:
    """`wspipe run`, as the page has it, on a port of its own."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command.split(), "--port", str(self.port)],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._alarm = threading.Timer(PATIENCE, self.process.kill)
        self._alarm.start()
        self.log = ""

    def wait_for(self, line: str) -> None:
        """Read the log up to a line that has these fields, in this order."""
        pattern = r".*?".join(map(re.escape, line.split()))
        assert self.process.stdout is not None
        for logged in self.process.stdout:
            self.log += logged
            if re.search(pattern, logged):
                return
        pytest.fail(f"the log has no line like {line!r}:\n{self.log}")

    def stop(self) -> int:
        """Stop it as a service manager does."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Leave nothing behind."""
        self._alarm.cancel()
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give an environment in which the commands of the page are found."""
    (tmp_path / "bin").mkdir()
    for name, module in (("wspipe", "wspipe"), ("pip", "pip")):
        command = tmp_path / "bin" / name
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m {module} "$@"\n')
        command.chmod(0o755)
    path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
    kept = {key: each for key, each in os.environ.items() if key != "REDIS_URL"}
    return {**kept, "PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of the page's reader, with the application in it."""
    folder = tmp_path / "rooms"
    folder.mkdir()
    shutil.copy(CONFIGURED / "chat.py", folder)
    return folder


@pytest.fixture
def page(shown: Callable[[str], str], folder: Path, environment: dict[str, str]) -> Iterator[Page]:
    """Give the page, to be followed."""
    page = Page(shown, folder, environment)
    yield page
    if page.server is not None:
        page.server.end()


class Page:
    """Follows the page: what it says to save, to run and to type."""

    def __init__(
        self, shown: Callable[[str], str], folder: Path, environment: dict[str, str]
    ) -> None:
        self.shown = shown
        self.folder = folder
        self.environment = environment
        self.server: Run | None = None

    def save(self, text: str) -> None:
        """Save the file, as an editor does."""
        new = self.folder / "wspipe.toml.new"
        new.write_text(text, encoding="utf-8")
        new.replace(self.folder / "wspipe.toml")

    def execute(self, name: str) -> tuple[str, str]:
        """Run the commands of a block in one shell; give what was printed, and what is shown."""
        block = self.shown(name)
        commands = re.findall(r"^\$ (.*)$", block, re.MULTILINE)
        script = "\n".join(each for each in commands if not each.startswith("pip install"))
        done = subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.stdout + done.stderr, re.sub(r"^\$ .*\n", "", block, flags=re.MULTILINE)

    def does(self, name: str) -> None:
        """Run a block, and compare."""
        printed, shown = self.execute(name)
        assert lines(printed) == lines(shown)

    def run(self, name: str) -> Run:
        """Start the server, as a block says."""
        (command,) = re.findall(r"^\$ (.*)$", self.shown(name), re.MULTILINE)
        self.server = Run(command, self.folder, self.environment)
        return self.server

    def join(self, name: str, run: Callable[..., Any], *, before_last: Any = None) -> None:
        """Hold a session with the client of the page; do something before its last line."""
        assert self.server is not None
        (command,) = re.findall(r"^\$ (.*)$", self.shown("configure-join"), re.MULTILINE)
        _, _, *arguments = command.replace(":8000", f":{self.server.port}").split()
        *first, last = self.shown(name).replace(":8000", f":{self.server.port}").splitlines()
        with run(*arguments) as client:
            session = Session(client)
            session.hold("\n".join(first))
            if before_last is not None:
                before_last()
            session.hold(last)


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def tomls() -> list[str]:
    blocks = re.findall(
        r"^```\{code-block\} toml\n:caption: wspipe.toml\n\n(.*?)^```$",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    return [str(block) for block in blocks]


def test_the_tutorial(page: Page, run: Callable[..., Any], shown: Callable[[str], str]) -> None:
    first, mistakes, mended, _ = tomls()
    page.save(first)
    page.does("configure-check")

    server = page.run("configure-run")
    started, opened, closed = shown("configure-first-log").splitlines()
    server.wait_for(started)
    page.join("configure-first-session", run)
    server.wait_for(opened)
    server.wait_for(closed)

    page.save(mistakes)
    refused, applied, limited = shown("configure-limited-log").splitlines()
    server.wait_for(refused)
    page.does("configure-mistakes")
    page.save(mended)
    server.wait_for(applied)
    page.join("configure-limited-session", run)
    server.wait_for(limited)

    page.does("configure-show")
    page.does("configure-show-other")
    printed, shows = page.execute("configure-explain")
    assert settled(printed) == settled(shows)

    drained, stopped = shown("configure-last-log").splitlines()
    page.save(mended.replace("3/minute", "300/minute"))
    server.wait_for(applied)
    page.join("configure-last-session", run, before_last=server.process.terminate)
    server.wait_for(drained)
    server.wait_for(stopped)
    assert server.process.wait(PATIENCE) == 0


def test_the_tutorial_on_secrets(page: Page) -> None:
    page.save(tomls()[-1])
    page.does("configure-secret")
    printed, _ = page.execute("configure-secret")
    assert "s3cret" not in printed

    page.save((CONFIGURED / "wspipe.toml").read_text(encoding="utf-8"))
    page.environment["REDIS_URL"] = "redis://:s3cret@127.0.0.1:6379"
    page.does("configure-guard")


def settled(text: str) -> list[list[str]]:
    """Take out what differs from machine to machine."""
    return [FIGURE.sub("<figure>", line).split() for line in text.splitlines()]
