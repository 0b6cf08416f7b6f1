"""The real SDK and structlog as in production, save that nothing leaves the process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from wspipe_middlewares import Logging, Metrics, RateLimit, Tracing
from wspipe_middlewares.logging import configure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from wspipe import Middleware

FULL = "wspipe, full stack"
"""What the pipeline with all the stages is called in a table."""

DESCRIPTION = (
    "the SDK's batch processor with an exporter that drops, every connection sampled, messages "
    "neither traced nor logged; a metric reader in memory; log lines as JSON to the null device; a "
    "rate limit that nobody reaches"
)


class Dropping(SpanExporter):
    """An exporter that costs nothing itself."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        """Drop the spans."""
        return SpanExportResult.SUCCESS


class Telemetry:
    """The providers, and the stages that use them."""

    def __init__(self) -> None:
        configure(json=True)
        null = open(os.devnull, "wb")  # noqa: SIM115, PTH123 - open until the end of the process
        structlog.configure(logger_factory=structlog.BytesLoggerFactory(null))
        self.processor = BatchSpanProcessor(Dropping(), max_queue_size=1_000_000)
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(self.processor)
        self.meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)

    def stages(self) -> dict[str, Middleware]:
        """Give each middleware of a full stack by its name."""
        return {
            "Logging": Logging(),
            "Tracing": Tracing(tracer_provider=self.tracers),
            "Metrics": Metrics(meter_provider=self.meters),
            "RateLimit": RateLimit("10000000/second", meter_provider=self.meters),
        }

    def drained(self) -> Middleware:
        """Give a limit whose tokens come back slower than they are taken, and never run out."""
        return RateLimit("100/second", burst=10**12, name="drained", meter_provider=self.meters)

    def full(self) -> Middleware:
        """Give the full stack; state validation is in every pipeline."""
        logging, tracing, metrics, limit = self.stages().values()
        return logging | tracing | metrics | limit  # type: ignore[operator, no-any-return]
