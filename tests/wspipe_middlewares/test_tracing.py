"""`Tracing`: the span of a connection, its parent, its attributes and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry import baggage, propagate
from opentelemetry.context import Context, attach
from opentelemetry.propagate import extract
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracerProvider,
    SpanContext,
    SpanKind,
    StatusCode,
    get_current_span,
)

from tests.observed import Spans, id_of, parent_of, trace_of
from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    ImproperlyConfiguredException,
    PipelineMiddleware,
    WebSocket,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares import Tracing
from wspipe_middlewares.tracing import JSONField

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Event, Receive, Scope, Send
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio

TRACEPARENT = (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


async def echo(socket: WebSocket) -> None:
    await socket.accept("chat")
    async for message in socket.iter_text():
        await socket.send_text(message * 2)


async def talk(client: Client) -> None:
    await client.send_text("é")
    await client.receive()
    await client.close(4001, "enough")


async def leave(_: Client) -> None: ...


async def converse(
    tracing: Tracing,
    handler: Callable[[WebSocket], Awaitable[None]] = echo,
    client_does: Callable[[Client], Awaitable[None]] = leave,
    url: str = "/rooms/5?a=1&token=secret",
    **options: Any,
) -> None:
    """Have a client talk to a handler, whatever becomes of it."""
    with anyio.fail_after(5):
        try:
            async with connect(websocket_app(handler, pipeline=tracing), url, **options) as client:
                await client_does(client)
        except (ConnectionDenied, LookupError):
            pass


async def test_a_handshake_has_one_server_span_that_ends_at_the_accept(spans: Spans) -> None:
    open_after_accept: list[int] = []

    async def handler(socket: WebSocket) -> None:
        assert spans.open == 1
        await socket.accept("chat")
        open_after_accept.append(spans.open)

    headers = [(b"user-agent", b"tests/1.0")]
    await converse(Tracing(tracer_provider=spans.provider), handler, headers=headers)
    assert open_after_accept == [0]
    (span,) = spans.ended
    assert (span.name, span.kind) == ("GET", SpanKind.SERVER)
    assert parent_of(span) is None
    attributes = dict(span.attributes or {})
    assert len(str(attributes.pop("wspipe.connection.id"))) == 16
    assert attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "url.scheme": "ws",
        "url.path": "/rooms/5",
        "url.query": "a=1&token=[redacted]",
        "server.address": "testserver",
        "server.port": 80,
        "client.address": "127.0.0.1",
        "client.port": 50000,
        "network.protocol.version": "1.1",
        "user_agent.original": "tests/1.0",
        "wspipe.subprotocol": "chat",
    }
    assert span.status.status_code is StatusCode.UNSET


async def test_a_whole_connection_has_a_span_that_tells_how_it_ended(spans: Spans) -> None:
    tracing = Tracing(span="connection", tracer_provider=spans.provider)
    await converse(tracing, client_does=talk)
    (span,) = spans.ended
    attributes = span.attributes or {}
    ours = {key: value for key, value in attributes.items() if key.startswith("wspipe.")}
    assert len(str(ours.pop("wspipe.connection.id"))) == 16
    assert ours == {
        "wspipe.subprotocol": "chat",
        "wspipe.messages.received": 1,
        "wspipe.messages.sent": 1,
        "wspipe.bytes.received": 2,
        "wspipe.bytes.sent": 4,
        "wspipe.close.code": "4001",
        "wspipe.close.reason": "enough",
        "wspipe.closed_by": "client",
    }
    assert attributes["http.response.status_code"] == 101
    assert span.status.status_code is StatusCode.UNSET


async def test_the_parent_comes_from_the_request_headers(spans: Spans) -> None:
    await converse(Tracing(tracer_provider=spans.provider), headers=[TRACEPARENT])
    (span,) = spans.ended
    assert parent_of(span) == 0xB7AD6B7169203331
    assert trace_of(span) == 0x0AF7651916CD43DD8448EB211C80319C


async def test_inside_a_span_of_this_process_it_is_an_internal_child(spans: Spans) -> None:
    app = websocket_app(echo, pipeline=Tracing(tracer_provider=spans.provider))

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        with spans.tracer.start_as_current_span("outer"):
            await app(scope, receive, send)
            assert get_current_span().is_recording()

    async with connect(within, headers=[TRACEPARENT]):
        pass
    span = spans.only("GET")
    assert span.kind is SpanKind.INTERNAL
    assert parent_of(span) == id_of(spans.only("outer"))


@pytest.mark.parametrize("span", ["handshake", "connection"])
async def test_the_span_is_current_until_it_ends_and_then_no_more(spans: Spans, span: Any) -> None:
    async def handler(socket: WebSocket) -> None:
        with spans.tracer.start_as_current_span("before"):
            pass
        await socket.accept()
        with spans.tracer.start_as_current_span("after"):
            pass

    await converse(Tracing(span=span, tracer_provider=spans.provider), handler)
    own = id_of(spans.only("GET"))
    assert parent_of(spans.only("before")) == own
    assert parent_of(spans.only("after")) == (own if span == "connection" else None)


async def test_after_a_span_around_the_accept_the_handshakes_does_not_come_back(
    spans: Spans,
) -> None:
    async def handler(socket: WebSocket) -> None:
        with spans.tracer.start_as_current_span("authenticate"):
            await socket.accept()
        spans.tracer.start_span("later").end()

    await converse(Tracing(tracer_provider=spans.provider), handler)
    assert parent_of(spans.only("authenticate")) == id_of(spans.only("GET"))
    assert parent_of(spans.only("later")) is None


async def test_an_accept_in_another_task_ends_it_everywhere(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(socket.accept)
        spans.tracer.start_span("later").end()

    await converse(Tracing(tracer_provider=spans.provider), handler)
    assert parent_of(spans.only("later")) is None


@pytest.mark.parametrize("span", ["handshake", "connection"])
async def test_two_of_them_nest(spans: Spans, span: Any) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        spans.tracer.start_span("later").end()

    tracing = Tracing(span=span, tracer_provider=spans.provider)
    pipeline: Any = tracing | tracing
    await converse(pipeline, handler)
    inner, outer = spans.named("GET") if span == "connection" else reversed(spans.named("GET"))
    assert (inner.kind, outer.kind) == (SpanKind.INTERNAL, SpanKind.SERVER)
    assert parent_of(inner) == id_of(outer)
    assert parent_of(spans.only("later")) == (id_of(inner) if span == "connection" else None)


async def test_the_handler_may_describe_the_span_while_it_is_open(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        span: Any = get_current_span()
        assert (span.name, span.kind) == ("GET", SpanKind.SERVER)
        span.set_attribute("tenant", "blue")
        span.set_attributes({"seat": 5})
        span.add_event("looked up")
        span.add_link(SpanContext(1, 2, is_remote=True))
        span.record_exception(LookupError("once"))
        span.set_status(StatusCode.ERROR, "of my own")
        span.update_name("ours")
        await socket.accept()
        assert get_current_span() is INVALID_SPAN

    await converse(Tracing(tracer_provider=spans.provider), handler)
    told = spans.only("ours")
    assert {"tenant": "blue", "seat": 5}.items() <= dict(told.attributes or {}).items()
    assert [event.name for event in told.events] == ["looked up", "exception"]
    assert (told.status.description, len(told.links)) == ("of my own", 1)


async def test_the_handler_may_end_it(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        get_current_span().end()
        await socket.accept()

    await converse(Tracing(span="connection", tracer_provider=spans.provider), handler)
    assert len(spans.ended) == 1


async def test_a_remote_parent_that_is_current_already_stays_the_parent(spans: Spans) -> None:
    app = websocket_app(echo, pipeline=Tracing(tracer_provider=spans.provider))

    async def within(scope: Scope, receive: Receive, send: Send) -> None:
        attach(extract({"traceparent": TRACEPARENT[1].decode()}))
        await app(scope, receive, send)

    async with connect(within):
        pass
    span = spans.only("GET")
    assert (span.kind, parent_of(span)) == (SpanKind.SERVER, 0xB7AD6B7169203331)


async def test_two_connections_in_one_task_share_nothing(spans: Spans) -> None:
    app = websocket_app(echo, pipeline=Tracing(span="connection", tracer_provider=spans.provider))
    seen: list[object] = []

    async def twice(scope: Scope, receive: Receive, send: Send) -> None:
        scope = {**scope, "headers": [(b"baggage", b"tenant=blue")]}
        await app(scope, receive, send)
        seen.append(baggage.get_all())
        seen.append(get_current_span())

    async with connect(twice):
        pass
    assert seen == [{}, INVALID_SPAN]


async def test_a_task_from_before_the_connection_may_end_it(spans: Spans) -> None:
    class Socket(WebSocket, pipeline=Tracing(span="connection", tracer_provider=spans.provider)):
        __slots__ = ()

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(_: Event) -> None: ...

    sockets: list[Socket] = []
    opened = anyio.Event()

    async def close() -> None:
        await opened.wait()
        await sockets[0].close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(close)
        await anyio.lowlevel.checkpoint()
        sockets.append(Socket({"type": "websocket"}, receive, send))
        await sockets[0].accept()
        opened.set()
    assert [span.name for span in spans.ended] == ["GET"]
    assert not get_current_span().get_span_context().is_valid


async def test_what_was_current_before_is_current_after_the_connection(spans: Spans) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    app = PipelineMiddleware(raw, Tracing(span="connection", tracer_provider=spans.provider))
    current: list[bool] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        current.append(get_current_span().get_span_context().is_valid)

    async with connect(watched):
        pass
    assert current == [False]


async def test_baggage_reaches_the_handler_also_after_the_accept(spans: Spans) -> None:
    seen: list[object] = []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        seen.append(baggage.get_baggage("tenant"))

    headers = [(b"baggage", b"tenant=blue")]
    await converse(Tracing(tracer_provider=spans.provider), handler, headers=headers)
    assert seen == ["blue"]


async def test_a_span_of_the_handler_around_the_accept_stays_current(spans: Spans) -> None:
    async def handler(socket: WebSocket) -> None:
        with spans.tracer.start_as_current_span("greeting"):
            await socket.accept()
            spans.tracer.start_span("inner").end()

    await converse(Tracing(tracer_provider=spans.provider), handler)
    assert parent_of(spans.only("inner")) == id_of(spans.only("greeting"))


@pytest.mark.parametrize("span", ["handshake", "connection"])
@pytest.mark.parametrize(
    ("status", "error_type"), [(403, None), (429, None), (500, "500"), (503, "503")]
)
async def test_a_denial_ends_the_span_with_its_status(
    spans: Spans, status: int, error_type: str | None, span: Any
) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send_denial_response(status, body="no")
        with spans.tracer.start_as_current_span("after"):
            pass

    await converse(Tracing(span=span, tracer_provider=spans.provider), handler)
    told, after = spans.only("GET"), spans.only("after")
    attributes = told.attributes or {}
    assert attributes["http.response.status_code"] == status
    assert attributes["wspipe.closed_by"] == "application"
    assert attributes.get("error.type") == error_type
    assert (told.status.status_code is StatusCode.ERROR) == (error_type is not None)
    assert parent_of(after) is None
    assert told.end_time is not None
    assert after.start_time is not None
    assert told.end_time <= after.start_time


async def test_a_rejection_by_a_middleware_names_it(spans: Spans) -> None:
    class Guard:
        def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
            return receive, send

        async def admit(self, _: ASGIConnection) -> None:
            raise ConnectionRejected(403)

    pipeline: Any = Tracing(tracer_provider=spans.provider) | Guard()
    await converse(pipeline)
    attributes = spans.only("GET").attributes or {}
    assert attributes["wspipe.closed_by"] == "Guard"
    assert attributes["http.response.status_code"] == 403


@pytest.mark.parametrize("accepts", [False, True])
async def test_an_exception_is_told_with_its_traceback(spans: Spans, *, accepts: bool) -> None:
    async def handler(socket: WebSocket) -> None:
        if accepts:
            await socket.accept()
        raise LookupError("line one\nline two \ud800")

    await converse(Tracing(span="connection", tracer_provider=spans.provider), handler)
    (span,) = spans.ended
    attributes = span.attributes or {}
    assert attributes["error.type"] == "LookupError"
    assert attributes["http.response.status_code"] == (101 if accepts else 500)
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == r"line one\nline two \ud800"
    (event,) = span.events
    told = event.attributes or {}
    assert event.name == "exception"
    assert told["exception.type"] == "LookupError"
    assert told["exception.message"] == r"line one\nline two \ud800"
    stacktrace = str(told["exception.stacktrace"])
    assert "in handler" in stacktrace
    stacktrace.encode()  # what is not UTF-8 fails to export


async def test_a_failure_before_the_answer_around_another_application(spans: Spans) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        async with connect(PipelineMiddleware(broken, Tracing(tracer_provider=spans.provider))):
            pass
    attributes = spans.only("GET").attributes or {}
    assert "http.response.status_code" not in attributes
    assert attributes["error.type"] == "LookupError"


async def test_a_handshake_that_nobody_answers_is_told(spans: Spans) -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    with pytest.raises(ConnectionDenied):
        async with connect(PipelineMiddleware(silent, Tracing(tracer_provider=spans.provider))):
            pass
    assert (spans.only("GET").attributes or {})["error.type"] == "unanswered"


async def test_an_abnormal_close_is_an_error_of_that_code(spans: Spans) -> None:
    async def vanish(client: Client) -> None:
        await client.close(None)

    await converse(Tracing(span="connection", tracer_provider=spans.provider), client_does=vanish)
    (span,) = spans.ended
    assert (span.attributes or {})["error.type"] == "1006"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)


async def test_without_a_provider_nothing_happens(spans: Spans) -> None:
    seen: list[bool] = []

    async def handler(socket: WebSocket) -> None:
        seen.append("wspipe.span_context" in socket.scope)
        await echo(socket)

    for messages in ("off", "all"):
        tracing = Tracing(messages=messages, tracer_provider=NoOpTracerProvider())  # type: ignore[arg-type]
        await converse(tracing, handler, client_does=talk)
    assert seen == [False, False]
    assert not spans.ended


async def test_a_sampled_parent_wraps_nothing_without_a_provider() -> None:
    pairs: list[bool] = []

    def stage(connection: ASGIConnection, receive: Receive, send: Send) -> Any:
        tracing = Tracing(messages="all", tracer_provider=NoOpTracerProvider())
        wrapped = tracing(connection, receive, send)
        pairs.append(wrapped == (receive, send))
        return wrapped

    async with connect(websocket_app(echo, pipeline=stage), headers=[TRACEPARENT]):
        pass
    assert pairs == [True]


async def test_the_scope_has_the_context_of_a_recorded_span(spans: Spans) -> None:
    seen: list[Any] = []

    async def handler(socket: WebSocket) -> None:
        seen.append(socket.scope["wspipe.span_context"])

    await converse(Tracing(tracer_provider=spans.provider), handler)
    assert seen[0].span_id == id_of(spans.only("GET"))


async def test_off_wraps_nothing(spans: Spans) -> None:
    pairs: list[bool] = []

    def compare(tracing: Tracing) -> Any:
        def stage(connection: ASGIConnection, receive: Receive, send: Send) -> Any:
            wrapped = tracing(connection, receive, send)
            pairs.append(wrapped == (receive, send))
            return wrapped

        return stage

    for messages in ("off", "receive", "all"):
        for provider in (spans.provider, Spans(ParentBased(ALWAYS_OFF)).provider):
            await converse(compare(Tracing(messages=messages, tracer_provider=provider)))  # type: ignore[arg-type]
    assert pairs == [True, True, False, True, False, True]


@pytest.mark.parametrize(("messages", "expected"), [("off", 1), ("receive", 0), ("all", 0)])
async def test_an_unsampled_connection_keeps_its_messages_spans_unsampled(
    messages: Any, expected: int
) -> None:
    spans = Spans(ParentBased(ALWAYS_OFF))
    free = Spans()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        # A sampler that goes by the parent, and samples every root.
        ParentBasedTracer = free.provider.get_tracer("free")  # noqa: N806
        ParentBasedTracer.start_span("work").end()

    await converse(Tracing(messages=messages, tracer_provider=spans.provider), handler)
    assert len(free.ended) == expected
    assert not spans.ended


async def test_over_http_2_the_method_is_connect(spans: Spans) -> None:
    app = websocket_app(echo, pipeline=Tracing(tracer_provider=spans.provider))

    async def second(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "http_version": "2"}, receive, send)

    async with connect(second):
        pass
    assert spans.ended[0].name == "CONNECT"
    assert (spans.ended[0].attributes or {})["http.request.method"] == "CONNECT"


async def test_further_parameters_are_redacted(spans: Spans) -> None:
    tracing = Tracing(tracer_provider=spans.provider, redact=frozenset({"seat"}))
    await converse(tracing, url="/?seat=5&row=6&api_key=k&signature=s&code=c&access_token=t")
    assert (spans.ended[0].attributes or {})["url.query"] == (
        "seat=[redacted]&row=6&api_key=[redacted]&signature=[redacted]&code=[redacted]"
        "&access_token=[redacted]"
    )


class Listing(TextMapPropagator):
    """A propagator that looks at all headers."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
        self.seen = list(getter.keys(carrier))
        return context or Context()

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None: ...

    @property
    def fields(self) -> set[str]:
        return set()


