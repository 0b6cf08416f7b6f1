"""The picture of what stages cost."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from wspipe.cli.chart import chart, duration
from wspipe.cli.costs import Costs, StageCost

SVG = "{http://www.w3.org/2000/svg}"
LONG = "on_receive(" + "x" * 60 + ")"


def costs(*times: float, name: str = "Stage") -> Costs:
    stages = tuple(
        StageCost(f"{name}{number}", time, 0, 10 * time, 0) for number, time in enumerate(times)
    )
    return Costs(StageCost("application", 400.0, 0, 1500.0, 0), stages)


def drawn(costs: Costs, title: str = "Costs") -> ET.Element:
    return ET.fromstring(chart(costs, title=title))  # noqa: S314 - our own


def texts(svg: ET.Element) -> list[str]:
    return [(element.text or "").strip() for element in svg.iter(f"{SVG}text")]


def bars(svg: ET.Element, kind: str = "bar") -> list[float]:
    found = svg.iter(f"{SVG}rect")
    return [float(bar.attrib["width"]) for bar in found if bar.get("class") == kind]


def test_each_panel_has_the_stages_in_order_and_the_base_last() -> None:
    assert texts(drawn(costs(250.0, 750.0))) == [
        "Costs",
        "One message in and one out",
        "all stages 1.00 µs",
        "Stage0",
        "250 ns · 25 %",
        "Stage1",
        "750 ns · 75 %",
        "application",
        "400 ns",
        "Opening and ending a connection",
        "all stages 10.0 µs",
        "Stage0",
        "2.50 µs · 25 %",
        "Stage1",
        "7.50 µs · 75 %",
        "application",
        "1.50 µs",
    ]


def test_bars_are_as_long_as_the_times() -> None:
    svg = drawn(costs(250.0, 1000.0))
    short, long, *_ = bars(svg)
    assert short == pytest.approx(long / 4, abs=0.1)
    assert bars(svg, "base")[0] == pytest.approx(0.4 * long, abs=0.1)


def test_where_nothing_costs_anything_bars_are_hints() -> None:
    free = Costs(StageCost("application", 0, 0, 0, 0), (StageCost("Stage", 0, 0, 0, 0),))
    svg = drawn(free)
    assert bars(svg) == bars(svg, "base") == [1.0, 1.0]
    assert "0 ns · 0 %" in texts(svg)


def test_everything_is_inside_the_picture_and_below_one_another() -> None:
    svg = drawn(costs(*[100.0] * 12, name="x" * 90))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    rows = [float(text.attrib["y"]) for text in svg.iter(f"{SVG}text")]
    assert rows == sorted(rows)
    assert rows[-1] < height
    for bar in svg.iter(f"{SVG}rect"):
        if bar.get("class") == "bar":
            assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width - 100


def test_names_are_aligned_and_one_that_is_too_long_is_cut() -> None:
    svg = drawn(costs(1.0, 2.0, name=LONG), title="t" * 100)
    right = [each for each in svg.iter(f"{SVG}text") if each.get("class") == "right ink"]
    assert len({each.attrib["x"] for each in right}) == 1
    assert all(len((each.text or "").strip()) == 32 for each in right)
    assert (right[0].text or "").strip().endswith("…")
    assert right[0].findtext(f"{SVG}title") == f"{LONG}0"
    assert texts(svg)[0] == "t" * 69 + "…"


def test_it_can_be_read_aloud() -> None:
    svg = drawn(costs(250.0, 750.0), title="What it costs")
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == svg.findtext(f"{SVG}title") == "What it costs"
    assert svg.findtext(f"{SVG}desc") == (
        "One message in and one out: Stage0 250 ns (25 %), Stage1 750 ns (75 %); "
        "application alone 400 ns. "
        "Opening and ending a connection: Stage0 2.50 µs (25 %), Stage1 7.50 µs (75 %); "
        "application alone 1.50 µs."
    )


def test_whatever_is_in_the_texts_is_text() -> None:
    title = "</title><script>&\x00\ud800"
    picture = chart(costs(1.0, name="<b>&"), title=title)
    assert "<script>" not in picture
    svg = ET.fromstring(picture.encode())  # noqa: S314 - our own
    assert texts(svg)[0] == "</title><script>&\ufffd\ufffd"
    assert "<b>&0" in texts(svg)


def test_it_needs_nothing_from_elsewhere_and_follows_the_viewers_preference() -> None:
    picture = chart(costs(1.0), title="Costs")
    assert picture.count("http") == 1  # the namespace
    assert "url(" not in picture
    assert "@import" not in picture
    assert "@media (prefers-color-scheme: dark)" in picture


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_inks_stand_out_from_the_ground(scheme: int) -> None:
    style = drawn(costs(1.0)).findtext(f"{SVG}style") or ""
    colours = style.split("@media")[scheme]
    ground = colour(colours, "ground")
    assert contrast(colour(colours, "ink"), ground) >= 4.5
    assert contrast(colour(colours, "faint"), ground) >= 4.5
    assert contrast(colour(colours, "bar"), ground) >= 3
    assert contrast(colour(colours, "base"), ground) >= 3


def colour(style: str, name: str) -> list[int]:
    number = style.split(f"--{name}: #")[1][:6]
    return list(bytes.fromhex(number))


def contrast(one: list[int], other: list[int]) -> float:
    """Give the contrast ratio of two colours (WCAG 2.2, "contrast ratio")."""

    def luminance(colour: list[int]) -> float:
        parts = [each / 255 for each in colour]
        red, green, blue = (
            p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (0.4, "0 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (9994, "9.99 µs"),
        (9996, "10.0 µs"),
        (99_960, "100 µs"),
        (999_600, "1.00 ms"),
        (2_500_000_000, "2,500 ms"),
    ],
)
def test_a_time_has_three_digits_and_the_unit_that_fits(nanoseconds: float, text: str) -> None:
    assert duration(nanoseconds) == text
