"""`wspipe check`: its words, its JSON, its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

WARNED = """\
[pipelines.main]
middlewares = ["room_parts:rejecting", "Logging"]
"""
ADVICE = (
    "Logging does not see the connections that room_parts:rejecting rejects; "
    "put it before, closer to the server"
)


@pytest.mark.usefixtures("chat")
def test_a_good_configuration(wspipe: Callable[..., Result]) -> None:
    result = wspipe("check")
    assert result.output == "wspipe.toml is fine: 2 pipelines, 1 route, by default base\n"
    assert result.exit_code == 0


def test_a_configuration_without_a_default(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text("pipelines.one = {}\npipelines.two = {}\n")
    result = wspipe("check")
    assert result.output == (
        "wspipe.toml: warning: there is no default, so connections that no route matches get no "
        "pipeline; give one, which may be empty\nfound 1 warning\n"
    )
    assert result.exit_code == 1


def test_an_error(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text('pipelines.main.middlewares = ["Loging"]\n')
    result = wspipe("check")
    assert result.stdout == (
        "wspipe.toml:1:31: error: pipelines.main.middlewares[0]: no installed package has a "
        'middleware "Loging"; did you mean "Logging"? there are "AuthDeadline", '
        '"ConnectionLimit", "Drain", "Logging", "MessageSizeLimit", "Metrics", "OriginCheck", '
        '"RateLimit", "Recovery", "SendQueue", "StateValidation", "Timeouts" and "Tracing"\n'
        "found 1 error\n"
    )
    assert (result.exit_code, result.stderr) == (1, "")


def test_errors_are_in_the_order_of_the_file(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text(
        'pipelines.main.middlewares = ["Loging"]\npipelines.other.extends = "man"\nbogus = 1\n'
    )
    result = wspipe("check")
    *lines, summary = result.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "wspipe.toml:1:31",
        "wspipe.toml:2:17",
        "wspipe.toml:3:1",
    ]
    assert summary == "found 3 errors"


def test_a_warning(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "wspipe.toml").write_text(WARNED)
    result = wspipe("check")
    assert result.stdout == (
        f"wspipe.toml:2:40: warning: pipelines.main.middlewares[1]: {ADVICE}\nfound 1 warning\n"
    )
    assert (result.exit_code, result.stderr) == (1, "")


def test_as_json(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "wspipe.toml").write_text(WARNED)
    result = wspipe("check", "--json")
    assert json.loads(result.stdout) == {
        "errors": 0,
        "warnings": 1,
        "problems": [
            {
                "level": "warning",
                "file": "wspipe.toml",
                "line": 2,
                "column": 40,
                "key": "pipelines.main.middlewares[1]",
                "message": ADVICE,
                "given": None,
                "allowed": [],
                "nearest": None,
            }
        ],
    }
    assert result.exit_code == 1


@pytest.mark.usefixtures("chat")
def test_nothing_to_say_as_json(wspipe: Callable[..., Result]) -> None:
    result = wspipe("check", "--json")
    assert json.loads(result.stdout) == {"errors": 0, "warnings": 0, "problems": []}
    assert result.exit_code == 0


@pytest.mark.parametrize("option", [[], ["--json"]])
@pytest.mark.usefixtures("here")
def test_a_file_that_is_missing(option: list[str], wspipe: Callable[..., Result]) -> None:
    result = wspipe("check", "chat.toml", *option)
    assert result.stderr == "chat.toml: error: cannot be read: no such file or directory\n"
    assert (result.exit_code, result.stdout) == (2, "")


def test_no_file_at_all(here: Path, wspipe: Callable[..., Result]) -> None:
    result = wspipe("check")
    assert result.stderr == (
        f"{here}: error: there is no wspipe.toml here, and no pyproject.toml with a table "
        "[tool.wspipe]; name the file\n"
    )
    assert result.exit_code == 2


def test_a_file_that_is_no_toml_can_be_mended(here: Path, wspipe: Callable[..., Result]) -> None:
    (here / "wspipe.toml").write_text("pipelines =\n")
    result = wspipe("check")
    assert result.stdout == ("wspipe.toml:1:12: error: is not TOML: invalid value\nfound 1 error\n")
    assert result.exit_code == 1


def test_the_modules_of_the_file_are_looked_for_where_it_is_said(
    chat: Path, wspipe: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = chat / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert wspipe("check", "../wspipe.toml").exit_code == 1
    assert wspipe("check", "../wspipe.toml", "--app-dir", "..").exit_code == 0


def test_brackets_and_colons_of_a_file_stay(chat: Path, wspipe: Callable[..., Result]) -> None:
    (chat / "wspipe.toml").rename("[bold]:smile:.toml")
    result = wspipe("check", "[bold]:smile:.toml")
    assert result.stdout.startswith("[bold]:smile:.toml is fine: ")
