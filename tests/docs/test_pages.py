"""Each page, followed to the letter: its files saved, its commands run, its outputs compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.docs.conftest import INSTALL, OPENTELEMETRY, WHEEL
from tests.docs.markdown import blocks_of

if TYPE_CHECKING:
    from tests.docs.reader import Reader

ROOT = Path(__file__).parents[2]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if page not in {INSTALL, OPENTELEMETRY}
    and any(not block.directive and block.language != "none" for block in blocks_of(page))
]


@pytest.mark.skipif(not WHEEL, reason="it installs from a package index; WSPIPE_WHEEL is not set")
def test_the_page_on_installing_is_true_to_the_letter(reader: Reader) -> None:
    assert (reader.folder / ".venv").is_dir()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_true_to_the_letter(page: Path, reader: Reader) -> None:
    reader.follow(page)
