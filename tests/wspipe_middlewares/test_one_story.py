"""Log line, span and metrics tell the same of a connection, however it ends."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.story import Observers, Story
from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    PipelineMiddleware,
    WebSocket,
    websocket_app,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio

TEXT: dict[str, Any] = {"type": "websocket.receive", "text": "é"}
BINARY: dict[str, Any] = {"type": "websocket.receive", "bytes": b"12345"}


def left(code: int, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


class Server:
    """A server in memory: it has events to give, then waits; sending may fail."""

    def __init__(self, *events: Any, fails: BaseException | None = None) -> None:
        self.events = [{"type": "websocket.connect"}, *events]
        self.fails = fails
        self.starved = anyio.Event()

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            self.starved.set()
            await anyio.sleep_forever()
        event: Any = self.events.pop(0)
        return event

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] == "websocket.send" and self.fails is not None:
            raise self.fails


# What the application does.


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        await socket.send({**event, "type": "websocket.send"})


async def close_first(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.close(4002, "done")


async def raise_at_a_message(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    raise LookupError("no such thing")


async def raise_at_once(_: WebSocket) -> None:
    raise LookupError("no such thing")


async def come_back(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()


async def deny(socket: WebSocket) -> None:
    await socket.send_denial_response(401)


async def close_before_the_accept(socket: WebSocket) -> None:
    await socket.receive()
    await socket.close(4003)


async def dawdle(socket: WebSocket) -> None:
    await socket.receive()
    await socket.receive()


async def send_rubbish(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.send({"type": "websocket.send"})


class Limit:
    """Closes at the first message."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def limited() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                await connection.close(1008, "too much", by=self)
                event = await receive()
            return event

        return limited, send


class Guard:
    """Rejects all."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        raise ConnectionRejected(429, code=1013, reason="later")


@dataclass(frozen=True)
class Row:
    """A way to end, and its story where the application is ours and where it is another's."""

    name: str
    server: Callable[[], Server]
    handler: Callable[[WebSocket], Awaitable[None]]
    ours: Story
    others: Story | None = None
    stage: Any = None
    cancelled: bool = False


def story(
    status: int | None,
    code: int | None,
    closed_by: str | None,
    *,
    reason: str = "",
    error_type: str | None = None,
    received: tuple[int, int] = (0, 0),
    sent: tuple[int, int] = (0, 0),
) -> Story:
    return Story(status, code, reason, closed_by, error_type, received, sent)


ONE = (1, 2)
BOTH = (2, 7)

ROWS = [
    Row(
        "the client closes",
        lambda: Server(TEXT, BINARY, left(1000, "bye\n")),
        echo,
        story(101, 1000, "client", reason=r"bye\n", received=BOTH, sent=BOTH),
    ),
    Row(
        "the client goes away",
        lambda: Server(TEXT, left(1001)),
        echo,
        story(101, 1001, "client", received=ONE, sent=ONE),
    ),
    Row(
        "the application closes",
        lambda: Server(TEXT),
        close_first,
        story(101, 4002, "application", reason="done", received=ONE),
    ),
    Row(
        "the handler raises",
        lambda: Server(TEXT),
        raise_at_a_message,
        story(101, 1011, "application", error_type="LookupError", received=ONE),
        story(101, None, "application", error_type="LookupError", received=ONE),
    ),
    Row(
        "the handler raises before the accept",
        Server,
        raise_at_once,
        story(500, None, "application", error_type="LookupError"),
        story(None, None, "application", error_type="LookupError"),
    ),
    Row(
        "the handler returns",
        lambda: Server(TEXT),
        come_back,
        story(101, 1000, "application", received=ONE),
        story(101, None, "application", received=ONE),
    ),
    Row(
        "the server cancels",
        lambda: Server(TEXT),
        echo,
        story(101, 1001, "server", received=ONE, sent=ONE),
        story(101, None, "server", received=ONE, sent=ONE),
        cancelled=True,
    ),
    Row(
        "the server cancels before the accept",
        Server,
        dawdle,
        story(500, None, "server", error_type="500"),
        story(None, None, "server", error_type="unanswered"),
        cancelled=True,
    ),
    Row(
        "the client leaves before the accept",
        lambda: Server(left(1006)),
        dawdle,
        story(None, 1006, "unknown"),
    ),
    Row(
        "denied by the application",
        Server,
        deny,
        story(401, None, "application"),
    ),
    Row(
        "closed before the accept",
        Server,
        close_before_the_accept,
        story(403, 4003, "application"),
    ),
    Row(
        "rejected by a middleware",
        Server,
        echo,
        story(429, None, "Guard"),
        stage=Guard(),
    ),
    Row(
        "closed by a middleware",
        lambda: Server(TEXT, left(1008)),
        echo,
        story(101, 1008, "Limit", reason="too much", error_type="1008", received=ONE),
        stage=Limit(),
    ),
    Row(
        "the application breaks the protocol",
        lambda: Server(TEXT),
        send_rubbish,
        story(
            101,
            1011,
            "application",
            error_type="wspipe.exceptions.ProtocolError",
            received=ONE,
        ),
    ),
    Row(
        "the server breaks the protocol",
        lambda: Server(TEXT, {"type": "websocket.connect"}),
        echo,
        story(
            101,
            1011,
            "application",
            error_type="wspipe.exceptions.ProtocolError",
            received=ONE,
            sent=ONE,
        ),
        story(
            101,
            None,
            "application",
            error_type="wspipe.exceptions.ProtocolError",
            received=ONE,
            sent=ONE,
        ),
    ),
    Row(
        "the client breaks the protocol",
        lambda: Server(TEXT, left(1002)),
        echo,
        story(101, 1002, "unknown", error_type="1002", received=ONE, sent=ONE),
    ),
    Row(
        "the connection is lost",
        lambda: Server(TEXT, left(1006)),
        echo,
        story(101, 1006, "unknown", error_type="1006", received=ONE, sent=ONE),
    ),
    Row(
        "the connection is lost while sending",
        lambda: Server(TEXT, fails=ConnectionResetError("gone")),
        echo,
        story(101, 1006, "unknown", error_type="1006", received=ONE),
    ),
]