async def test_another_propagator_may_be_in_use(spans: Spans) -> None:
    before, listing = propagate.get_global_textmap(), Listing()
    propagate.set_global_textmap(listing)
    try:
        await converse(Tracing(tracer_provider=spans.provider), headers=[(b"b3", b"0")])
    finally:
        propagate.set_global_textmap(before)
    assert listing.seen == ["host", "b3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"span": "session"}, "span='session' must be one of 'handshake', 'connection'"),
        ({"messages": "send"}, "messages='send' must be one of 'off', 'receive', 'all'"),
        ({"ratio": 1.5}, "ratio is 0 to 1, not 1.5"),
        ({"ratio": -0.1}, "ratio is 0 to 1, not -0.1"),
        ({"carrier": JSONField()}, "a carrier needs traced messages"),
        ({"carrier": "traceparent", "messages": "all"}, "has the methods read and write"),
    ],
)
def test_what_could_not_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=message):
        Tracing(**options)


def test_two_of_the_same_options_are_equal_and_show_nothing_private() -> None:
    assert Tracing() == Tracing()
    assert hash(Tracing(ratio=0.5, messages="all")) == hash(Tracing(ratio=0.5, messages="all"))
    assert repr(Tracing()).startswith("Tracing(span='handshake', messages='off', ratio=1.0")
    assert "_tracer" not in repr(Tracing())
