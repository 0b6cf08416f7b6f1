"""The unit for systemd that a page shows starts, reloads and stops the server."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.docs.markdown import blocks_of
from tests.docs.terminal import Server, free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "run.md"


@pytest.fixture
def unit(chat: Path) -> Path:
    """Save the unit, with the folders of a machine that has the chat."""
    (body,) = [block.body for block in blocks_of(PAGE) if block.saved_as == "chat.service"]
    commands = str(Path(sys.executable).parent)
    for there, here in (
        ("/srv/chat/.venv/bin", commands),
        ("/srv/chat", str(chat)),
        ("/etc/chat", str(chat)),
    ):
        assert there in body
        body = body.replace(there, here)
    unit = chat / "chat.service"
    unit.write_text(body, encoding="utf-8")
    return unit


def test_systemd_knows_what_the_unit_says(unit: Path) -> None:
    if not (program := shutil.which("systemd-analyze")):
        pytest.skip("no systemd-analyze is installed")
    done = subprocess.run([program, "verify", unit], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.decode()) == (0, "")


def test_the_unit_starts_reloads_and_stops_the_server(
    unit: Path, environment: dict[str, str]
) -> None:
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(unit)
    service = dict(parser["Service"])
    name, _, value = service["Environment"].partition("=")
    port = free_port()
    server = Server(
        f"{service['ExecStart']} --port {port}",
        port,
        Path(service["WorkingDirectory"]),
        {**environment, name: value},
    )
    try:
        (main,) = re.findall(r"\$(\w+)$", service["ExecReload"])
        reload = ["/bin/sh", "-c", service["ExecReload"]]
        subprocess.run(reload, env={**os.environ, main: str(server.process.pid)}, check=True)
        server.shows("config.applied")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=float(service["TimeoutStopSec"])) == 0
        server.shows("run.stop")
    finally:
        server.end()
