"""The applications that are served, one for each process: `benchmarks.end_to_end.apps:app`.

Which one, the environment variable `BENCHMARK_APP` says.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from benchmarks.in_process.raw import echo_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import ASGIApp


def raw() -> ASGIApp:
    """Echo on raw ASGI."""
    return echo_text


def starlette() -> ASGIApp:
    """Echo with Starlette's class."""
    from benchmarks.in_process.echoes import with_starlette  # noqa: PLC0415 - others need it not

    return with_starlette("text")


def litestar() -> ASGIApp:
    """Echo in Litestar."""
    from benchmarks.in_process.echoes import with_litestar  # noqa: PLC0415 - likewise

    return with_litestar("text")


def otel() -> ASGIApp:
    """Echo on raw ASGI behind opentelemetry-instrumentation-asgi."""
    return _otel()


def otel_without_events() -> ASGIApp:
    """Echo behind the same, told to make no spans of messages."""
    return _otel(exclude_spans=["receive", "send"])


def _otel(**options: Any) -> ASGIApp:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415

    from benchmarks.telemetry import Telemetry  # noqa: PLC0415 - likewise

    telemetry = Telemetry()
    app: ASGIApp = OpenTelemetryMiddleware(
        echo_text, tracer_provider=telemetry.tracers, meter_provider=telemetry.meters, **options
    )
    return app


def wspipe() -> ASGIApp:
    """Echo with wspipe's class and the full stack."""
    from benchmarks.in_process.echoes import ours  # noqa: PLC0415 - likewise
    from benchmarks.telemetry import Telemetry  # noqa: PLC0415 - likewise

    return ours("text", Telemetry().full())


APPS: dict[str, Callable[[], ASGIApp]] = {
    "raw ASGI": raw,
    "raw ASGI again": raw,
    "wspipe, full stack": wspipe,
    "Starlette": starlette,
    "Litestar": litestar,
    "OpenTelemetry's ASGI": otel,
    "OpenTelemetry's, one span": otel_without_events,
}

app = APPS[os.environ.get("BENCHMARK_APP", "raw ASGI")]()
