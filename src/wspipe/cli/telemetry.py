"""What the demo exports: metrics for Prometheus to scrape, and all it has to a collector by OTLP.

It needs the extra `otel`; the command imports it when it is asked to export.
"""

from __future__ import annotations

import logging
from importlib.metadata import version
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

import structlog
from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from wspipe.cli import web

if TYPE_CHECKING:
    from yarl import URL

    from wspipe import ASGIApp, Receive, Scope, Send

SERVICE: Final = "wspipe-demo"
METRICS_PATH: Final = "/metrics"
PATIENCE: Final = 2
"""Seconds that the collector has to take an export, and for the last one when the demo ends."""

_INTERVAL: Final = 5000
"""Milliseconds between exports of metrics: who tries the demo does not wait for a minute."""


class Telemetry:
    """Exports, by the SDK's providers, which become OpenTelemetry's global ones.

    Args:
        prometheus: Have metrics ready to be scraped.
        collector: Send traces, metrics and logs to this collector by OTLP over HTTP.
    """

    def __init__(self, *, prometheus: bool, collector: URL | None) -> None:
        resource = Resource.create({"service.name": SERVICE, "service.version": version("wspipe")})
        readers: list[MetricReader] = []
        self._providers: list[TracerProvider | MeterProvider | LoggerProvider] = []
        if prometheus:
            readers.append(PrometheusMetricReader())
        if collector is not None:
            _report_trouble_once(collector)
            readers.append(_reader(collector))
            self._providers += [_tracers(resource, collector), _loggers(resource, collector)]
        meters = MeterProvider(readers, resource, shutdown_on_exit=False)
        metrics.set_meter_provider(meters)
        self._providers.append(meters)

    def close(self) -> None:
        """Export what is left; whatever takes longer than `PATIENCE` is lost."""
        deadline = monotonic() + PATIENCE
        flushing = [Thread(target=each.shutdown, daemon=True) for each in self._providers]
        for thread in flushing:
            thread.start()
        for thread in flushing:
            thread.join(max(0, deadline - monotonic()))


def with_metrics(app: ASGIApp) -> ASGIApp:
    """Put Prometheus's text format at `/metrics` of an application.

    Args:
        app: Answers everything else.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == METRICS_PATH:
            await web.reply(send, 200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY))
        else:
            await app(scope, receive, send)

    return serve


def _reader(collector: URL) -> MetricReader:
    exporter = OTLPMetricExporter(str(collector / "v1/metrics"), timeout=PATIENCE)
    return PeriodicExportingMetricReader(exporter, export_interval_millis=_INTERVAL)


def _tracers(resource: Resource, collector: URL) -> TracerProvider:
    exporter = OTLPSpanExporter(str(collector / "v1/traces"), timeout=PATIENCE)
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def _loggers(resource: Resource, collector: URL) -> LoggerProvider:
    exporter = OTLPLogExporter(str(collector / "v1/logs"), timeout=PATIENCE)
    provider = LoggerProvider(resource, shutdown_on_exit=False)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    _logs.set_logger_provider(provider)
    return provider


def _report_trouble_once(collector: URL) -> None:
    logger = logging.getLogger("opentelemetry")
    logger.addHandler(_Trouble(collector))
    logger.propagate = False


class _Trouble(logging.Handler):
    """Logs the first complaint of an exporter; the others, at every attempt, would say the same."""

    def __init__(self, collector: URL) -> None:
        super().__init__(logging.WARNING)
        self._collector = str(collector.origin())

    def emit(self, record: logging.LogRecord) -> None:
        """Log it, and no more after it."""
        self.setLevel(logging.CRITICAL + 1)
        structlog.get_logger().warning(
            "telemetry.trouble",
            collector=self._collector,
            detail=record.getMessage(),
            logger=record.name,
        )
