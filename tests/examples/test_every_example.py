"""Each program is shown on a page, which `tests/docs/` follows, and so runs it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.markdown import blocks_of

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"  # is no program, but a package: see its own test
PROGRAMS = [
    path for path in sorted((ROOT / "examples").rglob("*.py")) if PLUGIN not in path.parents
]
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def command_of(program: Path) -> str:
    docstring = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    (command,) = re.findall(r"^    (\S.*)$", docstring, re.MULTILINE)
    return command


def saves_and_runs(page: Path, program: Path) -> bool:
    """Tell whether the reader of a page saves the program and types its command."""
    saved, typed = False, False
    for block in blocks_of(page):
        if block.directive == "{literalinclude}" and block.saved_as == program.name:
            saved |= (page.parent / block.language.split()[1]).resolve() == program
        if block.language == "console" and not block.remark.startswith("not run"):
            typed |= f"$ {command_of(program)}" in block.body.splitlines()
    return saved and typed


def test_there_are_programs_and_pages() -> None:
    assert len(PROGRAMS) >= 20
    assert len(PAGES) >= 40


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_page_has_its_reader_run_the_program(program: Path) -> None:
    assert [page.stem for page in PAGES if saves_and_runs(page, program)]
