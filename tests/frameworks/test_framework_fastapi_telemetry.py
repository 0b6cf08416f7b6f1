"""Beside FastAPI's own spans: what the page on observers says of the two together."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from opentelemetry.trace import SpanKind

from tests.observed import id_of, parent_of, trace_of
from tests.story import Observers
from wspipe import PipelineMiddleware
from wspipe.testing import connect

pytestmark = pytest.mark.anyio


async def converse(observers: Observers, *, inside: bool, **telemetry: Any) -> None:
    """Have a client talk to a FastAPI application that makes spans of its own."""
    provider = observers.spans.provider
    api = FastAPI(telemetry={"tracer_provider": provider, "metrics": False, **telemetry})

    @api.websocket("/rooms/{room}")
    async def room(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())

    if inside:
        api.add_middleware(PipelineMiddleware, pipeline=observers.pipeline)
    app = api if inside else PipelineMiddleware(api, pipeline=observers.pipeline)
    async with connect(app, "/rooms/5") as client:
        await client.send_text("1")
        await client.receive()


def lines_have_the_ids_of_ours(observers: Observers) -> bool:
    ours = observers.connection_span
    expected = {(f"{trace_of(ours):032x}", f"{id_of(ours):016x}")}
    return {(line["trace_id"], line["span_id"]) for line in observers.lines} == expected


async def test_outside_each_has_a_root_and_the_lines_have_ours() -> None:
    observers = Observers()
    await converse(observers, inside=False)
    servers = [span for span in observers.spans.ended if span.kind is SpanKind.SERVER]
    assert sorted(span.name for span in servers) == ["GET /rooms/{room}", "WS /rooms/{room}"]
    assert [parent_of(span) for span in servers] == [None, None]
    assert lines_have_the_ids_of_ours(observers)


async def test_with_websockets_excluded_there_is_ours_only() -> None:
    observers = Observers()
    await converse(observers, inside=False, exclude=lambda scope: scope["type"] == "websocket")
    names = [span.name for span in observers.spans.ended]
    assert [name for name in names if "process" not in name and "send" not in name] == [
        "GET /rooms/{room}"
    ]
    assert lines_have_the_ids_of_ours(observers)


async def test_inside_ours_hangs_under_fastapis() -> None:
    observers = Observers()
    await converse(observers, inside=True)
    ours = observers.connection_span
    assert ours.kind is SpanKind.INTERNAL
    assert parent_of(ours) == id_of(observers.spans.only("WS /rooms/{room}"))
    assert lines_have_the_ids_of_ours(observers)
