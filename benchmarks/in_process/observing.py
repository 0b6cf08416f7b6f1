"""Observing: what traces, metrics and logs cost on top of a raw ASGI echo, with the real SDK."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

from benchmarks.in_process.raw import echo_text
from benchmarks.in_process.server import TEXT, Session
from benchmarks.measuring import interleave
from benchmarks.report import Table
from wspipe import PipelineMiddleware
from wspipe_middlewares import Logging, Metrics, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from benchmarks.measuring import Contender
    from benchmarks.telemetry import Telemetry
    from wspipe import ASGIApp, Middleware

PEER = "OpenTelemetry's ASGI"
ONE_SPAN = "OpenTelemetry's, one span"
"""The peer where it is told to make no spans of events, only the connection's."""
EVENTS: Final = ["receive", "send"]


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

        await echo_text(scope, receive_and_trace, send_and_trace)


def applications(telemetry: Telemetry) -> dict[str, ASGIApp]:
    """Give the raw echo, the peer, and ours."""
    providers = {"tracer_provider": telemetry.tracers, "meter_provider": telemetry.meters}
    return {
        "raw ASGI": echo_text,
        PEER: OpenTelemetryMiddleware(echo_text, **providers),
        "two bare spans": Spans(telemetry.tracers),
        "wspipe, empty": PipelineMiddleware(echo_text),
        "wspipe, messages off": PipelineMiddleware(echo_text, observers(telemetry)),
        "  receive": PipelineMiddleware(echo_text, observers(telemetry, messages="receive")),
        "  all": PipelineMiddleware(echo_text, observers(telemetry, messages="all")),
        "  all, ratio 0.1": PipelineMiddleware(
            echo_text, observers(telemetry, messages="all", ratio=0.1)
        ),
    }


def observers(telemetry: Telemetry, **tracing: Any) -> Middleware:
    """Give the stages that observe."""
    return (
        Logging()
        | Tracing(tracer_provider=telemetry.tracers, **tracing)
        | Metrics(meter_provider=telemetry.meters)
    )


async def measure(telemetry: Telemetry, rounds: int) -> list[Table]:
    """Measure messages, and whole sessions of one message.

    Args:
        telemetry: What observes.
        rounds: How often each contender runs.
    """
    tables: list[Table] = []
    for title, count in (("a text echo", 500), ("a session with one message", 1)):
        runs: dict[str, Contender] = {}
        for name, app in applications(telemetry).items():
            runs[name] = partial(_observed, telemetry, app, count)
        times = await interleave(runs, rounds)
        tables.append(Table.of(f"observing {title}", times, PEER, {}))
    return tables


async def _observed(telemetry: Telemetry, app: ASGIApp, count: int) -> float:
    session = Session(TEXT, count)
    await session.serve(app)
    telemetry.processor.force_flush()
    return session.messages / count if count > 1 else session.whole
