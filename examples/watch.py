"""Hold one session, and print its log, its trace and its metrics together.

Run it from this folder:

    python watch.py 4 0.5
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import anyio
import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from wspipe import PipelineMiddleware
from wspipe.testing import connect
from wspipe_middlewares import Logging, Metrics, Tracing

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracers, meters = TracerProvider(), MeterProvider([reader])
tracers.add_span_processor(SimpleSpanProcessor(spans))


async def reciprocal(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(str(1 / float(message)))


app = PipelineMiddleware(
    Starlette(routes=[WebSocketRoute("/rooms/{room}", reciprocal)]),
    pipeline=Logging()
    | Tracing(span="connection", tracer_provider=tracers)
    | Metrics(meter_provider=meters),
)


async def session(*messages: str) -> None:
    """Say each of the messages, in memory, and print the answers."""
    async with connect(app, "/rooms/7?token=s3cret") as client:
        for message in messages:
            await client.send_text(message)
            print(f"{message} -> {await client.receive()}")


def show(kind: str, name: str, fields: Mapping[str, Any]) -> None:
    print(f"\n{kind} {name}")
    for field, value in sorted(fields.items()):
        print(f"    {field} = {value}")


def show_metrics() -> None:
    print()
    data = reader.get_metrics_data()
    for metric in data.resource_metrics[0].scope_metrics[0].metrics if data else ():
        for point in metric.data.data_points:
            value = point.sum if isinstance(point, HistogramDataPoint) else point.value
            attributes = " ".join(f"{key}={of}" for key, of in sorted(point.attributes.items()))
            print(f"METRIC {metric.name} = {value} {metric.unit}: {attributes}")


if __name__ == "__main__":
    with structlog.testing.capture_logs() as lines:
        try:
            anyio.run(session, *sys.argv[1:])
        except (ValueError, ZeroDivisionError) as error:
            print(f"the application failed: {error!r}")
    for line in lines:
        show("LINE", line["event"], line)
    for span in spans.get_finished_spans():
        show("SPAN", span.name, span.attributes or {})
    show_metrics()
