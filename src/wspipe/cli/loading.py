"""Reading the configuration that a command is about."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, cast

import typer

from wspipe.cli.output import FINDINGS, MISUSE, fail, print_problems
from wspipe.config import Config, ConfigurationError
from wspipe.config.document import Document, UnreadableSource
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from wspipe.config import NamedPipeline
    from wspipe.types import Scope


def pipeline_names(context: typer.Context, incomplete: str) -> list[str]:
    """Complete the name of a pipeline, in the shell."""
    try:
        # Only read: what is not set in this shell, or wrong elsewhere, does not matter here.
        # With an option that lacks its value, the arguments before it are left over.
        file = context.params.get("file") or next(iter(context.args), None)
        pipelines = Document.read(file).data.get("pipelines")
    except ConfigurationError:
        return []
    if not isinstance(pipelines, dict):
        return []
    return [name for name in cast("dict[str, Any]", pipelines) if name.startswith(incomplete)]


File: TypeAlias = Annotated[
    Path | None,
    typer.Argument(
        metavar="[FILE]",
        show_default=False,
        help="The configuration; by default wspipe.toml here, or else the table [tool.wspipe] of "
        "pyproject.toml.",
    ),
]
AppDir: TypeAlias = Annotated[
    Path,
    typer.Option("--app-dir", metavar="DIR", help="Where the modules are that the file names."),
]

PathOption: TypeAlias = Annotated[
    str | None, typer.Option("--path", metavar="PATH", help="What a connection to this path gets.")
]
Host: TypeAlias = Annotated[
    str | None, typer.Option(metavar="HOST", help="The host that it asks, with --path.")
]
Name: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--pipeline",
        metavar="NAME",
        help="The pipeline of this name.",
        autocompletion=pipeline_names,
    ),
]


def load(file: Path | None, app_dir: Path) -> Config:
    """Read a configuration; where something is wrong with it, print that, and exit.

    Args:
        file: The file, `None` for the one in the current directory.
        app_dir: Where to look for modules before elsewhere.
    """
    look_in(app_dir)
    try:
        return Config.load(file)
    except ConfigurationError as error:
        print_problems(error.problems, stderr=True)
        raise typer.Exit(MISUSE if isinstance(error, UnreadableSource) else FINDINGS) from None


def look_in(app_dir: Path) -> None:
    """Have Python look for modules there first."""
    sys.path.insert(0, str(app_dir.resolve()))


def scope_of(path: str, host: str | None) -> Scope:
    """Make a connection's scope.

    Args:
        path: The path that a client asks for.
        host: The host that it asks.
    """
    headers = [] if host is None else [(b"host", host.encode("latin-1", "replace"))]
    return {**websocket_scope(path), "headers": headers}


def chosen(
    config: Config, pipeline: str | None, path: str | None, host: str | None
) -> NamedPipeline | None:
    """Give the pipeline that a command is about: the named one, a path's, or the default.

    Args:
        config: The configuration.
        pipeline: The name of a pipeline.
        path: A path that a client asks for.
        host: The host that it asks.
    """
    if path is not None and pipeline is not None:
        fail("give --path or --pipeline, not both")
    if path is None and host is not None:
        fail("--host goes with --path")
    if path is not None and not path.startswith("/"):
        fail(f"--path {path} must begin with a slash")
    if path is not None:
        return config.choose(scope_of(path, host))
    try:
        return config.named(pipeline)
    except ConfigurationError as error:
        print_problems(error.problems, stderr=True)
        raise typer.Exit(MISUSE) from None
