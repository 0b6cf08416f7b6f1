"""What all tests share."""

from __future__ import annotations

import os

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Have workers measured that share the tests, but none of the programs that tests start."""
    if not config.getoption("numprocesses"):
        os.environ.pop("COVERAGE_PROCESS_CONFIG", None)


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run every test marked `anyio` under both async libraries."""
    return str(request.param)
