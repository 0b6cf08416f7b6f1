"""Completion in bash, zsh and fish: what the shell asks for is what a person may go on with."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request: pytest.FixtureRequest, wspipe: Callable[..., Result]) -> Callable[..., str]:
    """Ask as the shell does when one presses TAB behind the last word."""
    shell: str = request.param

    def ask(*words: str) -> str:
        line = " ".join(["wspipe", *words])
        environment = {"_WSPIPE_COMPLETE": f"complete_{shell}", "_TYPER_COMPLETE_ARGS": line}
        if shell == "bash":
            environment |= {"COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        if shell == "fish":
            environment["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
        return wspipe(**environment).stdout

    return ask


def names(answer: str) -> set[str]:
    """Give the words of an answer, whatever the shell puts around them."""
    return {word.strip("\"'():*") for line in answer.splitlines() for word in line.split()}


def test_subcommands(complete: Callable[..., str]) -> None:
    answer = complete("")
    for name in ("check", "show", "explain", "schema", "middlewares", "run", "demo"):
        assert name in answer
    assert "check" in complete("ch")
    assert "show" not in complete("ch")


def test_options(complete: Callable[..., str]) -> None:
    answer = complete("show", "--p")
    assert "--path" in answer
    assert "--pipeline" in answer
    assert "--json" not in answer


@pytest.mark.parametrize("command", ["show", "explain"])
@pytest.mark.usefixtures("chat")
def test_names_of_pipelines(
    command: str, complete: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TOKEN")  # what is wrong with the file does not matter here
    assert {"base", "chat"} <= names(complete(command, "--pipeline", ""))
    answer = names(complete(command, "--pipeline", "c"))
    assert "chat" in answer
    assert "base" not in answer


def test_names_of_pipelines_in_a_file_that_is_named(
    chat: Path, complete: Callable[..., str]
) -> None:
    (chat / "wspipe.toml").rename(chat / "other.toml")
    assert {"base", "chat"} <= names(complete("show", "other.toml", "--pipeline", ""))


@pytest.mark.parametrize(
    "content", [None, "pipelines = [", 'pipelines = ["base"]\n', "default = 1\n", b"\xff"]
)
def test_where_there_are_no_names_nothing_is_said(
    content: str | bytes | None, here: Path, complete: Callable[..., str]
) -> None:
    if content is not None:
        written = content if isinstance(content, bytes) else content.encode()
        (here / "wspipe.toml").write_bytes(written)
    answer = complete("show", "--pipeline", "")
    assert "base" not in answer
    assert "Traceback" not in answer


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.usefixtures("chat")
def test_in_a_real_bash() -> None:
    script = """
    eval "$(wspipe --show-completion bash)"
    COMP_WORDS=(wspipe show --pipeline c)
    COMP_CWORD=3
    _wspipe_completion wspipe
    echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    answer = subprocess.check_output(
        ["bash", "-c", script],  # noqa: S607 - wherever it is
        env={"PATH": path},
        text=True,
        timeout=60,
    )
    assert answer == "chat\n"
