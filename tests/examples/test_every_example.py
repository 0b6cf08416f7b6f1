"""Each program runs as its docstring says, and is shown in the documentation."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.docs.markdown import blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "examples" / "plugin"  # is no program, but a package: see its own test
PROGRAMS = [
    path for path in sorted((ROOT / "examples").rglob("*.py")) if PLUGIN not in path.parents
]
CLIENT = ROOT / "examples" / "strict" / "visit.py"  # needs its server: see test_example_strict.py
PAGES = sorted((ROOT / "docs").rglob("*.md"))
PLAIN_PYTEST = ("-p", "no:cacheprovider", "-p", "no:asyncio")


@pytest.fixture(autouse=True)
def no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no server where a store could be, and no file left in `examples/`."""
    monkeypatch.setenv("STORE_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("STORE_FILE", str(tmp_path / "limits.sqlite"))


def command_of(program: Path) -> str:
    docstring = ast.get_docstring(ast.parse(program.read_text(encoding="utf-8"))) or ""
    (command,) = re.findall(r"^    (\S.*)$", docstring, re.MULTILINE)
    return command


def test_there_are_programs_and_pages() -> None:
    assert len(PROGRAMS) >= 6
    assert len(PAGES) >= 6


@pytest.mark.parametrize(
    "program", [path for path in PROGRAMS if path != CLIENT], ids=lambda path: path.stem
)
def test_the_command_in_the_docstring_runs_the_program(
    program: Path, serve: Callable[..., Any], run: Callable[..., Any]
) -> None:
    match command_of(program).split():
        case ["uvicorn", target] if target == f"{program.stem}:app":
            with serve(target, program.parent) as server:
                log = server.stop()
            assert "Application startup complete" in log
            assert "Application shutdown complete" in log
            assert "Traceback" not in log
        case ["python", "-m", "pytest", *arguments] if program.name in arguments:
            with run("pytest", *arguments, *PLAIN_PYTEST) as process:
                report = process.communicate()[0]
            assert process.returncode == 0, report
            assert re.search(r"^[1-9]\d* passed", report, re.MULTILINE)
        case ["python", name, *arguments] if name == program.name:
            with run(program.stem, *arguments, cwd=program.parent) as process:
                report = process.communicate()[0]
            assert process.returncode == 0, report
        case ["wspipe", *arguments]:
            with run("wspipe", *arguments, cwd=program.parent) as process:
                report = process.communicate()[0]
            assert process.returncode == 0, report
        case unknown:
            pytest.fail(f"the docstring of {program.name} has no command that we know: {unknown}")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_the_program_and_its_command_are_in_the_documentation(program: Path) -> None:
    included = set()
    commands = set()
    for page in PAGES:
        for block in blocks_of(page):
            if block.language.startswith("{literalinclude}"):
                included.add((page.parent / block.language.split()[1]).resolve())
            if block.language == "console":
                commands.update(line.removeprefix("$ ") for line in block.body.splitlines())
    assert program in included
    assert command_of(program) in commands
