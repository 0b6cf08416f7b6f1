"""A picture of what the stages of a pipeline cost: bars, as an SVG that needs nothing else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from wspipe.cli.costs import Costs, Measure, StageCost

_WIDTH: Final = 760
_MARGIN: Final = 24
_ROW: Final = 26
_BAR: Final = 14
_VALUES: Final = 150
"""The room for the values, right of the longest bar."""
_CHARACTER: Final = 7.2
"""How wide a character of a label is, about."""
_LONGEST: Final = 32
"""How many characters of a stage's name are shown."""
_TITLE: Final = 70
"""How many of the title."""

_PANELS: Final[tuple[tuple[Measure, str], ...]] = (
    ("message_time", "One message in and one out"),
    ("connection_time", "Opening and ending a connection"),
)

# XML 1.0 section 2.2 has no others; a lone surrogate could not be written either.
_NO_CHARACTER: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# Every pair of ink and ground has a contrast of 4.5 to 1 or more (WCAG 2.2, 1.4.3), bars 3 to 1.
_STYLE: Final = """
svg { --ground: #ffffff; --ink: #1b1f24; --faint: #57606a; --line: #d0d7de; --bar: #2f6fb3;
  --base: #7d8590; }
@media (prefers-color-scheme: dark) {
  svg { --ground: #15191e; --ink: #e6edf3; --faint: #9aa4af; --line: #363d46; --bar: #6ca8ea;
    --base: #7d8590; }
}
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
  fill: var(--ink); dominant-baseline: central; font-variant-numeric: tabular-nums; }
.title { font-size: 17px; font-weight: 600; }
.panel { font-size: 14px; font-weight: 600; }
.faint { fill: var(--faint); }
.right { text-anchor: end; }
.ground { fill: var(--ground); }
.line { stroke: var(--line); }
.bar { fill: var(--bar); }
.base { fill: var(--base); }
"""


def chart(costs: Costs, *, title: str) -> str:
    """Draw what the stages cost: a panel for a message, and one for a connection.

    Each stage has a bar with its time and its percentage of all stages. The application alone,
    which is no part of that, stands last and apart. The picture is light or dark as its viewer
    prefers.

    Args:
        costs: What was measured.
        title: What the picture is called.

    Returns:
        A whole SVG document.
    """
    height = _MARGIN + 36 + len(_PANELS) * _panel_height(costs)
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_WIDTH} {height}",
            "width": str(_WIDTH),
            "height": str(height),
            "role": "img",
            "aria-label": _clean(title),
        },
    )
    ET.SubElement(svg, "title").text = _clean(title)
    ET.SubElement(svg, "desc").text = _clean(_in_words(costs))
    ET.SubElement(svg, "style").text = _STYLE
    ET.SubElement(svg, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    _write(svg, (_MARGIN, _MARGIN + 8), title, "title")
    top = _MARGIN + 36
    for measure, heading in _PANELS:
        _draw_panel(svg, top, heading, costs, measure)
        top += _panel_height(costs)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def duration(nanoseconds: float) -> str:
    """Write a time in the unit that fits, with three digits.

    Args:
        nanoseconds: The time.
    """
    for unit, size in (("ns", 1), ("µs", 1e3), ("ms", 1e6)):  # noqa: B007 - the last is the rest
        if nanoseconds < 999.5 * size:
            break
    value = nanoseconds / size
    digits = 0 if unit == "ns" or value >= 99.95 else 1 if value >= 9.995 else 2
    return f"{value:,.{digits}f} {unit}"


def _panel_height(costs: Costs) -> int:
    return 44 + _ROW * (len(costs.stages) + 1) + 24


def _draw_panel(svg: ET.Element, top: float, heading: str, costs: Costs, measure: Measure) -> None:
    rows = (*costs.stages, costs.base)
    times = [getattr(each, measure) for each in rows]
    longest = min(_LONGEST, max(len(each.stage) for each in rows))
    left = _MARGIN + round(longest * _CHARACTER) + 12
    scale = (_WIDTH - _MARGIN - _VALUES - left) / (max(times) or 1)
    _write(svg, (_MARGIN, top + 12), heading, "panel")
    whole = f"all stages {duration(getattr(costs, measure))}"
    _write(svg, (_WIDTH - _MARGIN, top + 12), whole, "right faint")
    y = top + 28.0
    for stage, time in zip(rows, times, strict=True):
        is_base = stage is costs.base
        if is_base:
            line = {"x1": f"{_MARGIN}", "x2": f"{_WIDTH - _MARGIN}", "y1": f"{y + 4:g}"}
            ET.SubElement(svg, "line", {"class": "line", **line, "y2": line["y1"]})
            y += 8
        middle = y + _ROW / 2
        ink = "faint" if is_base else "ink"
        _write(svg, (left - 12, middle), stage.stage, f"right {ink}", _LONGEST)
        ET.SubElement(
            svg,
            "rect",
            {
                "class": "base" if is_base else "bar",
                "x": str(left),
                "y": f"{middle - _BAR / 2:g}",
                "width": f"{max(1.0, time * scale):.1f}",
                "height": str(_BAR),
                "rx": "2",
            },
        )
        value = duration(time)
        if not is_base:
            value += f" · {_percent(costs, stage, measure)}"
        _write(svg, (left + time * scale + 8, middle), value, ink)
        y += _ROW


def _write(
    svg: ET.Element, at: tuple[float, float], content: str, kind: str, longest: int = _TITLE
) -> None:
    x, y = at
    text = ET.SubElement(svg, "text", {"class": kind, "x": f"{x:.1f}", "y": f"{y:.1f}"})
    text.text = _clean(_short(content, longest))
    if len(content) > longest:
        ET.SubElement(text, "title").text = _clean(content)


def _in_words(costs: Costs) -> str:
    parts: list[str] = []
    for measure, heading in _PANELS:
        each = [
            f"{stage.stage} {duration(getattr(stage, measure))} ({_percent(costs, stage, measure)})"
            for stage in costs.stages
        ]
        base = f"{costs.base.stage} alone {duration(getattr(costs.base, measure))}"
        parts.append(f"{heading}: {', '.join(each)}; {base}.")
    return " ".join(parts)


def _percent(costs: Costs, stage: StageCost, measure: Measure) -> str:
    return f"{costs.share(stage, measure):.0f} %"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _clean(text: str) -> str:
    return _NO_CHARACTER.sub("\ufffd", text)
