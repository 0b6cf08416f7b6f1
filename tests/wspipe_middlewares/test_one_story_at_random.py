"""A thousand connections that end in random ways: nothing is left open, and all is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.trace import get_current_span

from tests.observed import Spans, id_of, links_of
from tests.story import Observers
from wspipe import PipelineMiddleware, WebSocketException, websocket_app
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send, WebSocket

CONNECTIONS, EXAMPLES = 20, 50


@dataclass(frozen=True)
class Script:
    """What happens on one connection: messages, then one way to end."""

    ours: bool
    accepts: bool
    messages: tuple[str | bytes, ...]
    elsewhere: bool
    ending: str


scripts = st.builds(
    Script,
    ours=st.booleans(),
    accepts=st.integers(0, 9).map(bool),
    messages=st.lists(
        st.text(st.characters(codec="utf-8"), max_size=5) | st.binary(max_size=5), max_size=4
    ).map(tuple),
    elsewhere=st.booleans(),
    ending=st.sampled_from(
        ["leave", "vanish", "close", "raise", "return", "cancel", "rubbish", "evict", "gone"]
    ),
)


class Server:
    """Gives the script's events; after the last the connection waits, unless the client leaves."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.events: list[Any] = [{"type": "websocket.connect"}]
        self.events += [
            {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}
            for data in script.messages
        ]
        if script.ending in {"leave", "vanish"}:
            code = 1000 if script.ending == "leave" else 1006
            self.events.append({"type": "websocket.disconnect", "code": code})
        self.cancel = anyio.CancelScope()

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            if self.script.ending == "cancel":
                self.cancel.cancel()
            await anyio.sleep_forever()
        event: Any = self.events.pop(0)
        return event

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if self.script.ending == "gone" and event["type"] == "websocket.send":
            raise BrokenPipeError


async def play(script: Script, socket: Any, spans: Spans) -> None:
    """Do what the script says, as the application."""
    await socket.receive()
    if not script.accepts:
        if script.ending == "raise":
            raise LookupError
        if script.ending != "return":
            await socket.send({"type": "websocket.close", "code": 1008})
        return
    await socket.send({"type": "websocket.accept"})
    for _ in script.messages:
        event = await received(socket, elsewhere=script.elsewhere)
        with spans.tracer.start_as_current_span("work"):
            await socket.send({**event, "type": "websocket.send"})
    match script.ending:
        case "close":
            await socket.send({"type": "websocket.close", "code": 4000})
        case "raise":
            raise LookupError
        case "rubbish":
            await socket.send({"type": "websocket.accept"})
        case "leave" | "vanish" | "cancel":
            await socket.receive()
        case _:
            await socket.send({"type": "websocket.send", "text": "good-bye"})


async def received(socket: Any, *, elsewhere: bool) -> Event:
    """Receive, in a task of its own where wanted."""
    if not elsewhere:
        event: Event = await socket.receive()
        return event
    events: list[Event] = []

    async def receive() -> None:
        events.append(await socket.receive())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receive)
    return events[0]


class Evicting:
    """Closes at the end of the script's messages, where that says so."""

    def __call__(self, connection: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def closing(event: Event) -> None:
            if event.get("text") == "good-bye" and connection.scope["evict"]:
                await connection.close(1008, by=self)
            await send(event)

        return receive, closing


class Raw:
    """The two functions, for the application that is not ours."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self.receive, self.send = receive, send


async def run(script: Script, pipeline: Any, spans: Spans) -> None:
    """Serve one connection, whatever comes of it."""

    async def handler(socket: WebSocket) -> None:
        await play(script, socket, spans)

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await play(script, Raw(receive, send), spans)

    app: Any = (
        websocket_app(handler, pipeline=pipeline)
        if script.ours
        else PipelineMiddleware(application, pipeline)
    )
    server = Server(script)
    scope = websocket_scope("/") | {"evict": script.ending == "evict"}
    with server.cancel:
        try:
            await app(scope, server.receive, server.send)
        except* (LookupError, OSError, WebSocketException):
            pass
    assert not get_current_span().get_span_context().is_valid


async def run_all(batch: list[Script], observers: Observers) -> None:
    pipeline = observers.pipeline | Evicting()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for script in batch:
                tasks.start_soon(run, script, pipeline, observers.spans)


@pytest.mark.parametrize("span", ["handshake", "connection"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_nothing_is_left_open_and_all_is_counted(
    span: str, backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    total = Counter[str]()

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(scripts, min_size=CONNECTIONS, max_size=CONNECTIONS))
    def connections(batch: list[Script]) -> None:
        observers = Observers(span=span)
        anyio.run(run_all, batch, observers, backend=backend)
        check(observers)
        total.update(script.ending for script in batch)

    connections()
    assert total.total() >= 1000
    assert len(total) == 9
    assert min(total.values()) >= 30
    assert not [line for line in caplog.records if line.name.startswith("opentelemetry")]


def check(observers: Observers) -> None:
    """See that the tellers agree on a batch of connections."""
    spans, measured = observers.spans, observers.measured
    assert spans.open == 0
    ended = [line for line in observers.lines if "duration" in line]
    assert len(ended) == CONNECTIONS == len(spans.named("GET"))
    assert sum(point.value for point in measured.points("wspipe.connections.active")) == 0
    durations = measured.points("wspipe.connection.duration")
    rejected = measured.points("wspipe.connections.rejected")
    counted = sum(p.count for p in durations) + sum(p.value for p in rejected)
    assert counted == CONNECTIONS
    assert sum(p.count for p in durations) == sum(line["status"] == 101 for line in ended)
    for direction, messages, size in (
        ("receive", "messages_received", "bytes_received"),
        ("transmit", "messages_sent", "bytes_sent"),
    ):
        for metric, field in (("wspipe.messages", messages), ("wspipe.message.bytes", size)):
            values = [
                point.value
                for point in measured.points(metric)
                if point.attributes["network.io.direction"] == direction
            ]
            assert sum(values) == sum(line[field] for line in ended)
    errors_told = Counter(line.get("error_type") for line in ended)
    errors_counted = Counter[str | None]()
    for point in (*durations, *rejected):
        number = getattr(point, "count", None) or getattr(point, "value", 0)
        errors_counted[point.attributes.get("error.type")] += number
    assert errors_told == errors_counted
    connections = {id_of(span) for span in spans.named("GET")}
    processed = spans.named("process")
    assert len(processed) == sum(line["messages_received"] for line in ended)
    assert all(links_of(span)[0] in connections for span in processed)
    assert all(span.parent is None for span in processed)
