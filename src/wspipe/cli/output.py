"""What the commands print: for people in a terminal, plain elsewhere, JSON for machines."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wspipe.config import Problem

FINDINGS = 1
"""The exit code where something was found that is to be mended."""
MISUSE = 2
"""The exit code where the command was not told what it needs."""

_WIDE = 10_000
"""More columns than any line needs."""


def console(*, stderr: bool = False, unbroken: bool = False) -> Console:
    """Give where to print: as wide as the terminal; elsewhere no line is broken or coloured.

    Args:
        stderr: Print errors instead.
        unbroken: Leave it to the terminal to break lines.
    """
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        highlight=False,
        # Brackets and colons are those of the file.
        markup=False,
        emoji=False,
        stderr=stderr,
        width=None if terminal and not unbroken else _WIDE,
    )


def print_json(data: Any) -> None:
    """Print for a machine."""
    typer.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2, default=str).decode())


def print_problems(problems: Iterable[Problem], *, stderr: bool = False) -> None:
    """Print one line for each problem."""
    printed = console(stderr=stderr)
    for problem in problems:
        color = "yellow" if problem.level == "warning" else "red"
        line = Text()
        line.append(f"{problem.place}: ", style="bold")
        line.append(f"{problem.level}: ", style=color)
        if problem.key:
            line.append(f"{problem.key}: ", style="cyan")
        line.append(problem.message)
        printed.print(line, soft_wrap=True)


def plain(name: str) -> str:
    """Give a name as a terminal may have it: with what is not printable escaped.

    Args:
        name: A name from a file.
    """
    return name if name.isprintable() else name.encode("unicode_escape").decode()


def fail(message: str) -> NoReturn:
    """Refuse to go on: the command was not told what it needs."""
    typer.echo(f"wspipe: {message}", err=True)
    raise typer.Exit(MISUSE)
