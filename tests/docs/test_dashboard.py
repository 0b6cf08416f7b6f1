"""The dashboard and the alerting rules are what their generator makes of the names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING, Any

import pytest

from wspipe_middlewares import names

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[2] / "docs" / "observability"
FILES = ("dashboard.json", "alerts.yaml")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the generator in a copy of its folder, from which what it wrote is gone."""
    copy = tmp_path_factory.mktemp("docs") / "observability"
    copytree(FOLDER, copy)
    for name in FILES:
        (copy / name).unlink()
    subprocess.run([sys.executable, copy / "generate.py"], check=True, timeout=60)
    return copy


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((FOLDER / "dashboard.json").read_text(encoding="utf-8"))


@pytest.fixture
def promql(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(FOLDER))
    import promql  # noqa: PLC0415 - it is found only now

    yield promql
    del sys.modules["promql"]


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_what_the_generator_writes(name: str, generated: Path) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == (generated / name).read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("metric", "part", "name"),
    [
        (names.ACTIVE, "", "wspipe_connections_active"),
        (names.REJECTED, "", "wspipe_connections_rejected_total"),
        (names.MESSAGE_BYTES, "", "wspipe_message_bytes_total"),
        (names.DURATION, "bucket", "wspipe_connection_duration_seconds_bucket"),
        (names.SIZE, "count", "wspipe_message_size_bytes_count"),
    ],
)
def test_a_series_has_the_name_that_the_exporter_gives(
    metric: names.Metric, part: str, name: str, promql: Any
) -> None:
    assert promql.series(metric, part) == name


def test_a_metric_cannot_be_asked_for_what_it_does_not_tell(promql: Any) -> None:
    with pytest.raises(ValueError, match="active has no attribute error"):
        promql.total(names.ACTIVE, [names.ERROR_TYPE], [])


def test_every_metric_has_a_panel(dashboard: Any, promql: Any) -> None:
    shown = " ".join(t["expr"] for panel in dashboard["panels"] for t in panel["targets"])
    for metric in names.METRICS:
        assert promql.series(metric) in shown


def test_a_panel_tells_which_option_it_takes(dashboard: Any) -> None:
    described = " ".join(panel["description"] for panel in dashboard["panels"])
    optional = [metric.option for metric in names.METRICS if metric.option]
    assert optional
    assert all(f"Metrics({option}=True)" in described for option in optional)


def test_the_panels_do_not_overlap(dashboard: Any) -> None:
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(places) == len(set(places))
    assert all(0 <= x < 24 for x, _ in places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_every_variable_in_a_query_is_one_of_the_dashboard(dashboard: Any) -> None:
    known = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard)))
    assert known == {"datasource", "job", "route"}
    assert used - {"__rate_interval", "__all"} == known
