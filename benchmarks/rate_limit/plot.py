"""The fleet's figures as curves, in one drawing that reads on light and on dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib.ticker import FuncFormatter

from benchmarks.drawing import COLOURS, figure_of, plain, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.rate_limit.fleet import Figures, Results

_PANELS: Final[dict[str, tuple[Callable[[Figures], float], bool]]] = {
    "store operations per second": (lambda figures: figures.operations, True),
    "messages per operation": (lambda figures: figures.per_operation, True),
    "used, of the limit or of what is offered": (lambda figures: figures.used, False),
    "Jain's index of fairness, saturated": (lambda figures: figures.jain, False),
}


def draw(results: Results, path: Path) -> None:
    """Write the drawing.

    Args:
        results: What was simulated.
        path: Where to write it, as SVG.
    """
    figure = figure_of(8, 6.2)
    colours = dict(zip(dict.fromkeys(keys for keys, _ in results), COLOURS, strict=False))
    for axes, (title, (value, logarithmic)) in zip(
        figure.subplots(2, 2).flat, _PANELS.items(), strict=True
    ):
        for (keys, light), figures in results.items():
            if light and "saturated" in title:
                continue
            axes.plot(
                list(figures),
                [value(each) for each in figures.values()],
                label=f"{keys.title}, {'half offered' if light else 'saturated'}",
                color=colours[keys],
                linestyle="--" if light else "-",
                marker="o",
                markersize=3,
            )
        axes.set_xscale("log")
        axes.set_xticks(list(figures), [f"{count:,}" for count in figures], minor=False)
        if logarithmic:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:,.10g}"))
        else:
            axes.set_ylim(0, 1.15)
        plain(axes, title)
    for axes in figure.axes[2:]:
        axes.set_xlabel("processes")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    write(figure, path)
