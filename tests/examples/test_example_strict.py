"""`examples/strict/`: the commands like it, and the page about it keeps its word."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "strict"
PAGE = ROOT / "docs" / "how-to" / "security.md"
OURS = "https://chat.example.com"
GUARDS = {
    "OriginCheck",
    "ConnectionLimit",
    "RateLimit",
    "MessageSizeLimit",
    "AuthDeadline",
    "Timeouts",
    "SendQueue",
    "Recovery",
    "Drain",
}


def printed(run: Callable[..., Any], *arguments: str) -> tuple[int, str]:
    with run("wspipe", *arguments, cwd=FOLDER) as process:
        text = process.communicate()[0]
    return process.returncode, text


def test_every_connection_passes_every_guard(run: Callable[..., Any]) -> None:
    for path in ("/chat/lobby", "/", "/chat/lobby/more"):
        _, text = printed(run, "show", "--path", path)
        assert {name for name in GUARDS if f"── {name} " in text} == GUARDS


def test_explain_measures_it(run: Callable[..., Any]) -> None:
    code, text = printed(run, "explain")
    assert code == 0, text
    assert "all stages" in text


def test_the_command_of_the_page_serves_it(run: Callable[..., Any]) -> None:
    (command,) = re.findall(r"^\$ wspipe (run .*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    with run("wspipe", *command.split(), "--port", "0", cwd=FOLDER) as process:
        log = process.stdout.readline()
        started = json.loads(log)
        assert started["event"] == "run.start"
        url = f"ws://{started['address']}/chat/lobby"
        with pytest.raises(InvalidStatus) as refused:
            connect(url, origin="https://evil.example", proxy=None)
        assert refused.value.response.status_code == 403
        with connect(f"{url}?invitation=1234567", origin=OURS, proxy=None) as client:
            assert "Sec-WebSocket-Extensions" not in client.response.headers
            client.send("x" * 20_000)
            with pytest.raises(ConnectionClosed):
                client.recv(10)
            assert client.close_code == 1009
        process.terminate()
        log += process.communicate()[0]
    assert "drain.done" in log
    assert "1234567" not in log


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    assert len(named) >= 20
    assert {name for name in named if f"def {name}(" not in tests} == set()


def test_the_page_names_every_attack() -> None:
    page = PAGE.read_text(encoding="utf-8")
    attacks = (ROOT / "tests" / "servers" / "test_server_strict.py").read_text(encoding="utf-8")
    names = re.findall(r"^async def (test_\w+)\(", attacks, re.MULTILINE)
    assert [name for name in names if f"`{name}`" not in page] == []
