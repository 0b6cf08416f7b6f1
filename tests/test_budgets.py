"""What a message costs is known, stage by stage, and does not grow unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.built_in import BUILT_IN

ROOT = Path(__file__).parents[1]
BUDGETS = tomllib.loads((ROOT / "middlewares" / "budgets.toml").read_text(encoding="utf-8"))
PYTHON = sys.implementation.name, *sys.version_info[:2]


@pytest.mark.skipif(PYTHON != ("cpython", 3, 11), reason="each Python has bytecode of its own")
def test_no_stage_costs_more_than_its_budget_says_or_less() -> None:
    # What measures coverage would trace the same frames.
    environment = {key: os.environ[key] for key in os.environ if not key.startswith("COVERAGE")}
    command = [sys.executable, "-m", "benchmarks.instructions"]
    printed = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=True
    ).stdout
    changed = {
        f"{way}.{name}": f"{BUDGETS[way].get(name)} in the budget, now {number}"
        for way, counts in tomllib.loads(printed).items()
        for name, number in counts.items()
        if BUDGETS[way].get(name) != number
    }
    assert changed == {}, "see the head of middlewares/budgets.toml"


@pytest.mark.parametrize("way", BUDGETS)
def test_every_middleware_has_a_budget(way: str) -> None:
    assert set(BUILT_IN) - {"StateValidation"} <= set(BUDGETS[way])


@pytest.mark.parametrize("way", BUDGETS)
def test_what_only_watches_the_connection_costs_nothing_per_message(way: str) -> None:
    for name in ("ConnectionLimit", "Logging", "Metrics", "OriginCheck", "Tracing"):
        assert BUDGETS[way][name] == 0
