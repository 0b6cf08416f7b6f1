"""The command as a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from websockets.sync.client import connect

from tests.wspipe.running_demo import TIMEOUT, close_of, running

if TYPE_CHECKING:
    from pathlib import Path

STOPPED = (1001, "the demo was stopped")


def wspipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "wspipe", *arguments)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False
    )


def test_the_demo_serves_the_page_and_the_chat_and_logs_json_lines(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--json") as it:
        page = httpx.get(it.url)
        assert page.status_code == 200
        assert "<title>wspipe demo</title>" in page.text
        with connect(it.chat) as client:
            welcome = json.loads(client.recv(TIMEOUT))
            client.recv(TIMEOUT)
            client.send('{"type":"say","name":"Ada","text":"hello"}')
            said = json.loads(client.recv(TIMEOUT))
            assert said == {"type": "said", "name": "Ada", "text": "hello"}
            client.close(1000, "bye")
        lines = [json.loads(line) for line in it.stop().splitlines()]

    assert [line["event"] for line in lines] == [
        "demo.start",
        "websocket.open",
        "websocket.close",
        "demo.stop",
    ]
    start, opened, closed, _ = lines
    assert start["url"] == it.url
    assert all(line["level"] == "info" for line in lines)
    assert all(re.fullmatch(r"[\d-]{10}T[\d:.]+Z", line["timestamp"]) for line in lines)
    assert opened["connection_id"] == closed["connection_id"] == welcome["id"]
    assert opened["path"] == "/chat"
    assert opened["client"].startswith("127.0.0.1:")
    assert (closed["messages_received"], closed["messages_sent"]) == (1, 3)
    assert (closed["code"], closed["reason"], closed["closed_by"]) == (1000, "bye", "client")
    assert closed["duration"] > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_the_sockets_with_1001_and_exits_with_0(
    tmp_path: Path, number: int
) -> None:
    with running(tmp_path / "log") as it, connect(it.chat) as ada, connect(it.chat) as grace:
        ada.recv(TIMEOUT)
        grace.recv(TIMEOUT)
        output = it.stop(number)
        assert close_of(ada) == STOPPED
        assert close_of(grace) == STOPPED

    first, *middle, last = output.splitlines()
    assert first == f"wspipe demo: open {it.url} in two tabs. Ctrl-C stops it."
    assert last == "wspipe demo: stopped."
    events = [re.search(r"websocket\.\w+", line) for line in middle]
    assert [event and event[0] for event in events] == [
        "websocket.open",
        "websocket.open",
        "websocket.close",
        "websocket.close",
    ]
    assert "\x1b" not in output


def test_a_tab_that_reads_nothing_stops_neither_the_others_nor_the_end(tmp_path: Path) -> None:
    with running(tmp_path / "log") as it, connect(it.chat) as ada, socket.socket() as stuck:
        stuck.settimeout(TIMEOUT)
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck.connect(("127.0.0.1", int(it.url.rpartition(":")[2])))
        stuck.sendall(
            b"GET /chat HTTP/1.1\r\nHost: demo\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert b" 101 " in stuck.recv(100)
        for _ in range(3):
            ada.recv(TIMEOUT)  # welcome, one tab, two tabs
        message = json.dumps({"type": "say", "name": "Ada", "text": "x" * 60_000})
        for _ in range(200):
            ada.send(message)
            assert json.loads(ada.recv(TIMEOUT))["type"] == "said"
        output = it.stop()
        assert close_of(ada) == STOPPED
    assert "code=1013 reason='too slow' closed_by=Room" in output
    assert output.endswith("wspipe demo: stopped.\n")
    assert "Traceback" not in output


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = wspipe("demo", "--port", port)
    line = (
        f"wspipe: cannot listen on 127.0.0.1 port {port}: address already in use; "
        "choose another --port or --host\n"
    )
    assert (result.returncode, result.stdout, result.stderr) == (2, "", line)


@pytest.mark.parametrize("library", ["rich", "typer", "uvicorn", "websockets"])
def test_a_missing_extra_is_said_in_one_line(library: str) -> None:
    result = python(
        "-c", f"import sys; sys.modules[{library!r}] = None; import wspipe.cli; wspipe.cli.main()"
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"wspipe: {library} is not installed; the command needs pip install 'wspipe[cli]'\n"
    )


def test_an_unknown_option_exits_with_2() -> None:
    result = wspipe("demo", "--nope")
    assert result.returncode == 2
    assert "--nope" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_import_configures_nothing() -> None:
    result = python(
        "-c",
        "import logging, structlog, wspipe.cli.command;"
        "assert not structlog.is_configured(); assert not logging.getLogger().handlers",
    )
    assert (result.returncode, result.stderr) == (0, "")
