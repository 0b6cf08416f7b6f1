"""A directory with a configuration, and the command in this process, so that it is covered."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from wspipe.cli.command import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result

CHAT = """\
default = "base"

[pipelines.base]
middlewares = ["Logging"]

[pipelines.chat]
extends = "base"

[[pipelines.chat.middlewares]]
use = "room_parts:Origin"
token = "${TOKEN}"

[[routes]]
path = "/chat/{room}"
host = "*.example.com"
pipeline = "chat"
cookies = true
"""

PARTS = '''\
"""What the configuration names."""

from dataclasses import dataclass
from typing import ClassVar

from wspipe import Composable

SEEN = []


@dataclass(frozen=True)
class Origin(Composable):
    checks_origin: ClassVar[bool] = True
    token: str = ""
    fails: bool = False

    def __call__(self, connection, receive, send):
        SEEN.append(connection.scope)
        if self.fails:
            raise ValueError(f"refused {self.token}")
        return receive, send


def plain(connection, receive, send):
    return receive, send


class Rejecting:
    async def admit(self, connection):
        pass

    def __call__(self, connection, receive, send):
        return receive, send


rejecting = Rejecting()
'''


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Be in an empty directory, and forget what is imported from there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("TOKEN", raising=False)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def chat(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be where there is a configuration with two pipelines and a secret, and its module."""
    (here / "wspipe.toml").write_text(CHAT)
    (here / "room_parts.py").write_text(PARTS)
    monkeypatch.setenv("TOKEN", "s3cr3t")
    return here


@pytest.fixture
def wspipe(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call the command, which prints to no terminal."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: str, **environment: str) -> Result:
        result = CliRunner().invoke(app, arguments, env=environment, prog_name="wspipe")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke
