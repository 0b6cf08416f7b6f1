"""What a connection costs: to open and to end it, and to hold it while it is idle."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

from benchmarks.in_process.libraries import Libraries
from benchmarks.in_process.observing import EVENTS, ONE_SPAN, PEER
from benchmarks.in_process.raw import echo_text
from benchmarks.in_process.server import time_connections
from benchmarks.measuring import interleave
from benchmarks.report import Table
from benchmarks.telemetry import FULL
from wspipe import Pipeline, PipelineMiddleware
from wspipe_middlewares import Metrics, Tracing

if TYPE_CHECKING:
    from benchmarks.measuring import Times
    from benchmarks.telemetry import Telemetry
    from wspipe import ASGIApp, ASGIConnection, Event, Middleware, Receive, Send

COUNTS = (1, 4, 8, 16)
CONNECTIONS = 20
PHASES = ("of this, building the chain", "the handshake", "the end")
BOUND = 0.40
"""The most that the full stack may add, as a share of what the peer does."""


def wrapping(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap both directions, and do nothing."""

    async def receive_through() -> Event:
        return await receive()

    async def send_through(event: Event) -> None:
        await send(event)

    return receive_through, send_through


def declining(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap nothing."""
    return receive, send


def pipelines(telemetry: Telemetry) -> dict[str, Middleware | None]:
    """Give the pipelines that are measured."""
    return {
        "wspipe, empty": None,
        **{f"wspipe, {name}": stage for name, stage in telemetry.stages().items()},
        "wspipe, Tracing and Metrics": Pipeline(
            Tracing(tracer_provider=telemetry.tracers), Metrics(meter_provider=telemetry.meters)
        ),
        FULL: telemetry.full(),
        **{f"{n} that decline": Pipeline(*[declining] * n) for n in COUNTS},
        **{f"{n} that wrap both": Pipeline(*[wrapping] * n) for n in COUNTS},
    }


async def measure(telemetry: Telemetry, rounds: int) -> list[Table]:
    """Measure opening and ending.

    Args:
        telemetry: What observes.
        rounds: How often each contender runs.
    """
    providers = {"tracer_provider": telemetry.tracers, "meter_provider": telemetry.meters}
    apps: dict[str, ASGIApp] = {
        "raw ASGI": echo_text,
        PEER: OpenTelemetryMiddleware(echo_text, **providers),
        ONE_SPAN: OpenTelemetryMiddleware(echo_text, exclude_spans=EVENTS, **providers),
        "SDK and structlog alone": Libraries(telemetry),
    }
    for name, pipeline in pipelines(telemetry).items():
        apps[name] = PipelineMiddleware(echo_text, pipeline)

    phases: dict[str, Times] = {title: {name: [] for name in apps} for title in PHASES}

    async def run(name: str, app: ASGIApp) -> float:
        took = await time_connections(app, CONNECTIONS)
        telemetry.processor.force_flush()
        for title, part in zip(PHASES, took[1:], strict=True):
            phases[title][name].append(part)
        return took.whole

    times = await interleave({name: partial(run, name, app) for name, app in apps.items()}, rounds)
    return [
        Table.of("opening and ending a connection", times, PEER, {FULL: BOUND}),
        *(Table.of(title, parts, PEER, {}) for title, parts in phases.items()),
    ]
