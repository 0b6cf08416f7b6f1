"""What the tutorial shows of its programs is what they do, over a real server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from websockets.sync.client import connect

from tests.examples.client_session import Session
from tests.otlp_receiver import plain, receiving

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.otlp_receiver import Receiver

DOCS = Path(__file__).parents[2] / "docs"
VARIABLE = {
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": "<time>",
    r"127\.0\.0\.1:\d+": "<address>",
    r"connection_id=[0-9a-f]{16}": "<id>",
    r"duration=[\d.e-]+": "<duration>",
    r"Python/[\d.]+ websockets/[\d.]+": "<agent>",
    r"in \d+\.\d+s": "<seconds>",
}


def settled(text: str) -> str:
    """Take out how lines are wrapped, and what differs from run to run."""
    text = " ".join(text.split())
    for pattern, name in VARIABLE.items():
        text = re.sub(pattern, name, text)
    return text


def lines_of_structlog(log: str) -> str:
    return "\n".join(line for line in log.splitlines() if re.match(r"\d{4}-\d\d-\d\d ", line))


@pytest.fixture
def session(
    serve: Callable[..., Any], run: Callable[..., Any], shown: Callable[[str], str]
) -> Callable[..., str]:
    """Serve a program, hold the session of that name with it, give the server's log."""

    def held(target: str, path: str, name: str) -> str:
        with serve(target) as server:
            with run("websockets", f"ws://{server.address}{path}") as client:
                Session(client).hold(shown(name).replace("127.0.0.1:8000", server.address))
            log: str = server.stop()
        return log

    return held


def test_the_echo(session: Callable[..., str], shown: Callable[[str], str]) -> None:
    log = session("echo:app", "/?room=7&token=s3cret", "echo-session")
    assert settled(lines_of_structlog(log)) == settled(shown("echo-log"))
    assert "s3cret" not in lines_of_structlog(log)


def test_the_interceptors(session: Callable[..., str]) -> None:
    session("first_interceptor:app", "/", "interceptor-session")


def test_a_collector_has_the_spans_the_lines_and_the_metrics(
    session: Callable[..., str], shown: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_SDK_DISABLED", "false")
        log = session("otlp:app", "/rooms/7?token=s3cret", "otlp-session")
    assert collector.services == {"rooms"}
    assert settled("\n".join(told_to(collector))) == settled(shown("otlp-received"))
    told = str(collector.requests) + "".join(re.findall(r".*connection_id.*", log))
    assert "token=[redacted]" in told
    assert "s3cret" not in told


def told_to(collector: Receiver) -> list[str]:
    """Say in words what a collector has of the session, the spans in the order of their begin."""
    names = {span.span_id: span.name for span in collector.spans}
    lines = []
    for span in sorted(collector.spans, key=lambda span: span.start_time_unix_nano):
        kind = Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
        under = f", under {names[span.parent_span_id]}" if span.parent_span_id else ""
        linked = "".join(f", linked to {names[link.span_id]}" for link in span.links)
        lines.append(f"span {span.name}: {kind}{under}{linked}")
    lines += [
        f"line {record.body.string_value}: of {names[record.span_id]}"
        for record in collector.logs
        if "connection_id" in plain(record.attributes) and "logger" not in plain(record.attributes)
    ]
    for name, metric in sorted(collector.metrics.items()):
        data = getattr(metric, metric.WhichOneof("data"))
        total = sum(getattr(p, "count", 0) or getattr(p, "as_int", 0) for p in data.data_points)
        (route,) = {plain(point.attributes)["http.route"] for point in data.data_points}
        lines.append(f"metric {name}: {total} at {route}")
    return lines


def test_the_quota_denies_who_has_no_name(session: Callable[..., str]) -> None:
    log = session("own_middleware:app", "/", "quota-denied")
    assert "closed_by=Quota" in log
    assert "status=401" in log


def test_the_quota_is_used_up(session: Callable[..., str], shown: Callable[[str], str]) -> None:
    log = session("own_middleware:app", "/?user=ann", "quota-session")
    _, *the_end = lines_of_structlog(log).splitlines()
    assert settled("\n".join(the_end)) == settled(shown("quota-log"))


def test_the_chat(serve: Callable[..., Any], shown: Callable[[str], str]) -> None:
    with serve("chat_class:app") as server:
        url = f"ws://{server.address}/?name="
        with connect(f"{url}ann") as ann:
            seen = [ann.recv(timeout=10)]
            with connect(f"{url}bob") as bob:
                seen.append(ann.recv(timeout=10))
                bob.send("hello")
                seen.append(ann.recv(timeout=10))
        log = server.stop()
    assert seen == shown("chat-session").splitlines()
    assert log.count("websocket.close") == 2


def test_the_pipeline_around_starlette(serve: Callable[..., Any]) -> None:
    with serve("around_starlette:app") as server:
        page = httpx.get(f"http://{server.address}/", timeout=10).text
        with connect(f"ws://{server.address}/echo") as client:
            client.send("hello")
            answer = client.recv(timeout=10)
        log = server.stop()
    assert (page, answer) == ("The WebSocket is at /echo.\n", "hello")
    assert "messages_received=1 messages_sent=1 path=/echo" in log


def test_the_test_of_the_quota(run: Callable[..., Any], shown: Callable[[str], str]) -> None:
    plain = ("-p", "no:cacheprovider", "-p", "no:asyncio", "--color=no")
    with run("pytest", "-q", "test_own_middleware.py", *plain) as process:
        report = process.communicate()[0]
    assert settled(report) == settled(shown("test-run"))


def test_every_named_output_is_compared_here() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    here = "".join(
        test.read_text(encoding="utf-8") for test in Path(__file__).parent.glob("test_*.py")
    )
    names = re.findall(r"^```\{code-block\} (?:text|console)\n:name: (\S+)$", pages, re.MULTILINE)
    blocks = re.findall(r"^```\{code-block\} (?:text|console)$", pages, re.MULTILINE)
    assert len(names) == len(blocks) >= 6
    assert [name for name in names if f'"{name}"' not in here] == []
