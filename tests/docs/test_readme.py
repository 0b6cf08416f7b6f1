"""The two commands of the README: the one that `.ci/run` runs, and the demo, which begins alike."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.docs.terminal import Server

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO, TESTS = re.findall(r"^python3 -m venv .*$", README, re.MULTILINE)


def test_the_command_for_the_tests_is_the_one_that_the_ci_runs() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"^command=\$\(grep -E '(.*)' README.md\)$", script, re.MULTILINE)
    assert re.findall(pattern + ".*", README, re.MULTILINE) == [TESTS]


def test_the_command_for_the_demo_sets_up_what_the_other_does() -> None:
    *setup, demo = DEMO.split(" && ")
    assert setup[0] in TESTS
    assert setup[1] in TESTS
    assert demo == ".venv/bin/wspipe demo"


def test_the_demo_serves_its_page(
    tmp_path: Path, environment: dict[str, str], request: pytest.FixtureRequest
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(f"wspipe demo --port {port}", port, tmp_path, environment)
    request.addfinalizer(server.end)
    page = httpx.get(f"http://127.0.0.1:{port}/", timeout=10)
    assert page.status_code == 200
    assert "<title>" in page.text
