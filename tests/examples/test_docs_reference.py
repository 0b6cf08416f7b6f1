"""What the reference says of configuration and commands is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from wspipe.cli.command import app
from wspipe.config import Config
from wspipe.config.declarations import PIPELINE_KEYS, ROUTE_KEYS, TOP_KEYS
from wspipe.config.options import RESERVED

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[2] / "docs"
REFERENCE = DOCS / "reference"
COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
PAGES_WITH_TOML = [
    page for page in sorted(DOCS.rglob("*.md")) if "```toml" in page.read_text(encoding="utf-8")
]


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


def test_the_page_has_each_key_of_a_file() -> None:
    page = (REFERENCE / "configuration.md").read_text(encoding="utf-8")
    rows = "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))
    assert set(re.findall(r"`([$\w]+)`", rows)) == {
        *TOP_KEYS,
        *PIPELINE_KEYS,
        *ROUTE_KEYS,
        *RESERVED,
    }


@pytest.mark.parametrize("page", PAGES_WITH_TOML, ids=lambda page: page.stem)
def test_the_configurations_of_a_page_can_be_used(page: Path, blocks: Callable[..., Any]) -> None:
    # Those with a caption are of the tutorial, which begins with mistakes.
    found = [block for block in blocks(page) if block.language == "toml" and not block.options]
    assert found
    for configuration in (tomllib.loads(block.body) for block in found):
        if configuration:  # and not a comment for editors only
            Config.load(configuration, environment={})
