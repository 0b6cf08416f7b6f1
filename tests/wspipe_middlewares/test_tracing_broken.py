"""`Tracing` with an SDK that fails: the connection goes on as it would without."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from opentelemetry import propagate
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from wspipe import WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import Tracing

pytestmark = [pytest.mark.anyio, pytest.mark.reports_failures]


class BrokenSampler(Sampler):
    """Fails for the spans of some names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def should_sample(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("name", args[2] if len(args) > 2 else None) == self.name:
            raise ZeroDivisionError
        return ALWAYS_ON.should_sample(*args, **kwargs)

    def get_description(self) -> str:
        return "broken"


class BrokenProcessor(SpanProcessor):
    """Fails when a span starts or ends."""

    def __init__(self, moment: str) -> None:
        self.moment = moment

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        if self.moment == "start":
            raise ZeroDivisionError

    def on_end(self, span: Any) -> None:  # noqa: ARG002
        if self.moment == "end":
            raise ZeroDivisionError


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def converse(provider: TracerProvider) -> None:
    tracing = Tracing(messages="all", tracer_provider=provider)
    with anyio.fail_after(5):
        async with connect(websocket_app(echo, pipeline=tracing)) as client:
            for text in ("1", "2"):
                await client.send_text(text)
                assert await client.receive() == text


@pytest.mark.parametrize("name", ["GET", "process", "send"])
async def test_a_sampler_that_fails(name: str) -> None:
    await converse(TracerProvider(BrokenSampler(name), shutdown_on_exit=False))


@pytest.mark.parametrize("moment", ["start", "end"])
async def test_a_processor_that_fails(moment: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BrokenProcessor(moment))
    await converse(provider)


async def test_a_propagator_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(propagate.get_global_textmap(), "extract", fail)
    await converse(TracerProvider(shutdown_on_exit=False))
