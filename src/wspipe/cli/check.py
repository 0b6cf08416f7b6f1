"""`wspipe check`: what is wrong with a configuration, and what is probably not meant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wspipe.cli.loading import AppDir, File, look_in
from wspipe.cli.output import FINDINGS, MISUSE, console, plain, print_json, print_problems
from wspipe.config import Config, ConfigurationError, Problem
from wspipe.config.document import UnreadableSource
from wspipe.config.review import review

if TYPE_CHECKING:
    from collections.abc import Sequence


def check(
    file: File = None,
    *,
    app_dir: AppDir = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with a configuration, and what is legal but probably not meant.

    Exits with 0 where there is nothing to say, and with 1 where there is.
    """
    look_in(app_dir)
    config = None
    problems: Sequence[Problem]
    try:
        config = Config.load(file)
        problems = list(review(config))
    except ConfigurationError as error:
        problems = error.problems
        if isinstance(error, UnreadableSource):
            print_problems(problems, stderr=True)
            raise typer.Exit(MISUSE) from None
    errors = sum(problem.level == "error" for problem in problems)
    warnings = len(problems) - errors
    if json:
        found = [problem.as_dict() for problem in problems]
        print_json({"errors": errors, "warnings": warnings, "problems": found})
    else:
        print_problems(problems)
        console().print(_summary(config, errors, warnings), soft_wrap=True)
    if problems:
        raise typer.Exit(FINDINGS)


def _summary(config: Config | None, errors: int, warnings: int) -> str:
    if config is None:
        return f"found {_count(errors, 'error')}"
    if warnings:
        return f"found {_count(warnings, 'warning')}"
    pipelines = _count(len(config.pipelines), "pipeline")
    routes = _count(len(config.routes), "route")
    default = f"by default {plain(config.default)}" if config.default else "no default"
    return f"{config.document.name} is fine: {pipelines}, {routes}, {default}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
