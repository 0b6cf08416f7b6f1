"""The README's commands, and the links of the pages that Sphinx does not look at."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from tests.docs.terminal import Server, free_port

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
    port = free_port()
    server = Server(f"wspipe demo --port {port}", port, tmp_path, environment)
    request.addfinalizer(server.end)
    page = httpx.get(f"http://127.0.0.1:{port}/", timeout=10)
    assert page.status_code == 200
    assert "<title>" in page.text


PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "middlewares/README.md")


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)", text)
    folder = (ROOT / page).parent
    assert [link for link in links if not (folder / link).exists()] == []
    labels = set(re.findall(r"\]\[([^\]]+)\]", text))
    assert labels == {label for label in labels if f"\n[{label}]: https://" in text}
