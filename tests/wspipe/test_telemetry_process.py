"""What a demo in a process of its own exports: to whom scrapes it, and to a collector."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.otlp_receiver import plain, receiving
from tests.wspipe.running_demo import TIMEOUT, running
from wspipe_middlewares import names

if TYPE_CHECKING:
    from pathlib import Path

    from tests.wspipe.running_demo import Running

TEXT = '{"type":"flood","number":1}'


def chat(demo: Running, messages: int) -> None:
    """Be a tab that sends messages, each of which is answered, and leaves for good."""
    before = demo.log.read_text().count("websocket.close")
    with connect(demo.chat) as client:
        for _ in range(2):
            client.recv(TIMEOUT)  # welcome, one tab
        for _ in range(messages):
            client.send(TEXT)
            client.recv(TIMEOUT)
    demo.wait_for("websocket.close", before + 1)


def scraped(demo: Running) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Give the samples at `/metrics`, by name, without the labels of each scope."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(httpx.get(f"{demo.url}/metrics").text):
        for sample in family.samples:
            labels = {k: v for k, v in sample.labels.items() if not k.startswith("otel_") and v}
            found.setdefault(sample.name, []).append((labels, sample.value))
    return found


def by_direction(points: Any) -> dict[str, int]:
    """Add up the points of a metric in OTLP."""
    found: dict[str, int] = {}
    for point in points:
        direction = plain(point.attributes)[names.DIRECTION]
        found[direction] = found.get(direction, 0) + point.as_int
    return found


def test_a_scrape_has_the_counts_of_the_chat(tmp_path: Path) -> None:
    with running(tmp_path / "log", "--prometheus") as demo:
        chat(demo, 3)
        chat(demo, 4)
        with pytest.raises(InvalidStatus):
            connect(f"{demo.chat}room")
        demo.wait_for("websocket.close", 3)
        with connect(demo.chat) as client:
            client.recv(TIMEOUT)
            client.recv(TIMEOUT)
            found = scraped(demo)
        assert f"metrics at {demo.url}/metrics\n" in demo.stop()

    route = {"http_route": "/chat"}
    assert found["wspipe_connections_active"] == [(route, 1)]
    closed = {**route, "wspipe_close_code": "1000", "wspipe_closed_by": "client"}
    assert found["wspipe_connection_duration_seconds_count"] == [(closed, 2)]
    denied = {"http_response_status_code": "404", "wspipe_closed_by": "Guard"}
    assert found["wspipe_connections_rejected_total"] == [(denied, 1)]
    for name, received, sent in (
        ("wspipe_messages_total", 7, 2 * 3 + 7),
        ("wspipe_message_size_bytes_count", 7, 2 * 3 + 7),
    ):
        text = {**route, "wspipe_message_type": "text"}
        assert ({**text, "network_io_direction": "receive"}, received) in found[name]
        assert ({**text, "network_io_direction": "transmit"}, sent) in found[name]
    ((_, handled),) = found["wspipe_message_process_duration_seconds_count"]
    ((_, timed),) = found["wspipe_send_duration_seconds_count"]
    assert (handled, timed) == (7, 13)


def test_a_collector_gets_the_same_story_three_times(tmp_path: Path) -> None:
    with receiving() as receiver, running(tmp_path / "log", "--otlp", receiver.url) as demo:
        chat(demo, 5)
        demo.stop()

    assert receiver.services == {"wspipe-demo"}
    (span,) = receiver.spans
    told = plain(span.attributes)
    assert (span.name, told[names.ROUTE], told[names.STATUS]) == ("GET /chat", "/chat", 101)
    opened, closed = receiver.logs
    assert opened.body.string_value == "websocket.open"
    assert closed.body.string_value == "websocket.close"
    assert (closed.trace_id, closed.span_id) == (span.trace_id, span.span_id)
    logged = plain(closed.attributes)
    assert logged["connection_id"] == told[names.CONNECTION_ID]
    assert (logged["code"], told[names.CLOSE_CODE]) == (1000, "1000")
    assert logged["closed_by"] == told[names.CLOSED_BY] == "client"

    (duration,) = receiver.metrics[names.DURATION.name].histogram.data_points
    measured = plain(duration.attributes)
    assert (duration.count, measured[names.CLOSE_CODE]) == (1, "1000")
    assert measured[names.CLOSED_BY] == "client"
    messages = by_direction(receiver.metrics[names.MESSAGES.name].sum.data_points)
    size = by_direction(receiver.metrics[names.MESSAGE_BYTES.name].sum.data_points)
    received = messages["receive"], size["receive"]
    assert received == (logged["messages_received"], logged["bytes_received"])
    assert received == (told[names.MESSAGES_RECEIVED], told[names.BYTES_RECEIVED])
    assert received == (5, 5 * len(TEXT))
    sent = messages["transmit"], size["transmit"]
    assert sent == (logged["messages_sent"], logged["bytes_sent"])
    assert sent == (told[names.MESSAGES_SENT], told[names.BYTES_SENT])
    assert messages["transmit"] == 2 + 5


def test_both_ways_of_exporting_tell_the_same(tmp_path: Path) -> None:
    options = ("--prometheus", "--json", "--otlp")
    with receiving() as receiver, running(tmp_path / "log", *options, receiver.url) as demo:
        chat(demo, 5)
        (received,) = [
            value
            for labels, value in scraped(demo)["wspipe_messages_total"]
            if labels["network_io_direction"] == "receive"
            and labels["wspipe_message_type"] == "text"
        ]
        start, *_ = map(json.loads, demo.stop().splitlines())
    assert start["metrics"] == f"{demo.url}/metrics"
    points = receiver.metrics[names.MESSAGES.name].sum.data_points
    assert by_direction(points)["receive"] == received == 5
    bodies = [record.body.string_value for record in receiver.logs]
    assert bodies == ["demo.start", "websocket.open", "websocket.close", "demo.stop"]


def test_a_missing_collector_disturbs_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with running(tmp_path / "log", "--json", "--otlp", url) as demo:
        chat(demo, 5)
        lines = [json.loads(line) for line in demo.stop().splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("telemetry.trouble") == 1
    events.remove("telemetry.trouble")
    assert events == ["demo.start", "websocket.open", "websocket.close", "demo.stop"]


def test_a_collector_that_never_answers_does_not_keep_the_demo_from_ending(tmp_path: Path) -> None:
    with receiving() as receiver, running(tmp_path / "log", "--otlp", receiver.url) as demo:
        receiver.may_answer.clear()
        chat(demo, 5)
        assert demo.stop(signal.SIGTERM).endswith("wspipe demo: stopped.\n")


def test_without_the_options_nothing_of_the_sdk_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    with running(tmp_path / "log") as demo:
        chat(demo, 1)
        output = demo.stop()
    assert "opentelemetry.trace" in output
    assert "opentelemetry.sdk" not in output
    assert "opentelemetry.exporter" not in output


def test_a_missing_extra_is_said_without_a_traceback() -> None:
    program = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; sys.argv[1:] = "
        "['demo', '--port', '0', '--prometheus']; import wspipe.cli; wspipe.cli.main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.endswith(" need pip install 'wspipe[cli,otel]'\n")
    assert len(result.stderr.splitlines()) == 1