async def serve(app: Any, server: Server, *, cancelled: bool) -> BaseException | None:
    """Run an application, and cancel it once there is nothing to receive, where wanted."""
    raised: list[BaseException] = []

    async def run() -> None:
        scope: Scope = websocket_scope("/rooms/5", extensions=["websocket.http.response"])
        scope["wspipe.route"] = "/rooms/{room}"
        try:
            await app(scope, server.receive, server.send)
        except Exception as error:  # noqa: BLE001 - the caller looks at it
            raised.append(error)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            if cancelled:
                await server.starved.wait()
                tasks.cancel_scope.cancel()
    return raised[0] if raised else None


def around_another(handler: Any, pipeline: Any) -> PipelineMiddleware:
    """Put the handler behind a framework's class, which here is ours without a pipeline."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await handler(Plain(scope, receive, send))

    return PipelineMiddleware(application, pipeline)


class Plain:
    """What a framework gives its handlers: nothing but the events."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.receive, self.send = scope, receive, send

    async def accept(self) -> None:
        await self.receive()
        await self.send({"type": "websocket.accept"})

    async def close(self, code: int, reason: str = "") -> None:
        await self.send({"type": "websocket.close", "code": code, "reason": reason})

    async def send_denial_response(self, status: int) -> None:
        await self.receive()
        start = {"type": "websocket.http.response.start", "status": status, "headers": []}
        await self.send(start)
        await self.send({"type": "websocket.http.response.body", "body": b""})


@pytest.mark.parametrize("span", ["connection", "handshake"])
@pytest.mark.parametrize("runner", ["ours", "others"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
async def test_all_three_tell_the_same(
    row: Row, runner: str, span: str, caplog: pytest.LogCaptureFixture
) -> None:
    observers = Observers(span=span)
    pipeline = observers.pipeline if row.stage is None else observers.pipeline | row.stage
    if runner == "ours":
        app: Any = websocket_app(row.handler, pipeline=pipeline)
        expected = row.ours
    else:
        app = around_another(row.handler, pipeline)
        expected = row.others or row.ours
        if row.handler is send_rubbish:
            # Not strict around others: the server would have to refuse it.
            expected = replace(expected, code=None, error_type=None, sent=(1, 0))
    with caplog.at_level(logging.WARNING):
        error = await serve(app, row.server(), cancelled=row.cancelled)
    assert observers.log_tells() == expected
    assert observers.metrics_tell(expected) == expected
    if span == "connection" or expected.status != 101:
        assert observers.span_tells() == expected
    else:
        assert observers.connection_span.attributes is not None
        assert observers.connection_span.attributes["http.response.status_code"] == 101
    assert observers.connection_span.name == "GET /rooms/{room}"
    assert (observers.connection_span.attributes or {})["http.route"] == "/rooms/{room}"
    assert observers.lines[-1]["route"] == "/rooms/{room}"
    if span == "connection" or expected.status != 101:
        told = [event.name for event in observers.connection_span.events]
        assert told == ["exception"] * (observers.lines[-1]["event"] == "websocket.error")
    told_error = observers.lines[-1]["event"] == "websocket.error"
    assert told_error == (error is not None and not isinstance(error, OSError))
    assert observers.spans.open == 0
    assert not [line for line in caplog.records if line.name.startswith("opentelemetry")]
    assert all(point.value == 0 for point in observers.measured.points("wspipe.connections.active"))


@pytest.mark.parametrize("span", ["connection", "handshake"])
@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("nothing", story(101, None, "application", received=ONE)),
        ("close", story(101, 4002, "application", reason="done", received=ONE)),
        ("leave", story(101, 1006, "unknown", error_type="1006", received=ONE)),
        ("raise", story(101, None, "application", error_type="LookupError", received=ONE)),
    ],
)
async def test_a_socket_without_a_runner_tells_the_same(
    ending: str, expected: Story, span: str
) -> None:
    observers = Observers(span=span)

    class Observed(WebSocket, pipeline=observers.pipeline):
        __slots__ = ()

    server = Server(TEXT, left(1006))
    scope = websocket_scope("/rooms/5")
    with suppress(LookupError):
        async with Observed(scope, server.receive, server.send) as socket:
            await socket.accept()
            await socket.receive()
            if ending == "close":
                await socket.close(4002, "done")
            elif ending == "leave":
                await socket.receive()
            elif ending == "raise":
                raise LookupError
    assert observers.log_tells() == observers.metrics_tell(expected) == expected
    if span == "connection":
        assert observers.span_tells() == expected
    assert observers.spans.open == 0
