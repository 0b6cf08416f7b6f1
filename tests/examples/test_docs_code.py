"""The Python code in the pages runs, and prints what the pages show."""

from __future__ import annotations

import logging
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from opentelemetry.sdk.metrics import MeterProvider

import wspipe
import wspipe_middlewares
from wspipe.state_machine import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCS = Path(__file__).parents[2] / "docs"
PAGES_WITH_CODE = [
    page for page in sorted(DOCS.rglob("*.md")) if "```python" in page.read_text(encoding="utf-8")
]


@pytest.fixture
def alarm() -> Iterator[None]:
    """Interrupt code that does not end."""

    def ring(*_: object) -> None:
        raise TimeoutError

    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def stripped(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def test_the_pages_that_have_code_are_found() -> None:
    names = {page.stem for page in PAGES_WITH_CODE}
    assert names >= {"first-pipeline", "first-interceptor", "order", "state-machine"}


@pytest.fixture
def as_before() -> Iterator[None]:
    """Leave structlog and the root logger as they were."""
    root, config = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**config)


@pytest.mark.usefixtures("alarm", "as_before")
@pytest.mark.parametrize("page", PAGES_WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_page_prints_what_the_page_shows(
    page: Path, blocks: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    found = blocks(page)
    assert sum(block.language == "python" for block in found) == page.read_text(
        encoding="utf-8"
    ).count("```python\n")
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language == "python":
            exec(compile(block.body, str(page), "exec"), namespace)  # noqa: S102 - our own pages
            is_output = following and following.language == "text" and not following.options
            expected = following.body if is_output else ""
            assert stripped(capsys.readouterr().out) == stripped(expected)
    for value in namespace.values():
        if isinstance(value, MeterProvider):
            value.shutdown()


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_a_shown_output_follows_code_or_has_a_name(page: Path, blocks: Callable[..., Any]) -> None:
    found = blocks(page)
    for block, preceding in zip(found, [None, *found][: len(found)], strict=True):
        if block.language == "text" and "name" not in block.options:
            assert preceding is not None
            assert preceding.language == "python"


def test_the_picture_has_every_state_and_event_of_the_table() -> None:
    picture = (DOCS / "explanation" / "state-machine.svg").read_text(encoding="utf-8")
    for rule in RULES:
        for state in {rule.then, *rule.received, *rule.sent}:
            assert f">{state}<" in picture
        assert f">{rule.event.removeprefix('websocket.')}<" in picture


def test_every_public_name_is_in_the_reference() -> None:
    reference = "".join(
        page.read_text(encoding="utf-8") for page in (DOCS / "reference").rglob("*.md")
    )
    documented = {path.rpartition(".")[2] for path in re.findall(r"auto\w+:: ([\w.]+)", reference)}
    assert {*wspipe.__all__, *wspipe_middlewares.__all__} <= documented
