"""The pytest plugin: the fixtures `check_middleware` and `fake_clock`.

pytest loads it in every run of everybody who has wspipe installed, so it leaves
hypothesis and the check to whoever uses them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.testing import FakeClock


@pytest.fixture(name="check_middleware", scope="session")
def check_middleware_fixture() -> Callable[..., None]:
    """Give `wspipe.testing.check_middleware`, which runs a middleware through conversations."""
    from wspipe.testing import check_middleware  # noqa: PLC0415

    return check_middleware


@pytest.fixture(name="fake_clock")
def fake_clock_fixture() -> FakeClock:
    """Give a `wspipe.testing.FakeClock`, in whose time waiting costs nothing."""
    from wspipe.testing import FakeClock  # noqa: PLC0415

    return FakeClock()
