"""Send the traces, metrics and logs of an application to a collector, by OTLP.

Run it from this folder:

    uvicorn otlp:app
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog
from opentelemetry import _logs, metrics, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from wspipe import PipelineMiddleware
from wspipe_middlewares import Logging, Metrics, Tracing
from wspipe_middlewares.logging import configure

# Where to: to port 4318 of this machine, or what OTEL_EXPORTER_OTLP_ENDPOINT says.

resource = Resource.create({"service.name": "rooms"})
tracers = TracerProvider(resource=resource)
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(tracers)
meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
metrics.set_meter_provider(meters)
loggers = LoggerProvider(resource)
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
_logs.set_logger_provider(loggers)
configure(json=True, export=True)


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
    yield
    # Export what is left: the signal that stops uvicorn ends the process before `atexit` would.
    tracers.shutdown()
    meters.shutdown()
    loggers.force_flush()  # uvicorn has a few more lines


# The application: it need not know of any of this, but may add spans and lines of its own.

tracer = trace.get_tracer("rooms")
logger = structlog.get_logger()


async def room(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_text():
        with tracer.start_as_current_span("shout"):
            answer = message.upper()
            logger.info("shouted", length=len(answer))
        await socket.send_text(answer)


app = PipelineMiddleware(
    Starlette(routes=[WebSocketRoute("/rooms/{room}", room)], lifespan=lifespan),
    pipeline=Logging() | Tracing(messages="all") | Metrics(),
)
