"""`Logging` beside `Tracing`: the ids that lead from a line to its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from tests.observed import Spans
from wspipe import WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import Logging, Tracing
from wspipe_middlewares.logging import add_trace_ids

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

pytestmark = pytest.mark.anyio


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def converse(pipeline: Any) -> None:
    async with connect(websocket_app(echo, pipeline=pipeline)) as client:
        await client.send_text("1")
        await client.receive()


def ids_of(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def ids_in(line: dict[str, Any]) -> tuple[str, str]:
    return line["trace_id"], line["span_id"]


@pytest.mark.parametrize("span", ["handshake", "connection"])
@pytest.mark.parametrize("first", ["logging", "tracing"])
async def test_the_lines_of_a_connection_have_the_ids_of_its_span(
    spans: Spans, logger: Any, lines: list[dict[str, Any]], span: Any, first: str
) -> None:
    logging, tracing = Logging(logger=logger), Tracing(span=span, tracer_provider=spans.provider)
    await converse(logging | tracing if first == "logging" else tracing | logging)
    assert [line["event"] for line in lines] == ["websocket.open", "websocket.close"]
    assert {ids_in(line) for line in lines} == {ids_of(spans.only("GET"))}


async def test_the_line_of_a_message_has_the_ids_of_the_message(
    spans: Spans, logger: Any, lines: list[dict[str, Any]]
) -> None:
    tracing = Tracing(messages="receive", tracer_provider=spans.provider)
    await converse(tracing | Logging(logger=logger, messages=True))
    received, sent = lines[1:3]
    assert ids_in(received) == ids_in(sent) == ids_of(spans.only("process"))


async def test_a_span_that_is_not_recorded_gives_no_ids(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    tracing = Tracing(messages="all", tracer_provider=Spans(ALWAYS_OFF).provider)
    await converse(Logging(logger=logger, messages=True) | tracing)
    assert len(lines) == 4
    assert not [line for line in lines if "trace_id" in line or "span_id" in line]


def test_the_processor_adds_the_ids_of_the_current_span(spans: Spans) -> None:
    assert add_trace_ids(None, "info", {"event": "x"}) == {"event": "x"}
    with spans.tracer.start_as_current_span("work"):
        line = add_trace_ids(None, "info", {"event": "x"})
        told = add_trace_ids(None, "info", {"event": "x", "trace_id": "of another"})
    assert ids_in(dict(line)) == ids_of(spans.only("work"))
    assert told == {"event": "x", "trace_id": "of another"}
