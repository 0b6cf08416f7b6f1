"""Broken configurations: each has its messages beside it, in a file that ends in `.txt`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from typer.testing import CliRunner

from wspipe.cli import command
from wspipe.config import Config, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN: Final = Path(__file__).parent / "broken"
HERE: Final = "{here}"
"""What messages have in place of the folder of the broken files."""

SECRET: Final = "swordfish"  # noqa: S105 - opens nothing
ENVIRONMENT: Final = {
    "BAD_URL": f"http://:{SECRET}@localhost",
    "LONG": SECRET * 20,
    "NUMBER": "-12345",
    "REDIS_URL": f"redis://:{SECRET}@localhost",
    "SECRET": SECRET,
}
FILES: Final = sorted(
    str(file.relative_to(BROKEN)) for file in BROKEN.rglob("*") if file.suffix in {".toml", ".json"}
)


@pytest.fixture(autouse=True)
def _among_the_broken_files(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(BROKEN)
    monkeypatch.syspath_prepend(str(BROKEN))
    monkeypatch.setattr(os, "environ", dict(ENVIRONMENT))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BROKEN:
            del sys.modules[name]


def _expected(file: str) -> list[str]:
    text = Path(file).with_suffix(".txt").read_text(encoding="utf-8")
    return text.replace(HERE, str(BROKEN)).splitlines()


def _in_one_line(problem: dict[str, Any]) -> str:
    place = [str(problem[part]) for part in ("file", "line", "column") if problem[part]]
    return ": ".join(part for part in (":".join(place), problem["key"], problem["message"]) if part)


def test_each_broken_file_has_its_messages() -> None:
    expectations = {str(file.relative_to(BROKEN)) for file in BROKEN.rglob("*.txt")}
    assert {str(Path(file).with_suffix(".txt")) for file in FILES} == expectations
    assert len(FILES) == len(expectations) >= 100


@pytest.mark.parametrize("file", FILES)
def test_all_that_is_wrong_is_told_with_its_place(file: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(file)
    assert str(caught.value).splitlines() == _expected(file)


@pytest.mark.parametrize("file", FILES)
def test_the_command_prints_the_same(file: str) -> None:
    result = CliRunner().invoke(command.app, ["check", file])
    *problems, summary = result.stdout.splitlines()
    expected = _expected(file)
    assert [line.replace(": error: ", ": ", 1) for line in problems] == expected
    assert summary == f"found {len(expected)} error{'s' * (len(expected) > 1)}"
    assert (result.exit_code, result.stderr) == (1, "")
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("file", FILES)
def test_the_command_gives_the_same_as_data(file: str) -> None:
    result = CliRunner().invoke(command.app, ["check", file, "--json"])
    told = json.loads(result.stdout)
    assert [_in_one_line(problem) for problem in told["problems"]] == _expected(file)
    assert {problem["level"] for problem in told["problems"]} == {"error"}
    assert (told["errors"], told["warnings"]) == (len(told["problems"]), 0)
    assert result.exit_code == 1
    assert SECRET not in result.stdout


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("environment")])
def test_no_secret_is_told(file: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(file)
    told = repr([problem.as_dict() for problem in caught.value.problems])
    for value in (SECRET, *ENVIRONMENT.values()):
        assert value not in told


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("missing.toml", "cannot be read: no such file or directory"),
        ("missing.json", "cannot be read: no such file or directory"),
        ("pyproject_with_errors", "cannot be read: is a directory"),
    ],
)
def test_a_file_that_cannot_be_read_is_misuse(file: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Config.load(file)
    assert str(caught.value) == f"{file}: {problem}"
    result = CliRunner().invoke(command.app, ["check", file])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"{file}: error: {problem}\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_there_is_no_file_the_command_says_what_it_looked_for(
    options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command.app, ["check", *options])
    assert result.exit_code == 2
    assert result.stderr == (
        f"{tmp_path}: error: there is no wspipe.toml here, and no pyproject.toml with a table "
        "[tool.wspipe]; name the file\n"
    )
