"""Where the readers of the pages sit: in what the tests run in, or with a wheel only."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.markdown import blocks_of
from tests.docs.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
WHEEL = os.environ.get("WSPIPE_WHEEL", "")
"""A wheel, to follow the pages in a fresh environment for each, with what they install alone."""
INSTALL = ROOT / "docs" / "install.md"
RUN = ROOT / "docs" / "how-to" / "run.md"
OPENTELEMETRY = ROOT / "docs" / "how-to" / "opentelemetry.md"
"""The page that needs a collector: see `test_collector.py`."""
PIP = """#!/bin/sh
pip() {{ {python} -m pip "$@"; }}
offline="--no-index --no-build-isolation -q"
case "$*" in
"install -e . "*)
    pip install $offline --no-deps --upgrade --target {site} . || exit
    for package in src/*; do
        rm -r "{site}/${{package#src/}}" && ln -s "$PWD/$package" {site}
    done;;
"install "*) shift; pip install --dry-run $offline "$@";;
*) pip "$@";;
esac
"""
LEFT_OUT = ("PYTEST_", "COVERAGE_", "VIRTUAL_ENV", "PYTHONPATH", "STORE_URL", "REDIS_URL", "OTEL_")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Give the variables of a reader, in whose PATH are the commands that are installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_OUT)}
    look = [] if WHEEL else [_only_look(tmp_path / "look"), Path(sys.executable).parent]
    return {
        **kept,
        "PATH": os.pathsep.join((*map(str, look), os.environ["PATH"])),
        "PYTHONPATH": "" if WHEEL else str(tmp_path / "look" / "site"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "PYTEST_ADDOPTS": "-p no:asyncio",  # which warns wherever it is not configured
        "NO_COLOR": "1",
    }


def _only_look(folder: Path) -> Path:
    """Make a `pip` that looks whether what it should install is there: no network is needed.

    A checkout, `-e .`, it installs, where this reader alone finds it.
    """
    folder.mkdir()
    pip = folder / "pip"
    pip.write_text(PIP.format(python=sys.executable, site=folder / "site"))
    pip.chmod(0o755)
    return folder


@pytest.fixture
def reader(tmp_path: Path, environment: dict[str, str]) -> Iterator[Reader]:
    """Give a reader in a folder that is empty, or has what `docs/install.md` brings."""
    folder = tmp_path / "here"
    folder.mkdir()
    reader = Reader(folder, environment, tmp_path / "memory.json")
    if WHEEL:
        shutil.copy(WHEEL, folder)
        reader.follow(INSTALL)
    yield reader
    reader.leave()


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    """Give a folder with the chat and the first configuration of the page on running it."""
    shutil.copy(ROOT / "examples" / "configured" / "chat.py", tmp_path)
    first, *_ = [block.body for block in blocks_of(RUN) if block.saved_as == "wspipe.toml"]
    (tmp_path / "wspipe.toml").write_text(first, encoding="utf-8")
    return tmp_path
