"""Prometheus scrapes what runs, and the dashboard and the alerts find what they ask for."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.observability.processes import (
    ALERTS,
    TIMEOUT,
    Prometheus,
    find_program,
    running_endings,
    running_prometheus,
    wait_until,
)
from tests.wspipe.running_demo import close_of
from tests.wspipe.running_demo import running as running_demo

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs" / "observability"
DASHBOARD = json.loads((DOCS / "dashboard.json").read_text(encoding="utf-8"))
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
VARIABLES = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
RULES = re.findall(r"- alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
ROUNDS = 2
FAILURES = 4
"""How often a handler and a handshake fail in a round: a single failure is no alert."""


def use_the_demo(url: str) -> None:
    """End a connection in every way that the demo knows."""
    with connect(f"{url}/chat") as client:
        for number in range(10):
            client.send(f'{{"type":"flood","number":{number}}}')
        while client.recv(TIMEOUT) != '{"type":"echo","number":9}':
            pass
    for message, code in ((b"{}", 1003), ("no JSON", 1007)):
        with connect(f"{url}/chat") as client:
            client.send(message)
            assert close_of(client)[0] == code
    with connect(f"{url}/chat") as client:
        while '"tabs":1' not in str(client.recv(TIMEOUT)):
            pass
        client.socket.shutdown(socket.SHUT_RDWR)  # for uvicorn a close without a code, 1005
    with pytest.raises(InvalidStatus, match="404"):
        connect(f"{url}/elsewhere")
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{url}/chat", origin="http://elsewhere.test")


def use_the_endings(url: str) -> None:
    """Have a handler fail, and a handshake."""
    with connect(f"{url}/open") as client:
        client.send(b"\0" * 100)
        assert client.recv(TIMEOUT) == b"\0" * 100
        assert close_of(client)[0] == 1011
    with pytest.raises(InvalidStatus, match="503"):
        connect(f"{url}/closed")


def filled_in(query: str) -> str:
    """Fill in the variables as Grafana does, all jobs and routes chosen."""
    query = query.replace("$__rate_interval", "1m")
    for name, variable in VARIABLES.items():
        query = query.replace(f"${name}", variable.get("allValue", ""))
    assert "$" not in query
    return query


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has seen traffic grow, with a connection still open."""
    program = find_program("prometheus")
    folder = tmp_path_factory.mktemp("observability")
    with ExitStack() as stack:
        demo = stack.enter_context(running_demo(folder / "demo.log", "--prometheus"))
        endings = stack.enter_context(running_endings(folder / "endings.log"))
        targets = {"demo": demo.url.removeprefix("http://"), "endings": endings}
        prometheus = stack.enter_context(running_prometheus(program, folder, targets))
        demo_url = demo.chat.removesuffix("/chat")
        for number in range(1, ROUNDS + 1):
            use_the_demo(demo_url)
            for _ in range(FAILURES):
                use_the_endings(f"ws://{endings}")
            # A rate takes a scrape of every round.
            for metric, count in (
                ("wspipe_connection_duration_seconds_count", (4 + FAILURES) * number),
                ("wspipe_connections_rejected_total", (2 + FAILURES) * number),
            ):
                seen = {"{}": float(count)}
                wait_until(lambda m=metric, s=seen: prometheus.query(f"sum({m})") == s)
        client = stack.enter_context(connect(demo.chat))
        client.recv(TIMEOUT)
        wait_until(lambda: prometheus.query("sum(wspipe_connections_active)") == {"{}": 1.0})
        yield prometheus


def test_the_demo_is_up_and_its_messages_are_counted(prometheus: Prometheus) -> None:
    assert prometheus.query('up{job="demo"}').popitem()[1] == 1
    received = 'job="demo", http_route="/chat", network_io_direction="receive"'
    by_type = f"sum by (wspipe_message_type) (wspipe_messages_total{{{received}}})"
    assert prometheus.query(by_type) == {
        '{"wspipe_message_type": "text"}': 11 * ROUNDS,
        '{"wspipe_message_type": "binary"}': ROUNDS,
    }
    by_code = 'sum by (wspipe_close_code) (wspipe_connection_duration_seconds_count{job="demo"})'
    assert prometheus.query(by_code) == {
        f'{{"wspipe_close_code": "{code}"}}': ROUNDS for code in (1000, 1003, 1005, 1007)
    }


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_dashboard_returns_data(query: str, prometheus: Prometheus) -> None:
    wait_until(lambda: any(value > 0 for value in prometheus.query(filled_in(query)).values()))


@pytest.mark.parametrize(("name", "value"), [("job", "demo"), ("route", "/chat")])
def test_a_variable_of_the_dashboard_has_choices(
    name: str, value: str, prometheus: Prometheus
) -> None:
    found = re.fullmatch(r"label_values\((.*), (\w+)\)", filled_in(VARIABLES[name]["query"]))
    assert found is not None
    assert value in prometheus.get(f"label/{found[2]}/values", **{"match[]": found[1]})


@pytest.mark.parametrize("name", RULES)
def test_an_alert_is_evaluated_without_an_error(name: str, prometheus: Prometheus) -> None:
    rule = wait_until(lambda: (it := prometheus.rules()[name])["health"] != "unknown" and it)
    assert (rule["health"], rule.get("lastError", "")) == ("ok", "")
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description"}


@pytest.mark.parametrize(
    ("name", "job"),
    [
        ("WebSocketAbnormalCloses", "demo"),
        ("WebSocketErrors", "endings"),
        ("WebSocketHandshakesFail", "endings"),
    ],
)
def test_an_alert_sees_what_it_is_for(name: str, job: str, prometheus: Prometheus) -> None:
    def pending() -> list[dict[str, Any]]:
        return prometheus.rules()[name]["alerts"]

    (alert,) = wait_until(pending)
    assert (alert["state"], alert["labels"]["job"]) == ("pending", job)
    assert job in alert["annotations"]["summary"]


@pytest.mark.parametrize(
    "name", ["WebSocketMetricsAbsent", "WebSocketSlowHandlers", "WebSocketSlowSends"]
)
def test_an_alert_sees_nothing_where_nothing_is_wrong(name: str, prometheus: Prometheus) -> None:
    rule = wait_until(lambda: (it := prometheus.rules()[name])["health"] != "unknown" and it)
    assert rule["state"] == "inactive"


def test_promtool_accepts_the_rules() -> None:
    result = subprocess.run(
        [find_program("promtool"), "check", "rules", ALERTS],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert f"{len(RULES)} rules found" in result.stdout


def test_each_alert_fires_where_it_should_and_is_silent_where_not(tmp_path: Path) -> None:
    cases = Path(__file__).with_name("alerts_test.yaml")
    for file in (ALERTS, cases):
        shutil.copy(file, tmp_path)
    result = subprocess.run(
        [find_program("promtool"), "test", "rules", tmp_path / cases.name],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "SUCCESS" in result.stdout
    named = set(re.findall(r'alertname="(\w+)"', cases.read_text(encoding="utf-8")))
    assert named == set(RULES)


def test_a_missing_prometheus_skips_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no prometheus on the PATH"):
        find_program("prometheus")


def test_a_missing_prometheus_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no prometheus on the PATH"):
        find_program("prometheus")
