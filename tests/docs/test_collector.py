"""The page on OpenTelemetry, followed beside a collector, has what the collector gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.docs.conftest import OPENTELEMETRY
from tests.docs.markdown import blocks_of
from tests.otlp_receiver import Receiver, plain, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.docs.reader import Reader


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiving() as collector:
        yield collector


@pytest.fixture
def environment(environment: dict[str, str], collector: Receiver) -> dict[str, str]:
    return {**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}


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
        data: Any = getattr(metric, metric.WhichOneof("data"))
        total = sum(getattr(p, "count", 0) or getattr(p, "as_int", 0) for p in data.data_points)
        (route,) = {plain(point.attributes)["http.route"] for point in data.data_points}
        lines.append(f"metric {name}: {total} at {route}")
    return lines


def test_a_collector_gets_what_the_page_on_opentelemetry_shows(
    reader: Reader, collector: Receiver
) -> None:
    reader.follow(OPENTELEMETRY)
    reader.leave()
    (received,) = [
        block.body
        for block in blocks_of(OPENTELEMETRY)
        if block.options.get("name") == "otlp-received"
    ]
    assert collector.services == {"rooms"}
    assert told_to(collector) == received.splitlines()
    told = str(collector.requests) + "".join(line for log in reader.logs for line in log)
    assert "token=[redacted]" in told
    assert "s3cret" not in told


def test_the_collectors_file_leads_what_the_program_sends_to_what_prints_it() -> None:
    blocks = blocks_of(OPENTELEMETRY)
    (body,) = [block.body for block in blocks if block.saved_as == "collector.yaml"]
    (command,) = [block.body for block in blocks if block.body.startswith("$ docker run")]
    file = yaml.safe_load(body)
    _, port = file["receivers"]["otlp"]["protocols"]["http"]["endpoint"].split(":")
    assert f" 127.0.0.1:{port}:4318 " in command
    assert "/collector.yaml:" in command
    assert file["service"]["pipelines"] == {
        signal: {"receivers": list(file["receivers"]), "exporters": list(file["exporters"])}
        for signal in ("traces", "metrics", "logs")
    }
