"""`wspipe show`: the stages of pipelines, with every option's value and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from wspipe.cli.loading import AppDir, File, Host, Name, PathOption, chosen, load, scope_of
from wspipe.cli.output import console, plain, print_json
from wspipe.config.effective import Value, effective, origin_of, values_of
from wspipe.config.problems import shown
from wspipe.pipeline import StateValidation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe.config import Config, NamedPipeline


def show(  # noqa: PLR0913 - options of the command
    file: File = None,
    *,
    path: PathOption = None,
    host: Host = None,
    pipeline: Name = None,
    app_dir: AppDir = Path(),
    json: Annotated[
        bool,
        typer.Option("--json", help="Print JSON, which is a configuration with all values."),
    ] = False,
) -> None:
    """Show pipelines as trees, with the values that are in force and where each came from."""
    config = load(file, app_dir)
    if path is None and host is None and pipeline is None:
        _show_all(config, json=json)
        return
    found = chosen(config, pipeline, path, host)
    pipelines = [] if found is None else [found]
    if json:
        print_json(effective(config, pipelines))
        return
    if path is not None:
        console().print(_choice(config, path, host), soft_wrap=True)
    for each in pipelines:
        console(unbroken=True).print(_tree(config, each), soft_wrap=True)


def _show_all(config: Config, *, json: bool) -> None:
    if json:
        print_json(effective(config))
        return
    for each in config.pipelines.values():
        console(unbroken=True).print(_tree(config, each), soft_wrap=True)
    if config.routes:
        table = Table("path", "host", "pipeline", "cookies", "from", box=None, title_justify="left")
        for route in config.routes:
            table.add_row(
                Text(plain(route.path.text)),
                Text(route.host.text if route.host else "any"),
                Text(plain(route.pipeline)),
                "believed" if route.cookies else "",
                origin_of(config, route.at),
            )
        console().print(table)
    default = f"pipeline {plain(config.default)}" if config.default else "no pipeline"
    console().print(Text(f"any other connection gets {default}"))


def _choice(config: Config, path: str, host: str | None) -> Text:
    route = config.route_of(scope_of(path, host))
    if route is not None:
        return Text(f"{path} matches {shown(route.path.text)} ({origin_of(config, route.at)})")
    gets = f"gets the default, {plain(config.default)}" if config.default else "gets no pipeline"
    return Text(f"{path} matches no route and {gets}")


def _tree(config: Config, pipeline: NamedPipeline) -> Tree:
    base = f", which extends {plain(pipeline.extends)}" if pipeline.extends else ""
    tree = Tree(Text(f"pipeline {plain(pipeline.name)}{base}", style="bold"), guide_style="dim")
    if not any(isinstance(stage.middleware, StateValidation) for stage in pipeline.stages):
        tree.add(Text("StateValidation").append("  (always there)", style="dim"))
    for stage in pipeline.stages:
        written = stage.declaration
        inherited = f"pipeline {plain(written.pipeline)}, " * (written.pipeline != pipeline.name)
        label = Text(written.use, style="cyan")
        label.append(f"  ({inherited}{origin_of(config, written.path)})", style="dim")
        branch = tree.add(label)
        rows = [(each.name, _value(each), each.origin) for each in values_of(config, stage)]
        for line in _aligned(rows):
            branch.add(line)
    return tree


def _value(of: Value) -> str:
    return "not set" if of.value is None else shown(of.value)


def _aligned(rows: list[tuple[str, str, str]]) -> Iterator[Text]:
    names = max((len(name) for name, _, _ in rows), default=0)
    values = max((len(value) for _, value, _ in rows), default=0)
    for name, value, origin in rows:
        line = Text(f"{name:<{names}} = ")
        line.append(f"{value:<{values}}", style="green")
        line.append(f"  {origin}", style="dim")
        yield line
