"""What is printed looks as it should in a terminal, and is plain everywhere else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

ESCAPE = "\x1b["


def in_a_terminal(*arguments: str, **environment: str) -> tuple[int, str]:
    """Call the command with a terminal of 60 columns; give its exit code and what it shows."""
    terminal, end = os.openpty()
    kept = {key: each for key, each in os.environ.items() if key not in {"NO_COLOR", "CI"}}
    with subprocess.Popen(
        [sys.executable, "-m", "wspipe", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
        env={**kept, "TERM": "xterm-256color", "COLUMNS": "60", **environment},
    ) as process:
        os.close(end)
        shown = b""
        try:
            while part := os.read(terminal, 65536):
                shown += part
        except OSError:
            pass  # how Linux tells that the other end is closed
        os.close(terminal)
        return process.wait(20), shown.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_in_a_terminal_there_are_colours(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "wspipe.toml").write_text('pipelines.main.middlewares = ["Loging"]\n')
    code, shown = in_a_terminal("check")
    assert code == 1
    assert f"{ESCAPE}31merror: " in shown
    assert plain(shown) == wspipe("check").stdout  # each a line, which the terminal itself breaks


@pytest.mark.usefixtures("chat")
def test_a_terminal_may_ask_for_no_colours(wspipe: Callable[..., Result]) -> None:
    code, shown = in_a_terminal("show", "--pipeline", "chat", NO_COLOR="1")
    assert code == 0
    assert "35m" not in shown
    assert "36m" not in shown
    assert plain(shown) == wspipe("show", "--pipeline", "chat").stdout


@pytest.mark.parametrize(
    "command", [["check"], ["show"], ["show", "--path", "/chat/1"], ["middlewares"]]
)
@pytest.mark.usefixtures("chat")
def test_elsewhere_it_is_plain(command: list[str], wspipe: Callable[..., Result]) -> None:
    result = wspipe(*command, TERM="xterm-256color")
    assert result.exit_code == 0
    assert "\x1b" not in result.output


def test_elsewhere_no_line_is_broken(here: Path, wspipe: Callable[..., Result]) -> None:
    name = "x" * 300
    (here / "wspipe.toml").write_text(f'default = "{name}"\npipelines.{name} = {{}}\n')
    assert wspipe("check").stdout.count("\n") == 1
    assert wspipe("show").stdout == (
        f"pipeline {name}\n└── StateValidation  (always there)\n"
        f"any other connection gets pipeline {name}\n"
    )
