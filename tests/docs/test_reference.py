"""What the reference says of names, configuration and commands is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import wspipe
import wspipe_middlewares
from wspipe.cli.command import app

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


def section(name: str) -> str:
    page = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    found = re.search(rf"^## wspipe {name}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_page_has_each_option_of_a_command(name: str) -> None:
    options = {option for each in COMMANDS[name].params for option in each.opts if "--" in option}
    assert set(re.findall(r"(--[a-z-]+)", section(name))) - {"--help"} == options - {"--help"}


def test_the_page_has_each_command() -> None:
    page = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    assert re.findall(r"^## wspipe (.*)$", page, re.MULTILINE) == list(COMMANDS)


def test_the_page_has_each_table_of_keys() -> None:
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    tables = re.findall(r"^```\{table-of\} keys of a (.*)$", page, re.MULTILINE)
    assert tables == ["file", "pipeline", "stage", "route"]


def test_every_public_name_is_in_the_reference() -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.rglob("*.md"))
    documented = {path.rpartition(".")[2] for path in re.findall(r"auto\w+:: ([\w.]+)", reference)}
    assert {*wspipe.__all__, *wspipe_middlewares.__all__} <= documented
