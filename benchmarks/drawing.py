"""Drawings for the docs: SVG that reads on light and on dark."""

from __future__ import annotations

import re
from io import StringIO
from typing import TYPE_CHECKING, Final

from matplotlib import rcParams
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

GREY: Final = "#808080"
COLOURS: Final = ("#3b82c4", "#d9822b", "#3f9f5f", "#a05fb4", "#8f8a2c")


def figure_of(width: float, height: float) -> Figure:
    """Make a figure.

    Args:
        width: In inches.
        height: In inches.
    """
    rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "wspipe",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.color": GREY,
            "axes.edgecolor": GREY,
            "axes.labelcolor": GREY,
            "xtick.color": GREY,
            "ytick.color": GREY,
        }
    )
    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: Axes, title: str) -> None:
    """Take away what is not needed.

    Args:
        axes: The axes.
        title: What they show.
    """
    axes.minorticks_off()
    axes.set_title(title, fontsize=10)
    axes.grid(color=GREY, alpha=0.25)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.patch.set_visible(False)


def write(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, the same for the same figures.

    Args:
        figure: The figure.
        path: The file.
    """
    drawing = StringIO()
    figure.savefig(drawing, format="svg", transparent=True, metadata={"Date": None})
    path.write_text(_shortened(drawing.getvalue()), encoding="utf-8")


def _shortened(drawing: str) -> str:
    """Leave out what nobody sees: comments, the tenth of a point's tenth, empty space."""
    drawing = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"\d+\.\d{5,}", lambda number: f"{float(number[0]):.1f}", drawing)
    return re.sub(r"\s*\n\s*", "\n", drawing)
