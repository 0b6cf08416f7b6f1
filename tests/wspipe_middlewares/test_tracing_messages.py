"""`Tracing(messages=...)`: a span for each message, what it hangs under and how long it lasts."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry import baggage, context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from tests.observed import Spans, id_of, links_of, parent_of, trace_of
from wspipe import PipelineMiddleware, WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import Tracing, names
from wspipe_middlewares.tracing.current import CurrentSpan

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.sdk.trace import ReadableSpan

    from wspipe import Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def converse(
    spans: Spans, handler: Callable[[WebSocket], Awaitable[None]], *sent: str, **options: Any
) -> None:
    """Have a client send texts to a handler, and leave when the handler has answered each."""
    tracing = Tracing(tracer_provider=spans.provider, **{"messages": "all", **options})
    with anyio.fail_after(5):
        async with connect(websocket_app(handler, pipeline=tracing)) as client:
            for text in sent:
                await client.send_text(text)
                await client.receive()


def lasted(span: ReadableSpan) -> float:
    """Give the length of a span in seconds."""
    assert span.start_time is not None
    assert span.end_time is not None
    return (span.end_time - span.start_time) / 1e9


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def test_a_message_is_a_root_linked_to_the_connection(spans: Spans) -> None:
    await converse(spans, echo, "one", "two")
    handshake = spans.only("GET")
    received, sent = spans.named("process"), spans.named("send")
    assert [span.kind for span in received] == [SpanKind.CONSUMER] * 2
    assert [span.kind for span in sent] == [SpanKind.PRODUCER] * 2
    assert [parent_of(span) for span in received] == [None, None]
    assert [links_of(span) for span in received] == [[id_of(handshake)]] * 2
    assert len({trace_of(span) for span in (handshake, *received)}) == 3
    assert [parent_of(span) for span in sent] == [id_of(span) for span in received]
    assert [links_of(span) for span in sent] == [[], []]
    attributes = dict(received[0].attributes or {})
    assert attributes.pop("wspipe.connection.id") == (handshake.attributes or {}).get(
        "wspipe.connection.id"
    )
    assert attributes == {"wspipe.message.type": "text", "wspipe.message.size": 3}


async def test_only_received_ones_where_no_more_is_wanted(spans: Spans) -> None:
    await converse(spans, echo, "one", messages="receive")
    assert sorted(span.name for span in spans.ended) == ["GET", "process"]


async def test_a_binary_message_and_the_route_are_told(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        socket.scope["wspipe.route"] = "/rooms/{room}"
        await socket.accept()
        await socket.receive_bytes()
        await socket.send_text("é")

    tracing = Tracing(tracer_provider=spans.provider, messages="all")
    async with connect(websocket_app(handler, pipeline=tracing)) as client:
        await client.send_bytes(b"12345")
        await client.receive()
    received = dict(spans.only("process /rooms/{room}").attributes or {})
    assert received["wspipe.message.type"] == "binary"
    assert received["wspipe.message.size"] == 5
    assert received["http.route"] == "/rooms/{room}"
    assert (spans.only("send /rooms/{room}").attributes or {})["wspipe.message.size"] == 2
    assert (spans.only("GET /rooms/{room}").attributes or {})["http.route"] == "/rooms/{room}"


async def test_it_lasts_from_the_delivery_to_the_next_receive(spans: Spans) -> None:
    marks: list[ReadableSpan] = []

    async def handler(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            with spans.tracer.start_as_current_span("work"):
                await anyio.sleep(0.01)
            await socket.send_text(message)
            marks.extend(spans.named("process"))

    await converse(spans, handler, "one")
    assert marks == []  # it had not ended yet
    process, work = spans.only("process"), spans.only("work")
    assert parent_of(work) == id_of(process)
    assert 0.01 <= lasted(work) <= lasted(process) < 5


async def test_between_messages_nothing_is_current(spans: Spans) -> None:
    seen: list[bool] = []

    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        seen.append(get_current_span().is_recording())
        await receive()
        seen.append(get_current_span().is_recording())

    app = PipelineMiddleware(raw, Tracing(messages="all", tracer_provider=spans.provider))
    async with connect(app) as client:
        await client.send_text("one")
    assert seen == [True, False]


async def test_a_span_of_the_handler_around_several_receives_stays(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        with spans.tracer.start_as_current_span("session"):
            await socket.send_text("1")
            await socket.receive_text()
            spans.tracer.start_span("work").end()
            await socket.send_text("2")
            await socket.receive_text()
            await socket.send_text("3")
            with anyio.move_on_after(0.001):
                await socket.receive()
            spans.tracer.start_span("after").end()

    await converse(spans, handler, "one", "two", "three")
    first, second, _ = spans.named("process")
    assert parent_of(spans.only("session")) == id_of(first)
    assert parent_of(second) is None
    assert parent_of(spans.only("work")) == id_of(second)
    assert parent_of(spans.only("after")) == id_of(spans.only("session"))


async def test_a_span_that_covers_no_receive_is_left_alone(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        with spans.tracer.start_as_current_span("session"):
            with anyio.move_on_after(0.001):
                await socket.receive()
            spans.tracer.start_span("after").end()
            await socket.send_text("1")

    await converse(spans, handler, "one")
    assert parent_of(spans.only("after")) == id_of(spans.only("session"))


async def test_a_span_that_covers_the_accept_does_not_bring_the_handshakes_back(
    spans: Spans,
) -> None:
    async def handler(socket: WebSocket) -> None:
        with spans.tracer.start_as_current_span("setup"):
            await socket.accept()
        await socket.receive_text()
        await socket.send_text("1")
        with anyio.move_on_after(0.001):
            await socket.receive()
        spans.tracer.start_span("after").end()

    await converse(spans, handler, "one")
    assert parent_of(spans.only("after")) is None


async def test_what_a_handler_leaves_behind_in_the_context_stays(spans: Spans) -> None:
    seen: list[object] = []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        context.attach(baggage.set_baggage("user", "ada"))
        await socket.send_text("1")
        await socket.receive_text()
        seen.append(baggage.get_baggage("user"))
        await socket.send_text("2")

    await converse(spans, handler, "one", "two")
    assert seen == ["ada"]


async def test_a_send_of_its_own_accord_is_a_root_linked_to_the_connection(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        with spans.tracer.start_as_current_span("tick"):
            await socket.send_text("tick")

    for span in ("handshake", "connection"):
        await converse(spans, handler, span=span)
        handshake, tick = spans.only("GET"), spans.only("tick")
        hello, ticked = spans.named("send")
        assert (parent_of(hello), links_of(hello)) == (None, [id_of(handshake)])
        assert trace_of(hello) != trace_of(handshake)
        assert (parent_of(ticked), links_of(ticked)) == (id_of(tick), [])
        spans.ended.clear()


async def test_an_error_of_the_handler_is_told_by_the_message_it_worked_on(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async for message in socket.iter_text():
            await socket.send_text(message)
            if message == "two":
                raise LookupError("no two")

    with pytest.raises(LookupError):
        await converse(spans, handler, "one", "two")
    one, two = spans.named("process")
    assert one.status.status_code is StatusCode.UNSET
    assert (two.status.status_code, two.status.description) == (StatusCode.ERROR, "no two")
    assert (two.attributes or {})["error.type"] == "LookupError"
    assert [event.name for event in two.events] == ["exception"]


async def test_a_send_that_fails_is_told(spans: Spans) -> None:
    app_spans = Tracing(messages="all", tracer_provider=spans.provider)

    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with pytest.raises(ConnectionResetError):
            await send({"type": "websocket.send", "text": "x"})

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            raise ConnectionResetError("gone")

    await PipelineMiddleware(raw, app_spans)({"type": "websocket", "path": "/"}, receive, send)
    sent = spans.only("send")
    assert (sent.attributes or {})["error.type"] == "ConnectionResetError"
    assert (sent.status.status_code, sent.status.description) == (StatusCode.ERROR, "gone")


async def test_a_send_that_is_cancelled_is_no_error(spans: Spans) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with anyio.move_on_after(0.001):
            await send({"type": "websocket.send", "text": "x"})

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            await anyio.sleep_forever()

    tracing = Tracing(messages="all", tracer_provider=spans.provider)
    await PipelineMiddleware(raw, tracing)({"type": "websocket", "path": "/"}, receive, send)
    assert spans.only("send").status.status_code is StatusCode.UNSET
    assert "error.type" not in (spans.only("send").attributes or {})


async def test_a_send_is_timed(spans: Spans) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "x"})

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(_: Event) -> None:
        await anyio.sleep(0.01)

    tracing = Tracing(messages="all", tracer_provider=spans.provider)
    await PipelineMiddleware(raw, tracing)({"type": "websocket", "path": "/"}, receive, send)
    assert 0.01 <= lasted(spans.only("send")) < 5


# Where something else than the handler's task receives.


async def test_another_task_that_receives_claims_no_time(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})

        async def pump() -> None:
            while (event := await receive())["type"] == "websocket.receive":
                spans.tracer.start_span("pumped").end()
                await to_handler.send(event)
            to_handler.close()

        to_handler, from_pump = anyio.create_memory_object_stream[Any](1)
        async with anyio.create_task_group() as tasks, from_pump:
            tasks.start_soon(pump)
            async for event in from_pump:
                spans.tracer.start_span("handled").end()
                await send({"type": "websocket.send", "text": event["text"]})

    tracing = Tracing(messages="all", tracer_provider=spans.provider)
    with caplog.at_level(logging.DEBUG), anyio.fail_after(5):
        async with connect(PipelineMiddleware(raw, tracing)) as client:
            for text in ("one", "two"):
                await client.send_text(text)
                assert await client.receive() == text
    handshake = id_of(spans.only("GET"))
    received, sent = spans.named("process"), spans.named("send")
    assert [lasted(span) for span in received] == [0, 0]
    assert [links_of(span) for span in received] == [[handshake]] * 2
    assert [links_of(span) for span in sent] == [[handshake]] * 2
    others = [*spans.named("pumped"), *spans.named("handled"), *received, *sent]
    assert {parent_of(span) for span in others} == {None}
    assert not [line for line in caplog.records if line.name.startswith("opentelemetry")]


async def test_a_reader_started_while_a_message_is_handled_ends_that(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()  # the greeting
        await socket.send_text("hello")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(reader, socket)

    async def reader(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            spans.tracer.start_span("work").end()
            await socket.send_text(message)

    await converse(spans, handler, "greeting", "one")
    greeting, one = spans.named("process")
    assert lasted(one) == 0
    assert greeting.end_time is not None
    assert one.start_time is not None
    assert greeting.end_time <= one.start_time
    assert parent_of(spans.only("work")) is None


async def test_with_a_reader_and_a_queue_no_message_hangs_under_the_first(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()  # the greeting, in the handler's own task
        await socket.send_text("hello")
        put, got = anyio.create_memory_object_stream[str](5)

        async def read() -> None:
            async with put:
                async for message in socket.iter_text():
                    await put.send(message)

        async with anyio.create_task_group() as tasks, got:
            tasks.start_soon(read)
            async for message in got:
                spans.tracer.start_span("work").end()
                await socket.send_text(message)

    await converse(spans, handler, "greeting", "one", "two")
    greeting, *others = spans.named("process")
    first, *sent = spans.named("send")
    assert parent_of(first) == id_of(greeting)
    assert {parent_of(span) for span in [*others, *sent, *spans.named("work")]} == {None}


async def test_what_follows_a_span_around_a_receive_hangs_under_no_older_message(
    spans: Spans,
) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        with spans.tracer.start_as_current_span("ask"):
            await socket.send_text("?")
            await socket.receive_text()
        spans.tracer.start_span("work").end()
        await socket.send_text("!")

    await converse(spans, handler, "one", "two")
    assert parent_of(spans.only("work")) is None


async def test_a_task_that_is_started_for_a_message_stays_under_it(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async with anyio.create_task_group() as tasks:
            async for message in socket.iter_text():
                tasks.start_soon(work, socket, message)

    async def work(socket: WebSocket, message: str) -> None:
        await anyio.sleep(0.001)  # the handler receives again
        spans.tracer.start_span(f"work {message}").end()
        await socket.send_text(message)

    await converse(spans, handler, "one", "two")
    one, two = spans.named("process")
    assert parent_of(spans.only("work one")) == id_of(one)
    assert parent_of(spans.only("work two")) == id_of(two)
    assert [parent_of(span) for span in spans.named("send")] == [id_of(one), id_of(two)]


async def test_a_thousand_messages_leave_nothing_behind_in_the_context(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            await socket.send_text(message)
        current: Any = get_current_span()
        depth = 0
        while isinstance(current, CurrentSpan):
            current, depth = current._before, depth + 1  # noqa: SLF001
        assert depth <= 3

    await converse(spans, handler, *map(str, range(1000)))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_receive_with_asyncio_wait_for(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(2):
            message = await asyncio.wait_for(socket.receive_text(), 5)
            await anyio.sleep(0.001)
            await socket.send_text(message)

    await converse(spans, handler, "one", "two")
    in_a_task_of_its_own = sys.version_info < (3, 12)
    for span in spans.named("process"):
        assert (lasted(span) == 0) == in_a_task_of_its_own


# Sampling.


class Roots(Sampler):
    """Samples the roots of one kind only."""

    def __init__(self, kind: SpanKind) -> None:
        self.kind = kind
        self.asked: list[tuple[str, SpanKind | None]] = []

    def should_sample(  # noqa: PLR0917 - the SDK has it so
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Any = None,
        links: Any = None,
        trace_state: Any = None,
    ) -> SamplingResult:
        del parent_context, trace_id, attributes, links, trace_state
        self.asked.append((name, kind))
        wanted = kind is self.kind
        return SamplingResult(Decision.RECORD_AND_SAMPLE if wanted else Decision.DROP)

    def get_description(self) -> str:
        return "roots of one kind"


async def test_no_message_is_traced_where_the_handshake_is_not() -> None:
    sampler = Roots(SpanKind.CONSUMER)
    spans = Spans(sampler)
    await converse(spans, echo, "one")
    assert not spans.ended
    assert sampler.asked == [("GET", SpanKind.SERVER)]


async def test_the_sampler_decides_on_each_message_and_what_hangs_under_it_follows() -> None:
    spans = Spans(ParentBased(Roots(SpanKind.SERVER)))

    async def handler(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            with spans.tracer.start_as_current_span("work"):
                await socket.send_text(message)

    await converse(spans, handler, "one")
    assert [span.name for span in spans.ended] == ["GET"]


async def test_what_the_ratio_leaves_out_has_no_spans_under_it_either(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.9, 0.1, 0.5])
    monkeypatch.setattr("wspipe_middlewares.tracing.messages.random", lambda: next(draws))

    async def handler(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            with spans.tracer.start_as_current_span(f"work {message}"):
                pass
            await socket.send_text(message)

    await converse(spans, handler, "one", "two", "three", ratio=0.5)
    (process,) = spans.named("process")
    assert parent_of(spans.only("work two")) == id_of(process)
    assert parent_of(spans.only("send")) == id_of(process)
    assert not spans.named("work one")
    assert not spans.named("work three")


async def test_a_send_of_its_own_accord_is_left_to_the_ratio(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.1, 0.9, 0.4])
    monkeypatch.setattr("wspipe_middlewares.tracing.messages.random", lambda: next(draws))

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for text in ("1", "22", "333"):
            await socket.send_text(text)

    await converse(spans, handler, ratio=0.5)
    sizes = [(span.attributes or {})["wspipe.message.size"] for span in spans.named("send")]
    assert sizes == [1, 3]


async def test_a_ratio_of_0_traces_no_message(spans: Spans) -> None:
    await converse(spans, echo, "one", "two", ratio=0.0)
    assert [span.name for span in spans.ended] == ["GET"]


async def test_the_spans_are_those_of_the_table(spans: Spans) -> None:
    @websocket_app(pipeline=Tracing(messages="all", tracer_provider=spans.provider))
    async def echo(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            await socket.send_text(message)

    async with connect(echo) as client:
        await client.send_text("hello")
        await client.receive()
    told = {(span.name, span.kind.name) for span in spans.ended}
    assert told == {(each.operation, each.kind.partition(";")[0]) for each in names.SPANS}
