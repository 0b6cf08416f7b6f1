"""The command in this process, so that its coverage counts."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from wspipe import cli
from wspipe.cli import command, demo, server
from wspipe_middlewares.logging import configure

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT = 20.0


@pytest.fixture
def clean_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_main_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("wspipe: typer is not installed;")


def test_main_tells_a_fault_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: Any) -> None:
        raise LookupError("nobody\nknows")

    monkeypatch.setattr(command, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 2
    told = "wspipe: a fault of wspipe, or of a package that it uses: LookupError: nobody knows\n"
    assert capsys.readouterr().err == told


def test_the_package_runs_as_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--version"])
    monkeypatch.delitem(sys.modules, "wspipe.__main__", raising=False)
    with pytest.raises(SystemExit) as caught:
        importlib.import_module("wspipe.__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"wspipe {version('wspipe')}\n"


def test_without_a_subcommand_it_prints_the_help() -> None:
    result = CliRunner().invoke(command.app)
    assert result.exit_code == 0
    assert "Usage:" in result.stdout
    assert "demo" in result.stdout


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(command.app, ["demo", "--port", str(port)])
    assert result.exit_code == 2
    assert f"port {port}: address already in use" in result.stderr


@pytest.mark.parametrize("port", ["abc", "-1", "65536", "1.5", ""])
def test_a_bad_port_is_said_in_one_line(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(command, "listen")
    result = CliRunner().invoke(command.app, ["demo", "--port", port])
    assert result.exit_code == 2
    assert result.stderr == (
        f"wspipe: {port!r} is no port; give a number from 1 to 65535, or 0 for any free port\n"
    )


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64, ""])
def test_an_unknown_host_is_said_in_one_line(host: str) -> None:
    result = CliRunner().invoke(command.app, ["demo", "--host", host])
    assert result.exit_code == 2
    assert result.stderr == f"wspipe: there is no host {host!r}; choose another --host\n"


def test_it_listens_on_ipv6_too() -> None:
    try:
        listener = server.listen("::1", 0)
    except server.ListenError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with listener:
        assert listener.family == socket.AF_INET6


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.usefixtures("clean_logs")
def test_the_demo_runs_until_it_is_stopped(
    options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners: list[socket.socket] = []

    def listen(host: str, port: int) -> socket.socket:
        listeners.append(server.listen(host, port))
        return listeners[0]

    monkeypatch.setattr(command, "listen", listen)
    seen: list[Any] = []

    def visit() -> None:
        while not listeners:
            time.sleep(0.01)
        port = listeners[0].getsockname()[1]
        seen.append(httpx.get(f"http://127.0.0.1:{port}", timeout=TIMEOUT).status_code)
        with connect(f"ws://127.0.0.1:{port}/chat") as client:
            os.kill(os.getpid(), signal.SIGINT)
            try:
                while True:
                    client.recv(TIMEOUT)
            except ConnectionClosed as end:
                seen.append((end.rcvd.code, end.rcvd.reason))

    visitor = threading.Thread(target=visit)
    visitor.start()
    result = CliRunner().invoke(command.app, ["demo", "--port", "0", *options])
    visitor.join(TIMEOUT)
    assert result.exit_code == 0, result.output
    assert seen == [200, (1001, "the demo was stopped")]
    *_, closed, last = result.stdout.splitlines()
    assert "websocket.close" in closed
    assert "stop" in last


def test_a_second_signal_stops_without_waiting() -> None:
    it = server.Server(demo.app, started=list, stopping=demo.close_all)
    it.handle_exit(signal.SIGINT, None)
    assert (it.should_exit, it.force_exit) == (True, False)
    it.handle_exit(signal.SIGTERM, None)
    assert it.force_exit


@pytest.mark.usefixtures("clean_logs")
def test_what_uvicorn_reports_is_logged_as_everything_else(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    server.Server(demo.app, started=list, stopping=demo.close_all)
    configure(json=True, colors=False)
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.warning("%s went wrong\n", "something")
    uvicorn.error("ASGI callable returned without completing handshake.")
    try:
        int("broken")
    except ValueError:
        uvicorn.exception("Exception in ASGI application\n")
    first, second = map(json.loads, capsysbinary.readouterr().out.splitlines())
    assert (first["event"], first["level"]) == ("something went wrong", "warning")
    assert (second["event"], second["level"]) == ("Exception in ASGI application", "error")
    assert first["logger"] == second["logger"] == "uvicorn.error"
    assert second["exception"].endswith(
        "ValueError: invalid literal for int() with base 10: 'broken'"
    )


@pytest.mark.usefixtures("clean_logs")
def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, colors=False)
    password = os.urandom(8).hex()
    try:
        int(password[:0])
    except ValueError:
        structlog.get_logger().exception("failed")
    output = capsys.readouterr().out
    assert "Traceback" in output
    assert output.endswith("ValueError: invalid literal for int() with base 10: ''\n")
    assert password not in output
