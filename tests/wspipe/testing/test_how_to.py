"""What the page on testing interceptors shows as tests are tests that pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wspipe.testing import check_middleware

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "test-interceptors.md"


@pytest.fixture
def page() -> dict[str, Any]:
    """Give all names that the page defines."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(compile(code, str(PAGE), "exec"), namespace)  # noqa: S102 - our own page
    return namespace


def test_the_tests_on_the_page_pass(page: dict[str, Any]) -> None:
    tests: dict[str, Callable[..., None]] = {
        name: value for name, value in page.items() if name.startswith("test_")
    }
    assert set(tests) == {
        "test_no_longer_than_keeps_the_contract",
        "test_a_high_limit_drops_nothing",
        "test_shouting_changes_text_only",
    }
    tests["test_no_longer_than_keeps_the_contract"](check_middleware)
    tests["test_a_high_limit_drops_nothing"](check_middleware)
    tests["test_shouting_changes_text_only"]()
