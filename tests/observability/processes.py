"""A real Prometheus, and what it scrapes."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

TIMEOUT = 30.0
HERE = Path(__file__).parent
ALERTS = HERE.parents[1] / "docs" / "observability" / "alerts.yaml"


class Prometheus:
    """A running Prometheus.

    Args:
        url: Where its HTTP API is.
    """

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=TIMEOUT)

    def get(self, path: str, **parameters: str) -> Any:
        """Ask the API; an answer that is no success fails the test."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, query: str) -> dict[str, float]:
        """Give the finite values of a query by their labels."""
        result = self.get("query", query=query)["result"]
        values = {json.dumps(each["metric"]): float(each["value"][1]) for each in result}
        return {labels: value for labels, value in values.items() if math.isfinite(value)}

    def rules(self) -> dict[str, Any]:
        """Give the alerting rules by name."""
        groups = self.get("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def close(self) -> None:
        self._client.close()


def wait_until(condition: Callable[[], Any]) -> Any:
    """Wait until something is true, and give it."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
    return found


@contextmanager
def running(log: Path, pattern: str, *command: str | Path) -> Iterator[str]:
    """Run a program, and give what it logs of the address it listens on."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent)

    def address() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(pattern, log.read_text())
        return found and found[1]

    try:
        yield wait_until(address)
    finally:
        process.terminate()
        try:
            process.wait(TIMEOUT)
        finally:
            process.kill()


@contextmanager
def running_prometheus(
    program: str, folder: Path, targets: Mapping[str, str]
) -> Iterator[Prometheus]:
    """Run Prometheus with our rules, to scrape an address for each job."""
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [address]}]}
        for job, address in targets.items()
    ]
    often = {"scrape_interval": "300ms", "scrape_timeout": "300ms", "evaluation_interval": "300ms"}
    # JSON is YAML too.
    configuration = {"global": often, "rule_files": [str(ALERTS)], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    options = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    )
    listening = r'msg="Listening on" address=(\S+)'
    with running(folder / "log", listening, program, *options) as address:
        prometheus = Prometheus(f"http://{address}")
        try:
            wait_until(prometheus.is_ready)
            yield prometheus
        finally:
            prometheus.close()


@contextmanager
def running_endings(log: Path) -> Iterator[str]:
    """Run the application in endings.py, and give its address."""
    command = (sys.executable, "-m", "uvicorn", "endings:app", "--port", "0", "--app-dir", HERE)
    with running(log, r"running on http://(127\.0\.0\.1:\d+)", *command) as address:
        yield address


def find_program(name: str) -> str:
    """Find a program; without it skip the test, but fail it in CI."""
    if program := shutil.which(name):
        return program
    reason = f"no {name} on the PATH; Debian's package prometheus has it"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
