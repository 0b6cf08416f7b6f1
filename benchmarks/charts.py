"""Draw the figures for the docs: `python -m benchmarks.charts FIGURES.json ... DIRECTORY`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from matplotlib.ticker import FuncFormatter

from benchmarks.drawing import COLOURS, GREY, figure_of, plain, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

OURS: Final = COLOURS[0]
MESSAGES: Final = ("text, 64 bytes", "JSON, 85 bytes")
CONNECTION: Final = {
    "OpenTelemetry's ASGI": "OpenTelemetry's ASGI",
    "OpenTelemetry's, one span": "OpenTelemetry's, one span",
    "SDK and structlog alone": "the libraries alone",
    "wspipe, empty": "wspipe, empty",
    "wspipe, Tracing and Metrics": "wspipe, Tracing and Metrics",
    "wspipe, full stack": "wspipe, full stack",
}


def bars(axes: Axes, figures: Mapping[str, float], title: str) -> None:
    """Draw a bar for each contender, longest last, with its figure.

    Args:
        axes: Where to draw.
        figures: The figures by contender.
        title: What they show.
    """
    names = list(figures)[::-1]
    values = [figures[name] for name in names]
    colours = [OURS if name.startswith("wspipe") else GREY for name in names]
    drawn = axes.barh(names, values, color=colours, height=0.6)
    axes.bar_label(drawn, [f"{value:.2f}" for value in values], padding=3, color=GREY)
    axes.set_xlim(0, 1.15 * max(values))
    plain(axes, title)


def draw_messages(found: Mapping[str, Any], path: Path) -> None:
    """Draw what an echo costs, as a share of Starlette's."""
    tables = {table["title"].removeprefix("echo of "): table for table in found["messages"]}
    figure = figure_of(8, 4.6)
    for axes, title in zip(figure.subplots(1, 2).flat, MESSAGES, strict=True):
        rows: dict[str, Any] = tables[title]["rows"]
        shares = {name: row["of_median"] for name, row in rows.items() if name != "Channels"}
        bars(axes, shares, f"echo of {title}")
        axes.set_xlabel("share of Starlette's overhead")
    figure.axes[1].set_yticklabels([])
    write(figure, path)


def draw_connections(found: Mapping[str, Any], path: Path) -> None:
    """Draw what opening and ending a connection costs, as a share of the peer's."""
    rows: dict[str, Any] = found["connections"][0]["rows"]
    figure = figure_of(8, 2.4)
    axes = figure.subplots()
    shares = {title: rows[name]["of_median"] for name, title in CONNECTION.items()}
    bars(axes, shares, "opening and ending a connection")
    axes.set_xlabel("share of what OpenTelemetry's ASGI adds")
    write(figure, path)


def draw_growth(found: Mapping[str, Any], path: Path) -> None:
    """Draw what a message costs as there is more of everything."""
    figure = figure_of(8, 4.2)
    for axes, chart in zip(figure.subplots(1, 2).flat, found["growth"], strict=True):
        for line, colour in zip(chart["lines"], COLOURS, strict=False):
            label = f"{line['name']}: {line['slope']:+.2f} ns each"
            axes.plot(line["over"], line["median"], "o-", markersize=3, color=colour, label=label)
            axes.set_xticks(line["over"], [f"{count:,}" for count in line["over"]])
        plain(axes, chart["title"])
        axes.set_ylim(0)
        axes.set_ylabel("ns of a message over raw ASGI")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
    write(figure, path)


def draw_end_to_end(found: Mapping[str, Any], path: Path) -> None:
    """Draw the throughput behind each server, by raw ASGI's, with its interval."""
    charts: Sequence[Any] = found["end-to-end"]
    figure = figure_of(8, 0.9 + 1.5 * len(charts) / 3)
    width = 0.8 / len(charts[0]["throughput"])
    axes = figure.subplots()
    for index, (name, colour) in enumerate(
        zip(charts[0]["throughput"], (GREY, GREY, *COLOURS), strict=False)
    ):
        if index == 0:
            continue
        places = [place + (index - 2) * width for place in range(len(charts))]
        ratios = [chart["throughput"][name] for chart in charts]
        middles = [ratio["median"] for ratio in ratios]
        spans = [
            [ratio["median"] - ratio["low"] for ratio in ratios],
            [ratio["high"] - ratio["median"] for ratio in ratios],
        ]
        axes.errorbar(middles, places, xerr=spans, fmt="o", markersize=3, color=colour, label=name)
    axes.axvline(1, color=GREY, linewidth=1)
    labels = [chart["title"].removesuffix(" connections") for chart in charts]
    axes.set_yticks(range(len(charts)), labels)
    axes.set_ylabel("server, connections")
    axes.invert_yaxis()
    axes.set_xlim(0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    plain(axes, "throughput, by that of raw ASGI")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    write(figure, path)


DRAWINGS: Final = {
    "messages": draw_messages,
    "connections": draw_connections,
    "growth": draw_growth,
    "end-to-end": draw_end_to_end,
}
"""What draws each section."""


def main() -> None:
    """Read the figures, of all sections, and write the drawings."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    *sources, directory = map(Path, sys.argv[1:])
    found: dict[str, Any] = {}
    for source in sources:
        figures = json.loads(source.read_text(encoding="utf-8"))
        if figures["machine"] != found.get("machine", figures["machine"]):
            sys.exit(f"{source} was measured with something else than the files before it")
        found |= figures
    if missing := [name for name in DRAWINGS if name not in found]:
        sys.exit(f"no figures of {', '.join(missing)}: run `python -m benchmarks --json FILE`")
    for name, draw in DRAWINGS.items():
        draw(found, directory / f"{name}.svg")


if __name__ == "__main__":
    main()
