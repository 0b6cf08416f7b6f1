"""`PipelineMiddleware`: a pipeline around any application."""

from __future__ import annotations

import inspect
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import starlette.websockets

from wspipe import (
    ASGIConnection,
    Composable,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    ProtocolError,
    StateValidation,
    WebSocketDisconnect,
    on_send,
)
from wspipe.testing import connect, websocket_scope

if TYPE_CHECKING:
    from wspipe import ASGIApp, Event, Middleware, Receive, Scope, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


@dataclass
class Server(Composable):
    """Serves one connection from a list of events; a stage that watches it, too."""

    events: deque[Event]
    sent: list[Event] = field(default_factory=list)
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    connection: ASGIConnection | None = None

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.connection = connection

        def note() -> None:
            self.seen.append((connection.close_code, connection.closed_by, connection.error))

        connection.exit_stack.callback(note)
        return receive, send

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            await anyio.sleep_forever()
        return self.events.popleft()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        self.sent.append(event)

    async def serve(self, app: ASGIApp, inner: Middleware | None = None) -> None:
        pipeline = Pipeline(self, *([inner] if inner else []))
        with anyio.fail_after(5):
            await PipelineMiddleware(app, pipeline=pipeline)(
                websocket_scope(), self.receive, self.send
            )


def server(*events: Event) -> Server:
    return Server(deque([CONNECT, *events]))


def plays(*events: Event, error: BaseException | None = None) -> ASGIApp:
    """Make an application that takes the connect event, sends these, and then fails or not."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in events:
            await send(event)
        if error:
            raise error

    return app


@pytest.mark.parametrize("kind", ["http", "lifespan", "mqtt"])
async def test_scopes_of_other_types_pass_with_the_same_objects(kind: str) -> None:
    passed: list[Any] = []

    async def app(*args: Any) -> None:
        passed.extend(args)

    it, scope = server(), {"type": kind}
    await PipelineMiddleware(app, pipeline=on_send(print))(scope, it.receive, it.send)
    assert passed[0] is scope
    assert passed[1:] == [it.receive, it.send]


async def test_the_application_gets_the_scope_of_the_server_and_the_ends_of_the_pipeline() -> None:
    passed: list[Any] = []

    async def app(*args: Any) -> None:
        passed.extend(args)

    it, scope = server(), websocket_scope()
    await PipelineMiddleware(app, pipeline=it)(scope, it.receive, it.send)
    assert it.connection is not None
    assert passed[0] is scope is it.connection.scope
    assert passed[1:] == [it.connection.receive, it.connection.send]


async def test_a_return_is_the_applications_end_and_sends_nothing() -> None:
    it = server()
    await it.serve(plays(ACCEPT))
    assert (it.sent, it.seen) == ([ACCEPT], [(None, "application", None)])


async def test_a_close_of_the_application_is_read_by_the_callbacks() -> None:
    it = server()
    await it.serve(plays(ACCEPT, {"type": "websocket.close", "code": 4000}))
    assert it.seen == [(4000, "application", None)]


async def test_an_error_is_raised_on_and_read_by_the_callbacks() -> None:
    it, error = server(), LookupError("mine")
    with pytest.raises(LookupError):
        await it.serve(plays(ACCEPT, error=error))
    assert (it.sent, it.seen) == ([ACCEPT], [(None, "application", error)])


async def test_an_error_that_a_callback_suppresses_is_not_raised() -> None:
    def suppress(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        connection.exit_stack.push(lambda *_: True)
        return receive, send

    it, error = server(), LookupError("mine")
    await it.serve(plays(ACCEPT, error=error), suppress)
    assert it.seen == [(None, "application", error)]


async def test_an_error_while_the_pipeline_is_composed_still_runs_the_callbacks() -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("no configuration")

    it = server()
    with pytest.raises(LookupError, match="no configuration"):
        await it.serve(plays(), broken)
    assert len(it.seen) == 1


async def test_a_cancellation_is_the_servers_end() -> None:
    it, waiting = server(), anyio.Event()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        waiting.set()
        await receive()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.serve, app)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    ((code, by, error),) = it.seen
    assert (code, by) == (None, "server")
    assert isinstance(error, anyio.get_cancelled_exc_class())


@pytest.mark.parametrize(
    "error",
    [
        WebSocketDisconnect(detail="gone", code=4001),
        starlette.websockets.WebSocketDisconnect(4001),
        starlette.websockets.WebSocketDisconnect(1006),
    ],
    ids=repr,
)
async def test_that_the_client_left_is_raised_on_but_is_no_error(error: Exception) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        raise error

    it = server(DISCONNECT)
    with pytest.raises(type(error)):
        await it.serve(app)
    assert it.seen == [(4001, "client", None)]


async def test_a_close_from_the_middle_is_not_the_applications_fault() -> None:
    it = server()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        assert it.connection is not None
        await it.connection.close(4008, by=it)
        await send({"type": "websocket.send", "text": "more"})

    await it.serve(app)
    assert [event["type"] for event in it.sent] == ["websocket.accept", "websocket.close"]
    assert it.seen == [(4008, it, None)]


async def test_an_error_of_its_own_after_a_close_from_the_middle_is_one() -> None:
    it, error = server(), LookupError("mine")

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        assert it.connection is not None
        await it.connection.close(4008, by=it)
        raise error

    with pytest.raises(LookupError):
        await it.serve(app)
    assert it.seen == [(4008, it, error)]


async def test_a_failing_callback_after_a_return_is_raised() -> None:
    def fail() -> None:
        raise LookupError("a callback's")

    def failing(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        connection.exit_stack.callback(fail)
        return receive, send

    it = server()
    with pytest.raises(LookupError, match="a callback's"):
        await it.serve(plays(ACCEPT), failing)
    assert len(it.seen) == 1


async def test_it_is_lenient_unless_the_pipeline_names_a_strict_wire_stage() -> None:
    malformed = {"type": "websocket.close", "code": 1006}
    it = server()
    await PipelineMiddleware(plays(ACCEPT, malformed))(websocket_scope(), it.receive, it.send)
    assert it.sent == [ACCEPT, malformed]
    strict = PipelineMiddleware(plays(ACCEPT, malformed), pipeline=StateValidation(strict=True))
    it = server()
    with pytest.raises(ProtocolError):
        await strict(websocket_scope(), it.receive, it.send)


async def test_one_may_lie_around_another() -> None:
    def adding(letter: str) -> Middleware:
        return on_send(lambda event, _: {**event, "text": event["text"] + letter})

    inner = PipelineMiddleware(
        plays(ACCEPT, {"type": "websocket.send", "text": "c"}), pipeline=adding("b")
    )
    async with connect(PipelineMiddleware(inner, pipeline=adding("a"))) as client:
        assert await client.receive() == "cba"


async def never(*_: Any) -> None:
    raise AssertionError("the application ran")


@pytest.mark.parametrize("interceptor", [lambda event, _: event, never])
async def test_the_application_gets_coroutine_functions_whatever_the_stages_give(
    interceptor: Any,
) -> None:
    passed: list[Any] = []

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        passed.extend([receive, send])
        await receive()
        await send(ACCEPT)

    it = server()
    await it.serve(app, on_send(interceptor))
    assert all(map(inspect.iscoroutinefunction, passed))
    assert it.sent == [ACCEPT]


def test_servers_and_frameworks_see_an_async_application() -> None:
    assert inspect.iscoroutinefunction(PipelineMiddleware(never).__call__)


def test_what_is_no_application_or_no_pipeline_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="5 is not an ASGI application"):
        PipelineMiddleware(5)  # type: ignore[arg-type]
    with pytest.raises(ImproperlyConfiguredException, match="position 0 of the pipeline"):
        PipelineMiddleware(never, pipeline=never)  # type: ignore[arg-type]


def test_the_repr_is_the_code_that_makes_it() -> None:
    app = PipelineMiddleware(print, pipeline=on_send(print))  # type: ignore[arg-type]
    assert repr(app) == (
        "PipelineMiddleware(<built-in function print>, "
        "pipeline=Pipeline(StateValidation(strict=False), on_send(print)))"
    )


# A stage that closes, or cancels, from a task of its own.


@dataclass
class Closer(Composable):
    """Closes from another task when it is told to; keeps the application's cancel scope."""

    wanted: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope | None = None
    connection: ASGIConnection | None = None

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.connection, self.scope = connection, connection.application_scope
        return receive, send

    async def close(self) -> None:
        await self.wanted.wait()
        assert self.connection is not None
        await self.connection.close(4001, "out", by=self)


