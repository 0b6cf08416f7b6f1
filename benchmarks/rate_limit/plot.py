"""The fleet's figures as curves, in one drawing that reads on light and on dark."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, Final

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.rate_limit.fleet import Figures, Results

_GREY: Final = "#808080"
_COLOURS: Final = ("#3b82c4", "#d9822b", "#3f9f5f")
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
    rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "wspipe",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": _GREY,
            "axes.edgecolor": _GREY,
            "axes.labelcolor": _GREY,
            "xtick.color": _GREY,
            "ytick.color": _GREY,
        }
    )
    figure = Figure(figsize=(8, 6.2), layout="constrained")
    colours = dict(zip(dict.fromkeys(keys for keys, _ in results), _COLOURS, strict=True))
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
        axes.minorticks_off()
        axes.set_title(title, fontsize=10)
        axes.grid(color=_GREY, alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.patch.set_visible(False)
    for axes in figure.axes[2:]:
        axes.set_xlabel("processes")
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
    )
    drawing = StringIO()
    figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    path.write_text(_shortened(drawing.getvalue()))


def _shortened(drawing: str) -> str:
    """Leave out what nobody sees: comments, the tenth of a point's tenth, empty space."""
    drawing = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"\d+\.\d{2,}", lambda number: f"{float(number[0]):.1f}", drawing)
    return re.sub(r"\s*\n\s*", "\n", drawing)
