"""Observing: what traces, metrics and logs cost on top of a raw ASGI echo, with the real SDK.

The spans go through the SDK's batch processor to an exporter that drops them, the metrics to a
reader in memory, and the log lines, as JSON, to the null device. Every session is sampled.
"""

from __future__ import annotations

import os
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import structlog
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from wspipe import PipelineMiddleware
from wspipe_middlewares import Logging, Metrics, Tracing
from wspipe_middlewares.logging import configure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from benchmarks.echo import Session
    from wspipe import ASGIApp, Middleware


class Dropping(SpanExporter):
    """An exporter that costs nothing itself."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        """Drop the spans."""
        return SpanExportResult.SUCCESS


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Echo text on raw ASGI, and note how long the messages took."""
    await receive()
    await send({"type": "websocket.accept"})
    start = perf_counter_ns()
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
    scope["elapsed"] = perf_counter_ns() - start


class Spans:
    """An echo with two of the SDK's spans for each message, without anything in them: the floor."""

    def __init__(self, tracers: TracerProvider) -> None:
        self.tracer = tracers.get_tracer("benchmarks")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Echo text on raw ASGI."""

        async def receive_and_trace() -> Any:
            self.tracer.start_span("process").end()
            return await receive()

        async def send_and_trace(event: Any) -> None:
            self.tracer.start_span("send").end()
            await send(event)

        await echo(scope, receive_and_trace, send_and_trace)


class Observing:
    """The SDK, and the echo application under each way to observe it."""

    def __init__(self) -> None:
        configure(json=True)
        null = open(os.devnull, "wb")  # noqa: SIM115, PTH123 - open until the end of the process
        structlog.configure(logger_factory=structlog.BytesLoggerFactory(null))
        self.processor = BatchSpanProcessor(Dropping(), max_queue_size=1_000_000)
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(self.processor)
        self.meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)

    def pipeline(self, **tracing: Any) -> Middleware:
        """Give the stack that is measured."""
        return (
            Logging()
            | Tracing(tracer_provider=self.tracers, **tracing)
            | Metrics(meter_provider=self.meters)
        )

    def applications(self) -> dict[str, ASGIApp]:
        """Give the raw echo, the peer, and ours."""
        theirs = OpenTelemetryMiddleware(
            echo, tracer_provider=self.tracers, meter_provider=self.meters
        )
        return {
            "raw ASGI": echo,
            "OpenTelemetry's ASGI": theirs,
            "two bare spans": Spans(self.tracers),
            "wspipe, empty": PipelineMiddleware(echo),
            "wspipe, messages off": PipelineMiddleware(echo, self.pipeline()),
            "  receive": PipelineMiddleware(echo, self.pipeline(messages="receive")),
            "  all": PipelineMiddleware(echo, self.pipeline(messages="all")),
            "  all, ratio 0.1": PipelineMiddleware(echo, self.pipeline(messages="all", ratio=0.1)),
        }

    async def time_messages(self, app: ASGIApp, session: Session) -> float:
        """Time a session's messages, in nanoseconds each."""
        count = session.left
        await self._serve(app, session)
        elapsed: int = session.scope["elapsed"]
        return elapsed / count

    async def time_session(self, app: ASGIApp, session: Session) -> float:
        """Time a session as a whole, from the handshake to the end, in nanoseconds."""
        return await self._serve(app, session)

    async def _serve(self, app: ASGIApp, session: Session) -> float:
        count = session.left
        start = perf_counter_ns()
        await app(session.scope, session.receive, session.send)
        elapsed = perf_counter_ns() - start
        self.processor.force_flush()
        if session.answers != count + 1:
            raise AssertionError(f"{app} answered {session.answers - 1} of {count} messages")
        return elapsed