async def serve(
    app: ASGIApp, closer: Closer, take: anyio.Event | None = None
) -> tuple[list[Event], list[float]]:
    """Serve one connection whose server takes a close when it may."""
    sent: list[Event] = []
    ended: list[float] = []
    events = deque([CONNECT])

    async def receive() -> Event:
        if not events:
            await anyio.sleep_forever()
        return events.popleft()

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close" and take is not None:
            await take.wait()
        sent.append(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(closer.close)
        await PipelineMiddleware(app, closer)(websocket_scope(), receive, send)
        ended.append(len(sent))
    return sent, ended


@pytest.mark.parametrize("fails", [False, True])
async def test_the_server_has_the_close_before_the_application_has_ended(*, fails: bool) -> None:
    closer, take = Closer(), anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send(ACCEPT)
        closer.wanted.set()
        await anyio.wait_all_tasks_blocked()
        take.set()
        if fails:
            await send({"type": "websocket.send", "text": "too late"})

    with anyio.fail_after(5):
        sent, ended = await serve(app, closer, take)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.close"]
    assert ended == [2]


async def test_a_stage_may_cancel_the_application() -> None:
    closer, after = Closer(), []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send(ACCEPT)
        closer.wanted.set()
        await anyio.sleep_forever()
        after.append("went on")

    async def close_and_cancel() -> None:
        await Closer.close(closer)
        assert closer.scope is not None
        closer.scope.cancel()

    closer.close = close_and_cancel  # type: ignore[method-assign]
    with anyio.fail_after(5):
        sent, _ = await serve(app, closer)
    assert [event["type"] for event in sent] == ["websocket.accept", "websocket.close"]
    assert after == []
    assert closer.connection is not None
    assert closer.connection.error is None
    assert closer.connection.closed_by is closer


async def test_a_cancelled_application_that_nobody_closed_has_returned() -> None:
    closer = Closer()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send(ACCEPT)
        closer.wanted.set()
        await anyio.sleep_forever()

    async def cancel() -> None:
        await closer.wanted.wait()
        assert closer.scope is not None
        closer.scope.cancel()

    closer.close = cancel  # type: ignore[method-assign]
    with anyio.fail_after(5):
        await serve(app, closer)
    assert closer.connection is not None
    assert (closer.connection.close_code, closer.connection.closed_by) == (None, "application")


async def test_each_connection_has_one_application_scope() -> None:
    connection: ASGIConnection = ASGIConnection(websocket_scope())
    assert connection.application_scope is connection.application_scope
