"""`wspipe explain`: what each stage of a pipeline costs, measured here and now."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from wspipe.cli.bench import measure
from wspipe.cli.chart import chart, duration
from wspipe.cli.costs import Costs, MeasurementError, StageCost
from wspipe.cli.importing import imported
from wspipe.cli.loading import AppDir, File, Host, Name, PathOption, chosen, load, scope_of
from wspipe.cli.output import FINDINGS, console, fail, plain, print_json

if TYPE_CHECKING:
    from wspipe.cli.costs import Measure

_COLUMNS: tuple[Measure, ...] = (
    "message_time",
    "message_bytes",
    "connection_time",
    "connection_bytes",
)


def explain(  # noqa: PLR0913 - options of the command
    file: File = None,
    *,
    path: PathOption = None,
    host: Host = None,
    pipeline: Name = None,
    app: Annotated[
        str | None,
        typer.Option(
            metavar="APP",
            help="Import this first, as module:app, for the logging and telemetry it sets up.",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.svg", help="Draw a picture there.")
    ] = None,
    app_dir: AppDir = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what each stage costs for a message and for a connection: time and memory.

    It takes some seconds, in this process, with messages of 64 characters. Figures are medians of
    differences; those of another machine, or of a busy one, are others.
    """
    if plot is not None and plot.suffix != ".svg":
        fail(f"--plot {plot} must end in .svg, which is what it draws")
    config = load(file, app_dir)
    if app is not None:
        imported(app)
    found = chosen(config, pipeline, path, host)
    if found is None:
        fail(f"no route matches {path}, and there is no default: it gets no pipeline to measure")
    try:
        costs = measure(found.pipeline, scope=scope_of(path or "/", host))
    except MeasurementError as error:
        why = str(error)
        if config.secrets:
            # It quotes what the stage said, which may have taken a value apart.
            why = f"{error.stage} does not let itself be measured; what it said is withheld, as it "
            why += "may tell what the environment holds"
        typer.echo(f"wspipe: {why}", err=True)
        raise typer.Exit(FINDINGS) from None
    if plot is not None:
        _draw(costs, f"pipeline {found.name}", plot)
    if json:
        print_json(_as_dict(costs, found.name))
    else:
        console().print(Text(f"pipeline {plain(found.name)}", style="bold"))
        console().print(_table(costs))


def _draw(costs: Costs, title: str, plot: Path) -> None:
    try:
        plot.write_text(chart(costs, title=title), encoding="utf-8")
    except OSError as error:
        fail(f"{plot} cannot be written: {(error.strerror or str(error)).lower()}")


def _table(costs: Costs) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stage")
    for heading in ("a message", "", "bytes", "a connection", "", "bytes"):
        table.add_column(heading, justify="right")
    for stage in costs.stages:
        table.add_row(stage.stage, *_cells(costs, stage))
    whole = StageCost("all", *(getattr(costs, column) for column in _COLUMNS))
    table.add_row("all stages", *_cells(costs, whole), style="bold")
    base = costs.base
    table.add_row(
        "without wspipe",
        duration(base.message_time),
        "",
        str(base.message_bytes),
        duration(base.connection_time),
        "",
        str(base.connection_bytes),
        style="dim",
    )
    return table


def _cells(costs: Costs, stage: StageCost) -> tuple[str, ...]:
    return (
        duration(stage.message_time),
        f"{costs.share(stage, 'message_time'):.0f} %",
        str(stage.message_bytes),
        duration(stage.connection_time),
        f"{costs.share(stage, 'connection_time'):.0f} %",
        str(stage.connection_bytes),
    )


def _as_dict(costs: Costs, name: str) -> dict[str, Any]:
    stages = [
        {**asdict(stage), "percent": {each: costs.share(stage, each) for each in _COLUMNS}}
        for stage in costs.stages
    ]
    whole = {each: getattr(costs, each) for each in _COLUMNS}
    return {"pipeline": name, "stages": stages, "all": whole, "without_wspipe": asdict(costs.base)}
