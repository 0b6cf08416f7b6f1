"""The pytest plugin: a check of a middleware is one line."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio

from wspipe import Pipeline
from wspipe.testing import FakeClock
from wspipe.testing import check_middleware as check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEST = """
import anyio

class DropsClose:
    def __call__(self, connection, receive, send):
        async def send_some(event):
            if event["type"] != "websocket.close":
                await send(event)
        return receive, send_some

def test_drops_close(check_middleware):
    check_middleware(DropsClose)

def test_waits(fake_clock):
    fake_clock.run(anyio.sleep, 3600)
    assert fake_clock.time == 3600
"""


def test_the_fixture_checks(check_middleware: Callable[..., None]) -> None:
    assert check_middleware is check
    check_middleware(Pipeline, examples=10)


def test_the_fixture_is_a_clock_of_ones_own(fake_clock: FakeClock) -> None:
    assert isinstance(fake_clock, FakeClock)
    fake_clock.run(anyio.sleep, 60)
    assert fake_clock.time == 60


def test_pytest_finds_the_fixtures_and_shows_the_conversation(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout
    assert "DropsClose breaks the rule 'answers'" in done.stdout
    assert "  2. the application closes with 1000" in done.stdout


def test_the_plugin_imports_nothing_that_only_its_users_need() -> None:
    program = "import sys, wspipe.testing.plugin; print('hypothesis' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "False\n"
