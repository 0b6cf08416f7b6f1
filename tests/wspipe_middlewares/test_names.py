"""The names module: all that is told stands there, with its precedent."""

from __future__ import annotations

import re
from pathlib import Path

import wspipe_middlewares
from wspipe_middlewares import names

SOURCES = Path(wspipe_middlewares.__file__).parent.rglob("*.py")


def test_every_attribute_that_is_named_is_described_and_the_other_way_round() -> None:
    constants = {
        value
        for name, value in vars(names).items()
        if isinstance(value, str)
        and not name.startswith("_")
        and "." in value
        and not name.endswith(("_KEY", "_URL"))
    }
    assert constants == set(names.ATTRIBUTES)
    assert all(a.meaning and a.precedent for a in names.ATTRIBUTES.values())


def test_a_metric_has_only_described_attributes() -> None:
    for metric in names.METRICS:
        assert set(metric.attributes) <= set(names.ATTRIBUTES)
        assert metric.precedent
        assert metric.description.endswith(".")
        assert (metric.buckets is not None) == (metric.kind == "histogram")


def test_no_metric_tells_who_a_client_is() -> None:
    for metric in names.METRICS:
        for private in (names.CLIENT_ADDRESS, names.CONNECTION_ID, names.PATH, names.CLOSE_REASON):
            assert private not in metric.attributes


def test_our_own_names_begin_with_ours_and_the_others_are_opentelemetrys() -> None:
    theirs = r"(http|url|server|client|network|user_agent|error|exception)\."
    for name in names.ATTRIBUTES:
        assert re.match(rf"wspipe\.|{theirs}", name)
    assert all(metric.name.startswith("wspipe.") for metric in names.METRICS)


def test_no_name_is_written_anywhere_else() -> None:
    every = [*names.ATTRIBUTES, *(metric.name for metric in names.METRICS)]
    for path in SOURCES:
        if path.name != "names.py":
            text = path.read_text()
            assert [name for name in every if f'"{name}"' in text] == [], path
