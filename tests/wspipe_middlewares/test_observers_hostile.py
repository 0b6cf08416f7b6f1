"""Whatever a client or a server puts into the scope, observers change nothing and fail nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

from tests.story import Observers
from wspipe import PipelineMiddleware

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send

hosts = st.sampled_from(
    [b"xn--a", b"[::1", b"a:b:c", b"\xff", b"", b"a" * 5000, b"exa mple:99999", b"h:0"]
) | st.binary(max_size=8)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [b"user-agent", b"traceparent", b"tracestate", b"baggage", b"User-Agent", b"\xff"]
        ),
        st.binary(max_size=20) | st.just(b"x" * 9000),
    ),
    max_size=4,
)
scopes = st.fixed_dictionaries(
    {
        "type": st.just("websocket"),
        "path": st.text(max_size=10) | st.just("/" + "x" * 9000),
        "headers": st.tuples(hosts, headers).map(lambda both: [(b"host", both[0]), *both[1]]),
    },
    optional={
        "query_string": st.binary(max_size=20) | st.just(b"token=" + b"s" * 9000),
        "scheme": st.sampled_from(["ws", "wss", ""]),
        "http_version": st.sampled_from(["1.0", "1.1", "2", "3", None]),
        "client": st.sampled_from([None, ("", 0), ("192.0.2.1", 5), ("\ud800", 1)]),
        "server": st.sampled_from([None, ("h", None), ("/run/socket", None), ("::1", 443)]),
        "root_path": st.sampled_from(["", "/api", "\udfff"]),
        "path_template": st.sampled_from([None, "/a/{b}", 5]),
        "router": st.sampled_from([None, object(), 5]),
        "app_root_path": st.sampled_from(["", "/api"]),
        "route": st.sampled_from([None, object()]),
    },
)


async def converse(scope: Scope, pipeline: Any) -> list[Event]:
    """Give what the server is sent."""
    events = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "\u00e9"},
        {"type": "websocket.disconnect", "code": 1000, "reason": "\x1b\n" * 200},
    ]
    sent: list[Event] = []

    async def receive() -> Event:
        event: Any = events.pop(0)
        return event

    async def send(event: Event) -> None:
        sent.append(event)

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "\x1b" * 300})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})

    await PipelineMiddleware(application, pipeline)(scope, receive, send)
    return sent


@settings(
    max_examples=300,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(scopes)
def test_no_scope_makes_a_difference(scope: Scope) -> None:
    observers = Observers()
    expected = anyio.run(converse, dict(scope), None)
    assert anyio.run(converse, dict(scope), observers.pipeline) == expected
    assert [line["event"] for line in observers.lines] == ["websocket.open", "websocket.close"]
    assert observers.spans.open == 0
    encode_spans(observers.spans.ended).SerializeToString()
    for span in observers.spans.ended:
        assert all(len(str(value)) <= 1100 for value in (span.attributes or {}).values())


@pytest.mark.parametrize("host", ["xn--a", "a" * 5000])
def test_the_host_of_a_request_is_told_as_it_came_and_bounded(host: str) -> None:
    observers = Observers()
    scope = {"type": "websocket", "path": "/", "headers": [(b"host", host.encode())]}
    anyio.run(converse, scope, observers.pipeline)
    address = str((observers.connection_span.attributes or {})["server.address"])
    assert address == (host if len(host) < 257 else host[:256] + "\u2026")
