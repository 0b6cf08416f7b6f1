"""The pod of Kubernetes that a page shows starts the server, stops it, and waits long enough."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.markdown import blocks_of
from tests.docs.terminal import Server, free_port

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "shutdown.md"


@pytest.fixture
def spec() -> dict[str, Any]:
    (body,) = [block.body for block in blocks_of(PAGE) if block.saved_as == "pod.yaml"]
    pod = yaml.safe_load(body)
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    spec: dict[str, Any] = pod["spec"]
    return spec


def test_the_pod_starts_the_server_and_stops_it(
    spec: dict[str, Any], chat: Path, environment: dict[str, str]
) -> None:
    (container,) = spec["containers"]
    port = free_port()
    command = " ".join(container["command"]).replace("0.0.0.0", "127.0.0.1")
    server = Server(f"{command} --port {port}", port, chat, environment)
    try:
        subprocess.run(container["lifecycle"]["preStop"]["exec"]["command"], check=True, timeout=10)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=spec["terminationGracePeriodSeconds"]) == 0
        server.shows("run.stop")
    finally:
        server.end()


def test_the_pod_has_as_long_as_the_page_says_that_it_takes(spec: dict[str, Any]) -> None:
    (container,) = spec["containers"]
    _, sleep = container["lifecycle"]["preStop"]["exec"]["command"]
    drain = container["command"][container["command"].index("--drain") + 1]
    parts = re.search(
        r"PeriodSeconds: \d+  # ([\d+ ]+), and some", PAGE.read_text(encoding="utf-8")
    )
    assert parts
    seconds = [int(part) for part in parts[1].split(" + ")]
    assert seconds[:2] == [int(sleep), int(drain)]
    assert sum(seconds) < spec["terminationGracePeriodSeconds"]
