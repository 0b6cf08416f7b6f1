"""The code imports as the architecture page says."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import wspipe

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ENGINE = ROOT / "src" / "wspipe"
MIDDLEWARES = ROOT / "middlewares" / "wspipe_middlewares"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"


def rows() -> list[list[str]]:
    """Give the files of each row of the page's table."""
    table = PAGE.read_text(encoding="utf-8").partition("| row | files |")[2].partition("\n\n")[0]
    return [re.findall(r"`(\w+)`", line.split("|")[2]) for line in table.splitlines()[2:]]


FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def imports(node: ast.AST, *, late: bool, for_types: bool) -> Iterator[str]:
    """Give the modules that are imported, those within functions and for type checkers if asked."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            if not for_types:
                continue
        elif isinstance(child, FUNCTIONS) and not late:
            continue
        if isinstance(child, ast.ImportFrom):
            assert child.level == 0, "a relative import"
            if child.module == "wspipe":
                yield from (f"wspipe.{alias.name}" for alias in child.names)
            else:
                yield child.module or ""
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        yield from imports(child, late=late, for_types=for_types)


def imported_by(file: Path, *, late: bool = True, for_types: bool = False) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return set(imports(tree, late=late, for_types=for_types))


def of_the_engine(modules: set[str]) -> set[str]:
    """Give which files of the engine are among the modules, or names that it hands out."""
    assert "wspipe" not in modules, "import its names"
    return {module.split(".")[1] for module in modules if module.startswith("wspipe.")}


def files_of(name: str) -> list[Path]:
    folder = ENGINE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [ENGINE / f"{name}.py"]


def test_the_page_has_each_file_once() -> None:
    listed = [name for row in rows() for name in row]
    there = {path.stem for path in ENGINE.glob("*.py")} | {
        path.parent.name for path in ENGINE.glob("*/__init__.py")
    }
    assert len(listed) == len(set(listed))
    assert set(listed) == there - {"__init__", "__main__"}


def above(row: int) -> set[str]:
    """Give the files above a row, and what `wspipe` hands out to what stands on all of it."""
    table = rows()
    on_top = {"testing", "cli"} & {*table[row]}
    return {name for higher in table[:row] for name in higher} | (
        {*wspipe.__all__} if on_top else set()
    )


@pytest.mark.parametrize("row", range(len(rows())))
def test_a_file_imports_only_files_of_rows_above_its_own(row: int) -> None:
    for name in rows()[row]:
        for file in files_of(name):
            assert of_the_engine(imported_by(file, late=False)) <= above(row) | {name}, file


def test_what_is_imported_within_a_function_is_what_the_page_says() -> None:
    found = {
        (name, module)
        for row, names in enumerate(rows())
        for name in names
        for file in files_of(name)
        for module in of_the_engine(imported_by(file)) - above(row) - {name}
    }
    assert found == {("pipeline", "config"), ("middleware", "config")}


def test_the_engine_imports_no_middleware() -> None:
    engine = [file for file in ENGINE.rglob("*.py") if "cli" not in file.parts]
    assert ENGINE / "wire.py" in engine
    for file in engine:
        imported = imported_by(file, for_types=True)
        assert not [module for module in imported if module.startswith("wspipe_middlewares")]


def test_a_middleware_imports_public_names_of_the_engine_only() -> None:
    middlewares = list(MIDDLEWARES.rglob("*.py"))
    assert MIDDLEWARES / "timer.py" in middlewares
    for file in middlewares:
        assert of_the_engine(imported_by(file, for_types=True)) <= {*wspipe.__all__}, file
