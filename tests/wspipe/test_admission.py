"""Admission: a middleware decides on a connection before the application sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    on_send,
    select,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import ASGIApp, Event, Middleware, Receive, Scope, Send

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Gate(Composable):
    """Notes that it was asked, and raises what it was given."""

    name: str
    notes: list[str] = field(default_factory=list, compare=False)
    error: Exception | None = None

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        await anyio.lowlevel.checkpoint()
        self.notes.append(self.name)
        if self.error:
            raise self.error


@dataclass(frozen=True)
class Watch(Composable):
    """Notes how the connection ended."""

    ends: list[tuple[Any, ...]]

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        def note() -> None:
            end = (connection.closed_by, connection.error, connection.handshake_status)
            self.ends.append(end)

        connection.exit_stack.callback(note)
        return receive, send


def in_a_websocket_app(pipeline: Middleware, notes: list[str]) -> ASGIApp:
    @websocket_app(pipeline=pipeline)
    async def app(socket: WebSocket) -> None:
        notes.append("the application")
        await socket.accept()

    return app


def in_a_websocket_class(pipeline: Middleware, notes: list[str]) -> ASGIApp:
    class Guarded(WebSocket, pipeline=pipeline): ...

    @websocket_app(websocket_class=Guarded)
    async def app(socket: Guarded) -> None:
        notes.append("the application")
        await socket.accept()

    return app


def in_front_of_an_application(pipeline: Middleware, notes: list[str]) -> ASGIApp:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        notes.append("the application")
        await receive()
        await send({"type": "websocket.accept"})

    return PipelineMiddleware(app, pipeline=pipeline)


@pytest.fixture(params=[in_a_websocket_app, in_a_websocket_class, in_front_of_an_application])
def make_app(request: pytest.FixtureRequest) -> Callable[[Middleware, list[str]], ASGIApp]:
    maker: Callable[[Middleware, list[str]], ASGIApp] = request.param
    return maker


async def test_every_stage_is_asked_in_order_before_the_application_runs(make_app: Any) -> None:
    notes: list[str] = []
    pipeline = Gate("1", notes) | on_send(print) | Gate("2", notes)
    async with connect(make_app(pipeline, notes)):
        pass
    assert notes == ["1", "2", "the application"]


async def test_a_rejection_ends_the_asking_and_denies_as_it_says(make_app: Any) -> None:
    notes: list[str] = []
    ends: list[tuple[Any, ...]] = []
    rejection = ConnectionRejected(401, {"X-Why": "token"}, "no entry", 4003, "no token")
    gate = Gate("2", notes, rejection)
    app = make_app(Watch(ends) | Gate("1", notes) | gate | Gate("3", notes), notes)
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app):
            pass
    it = denied.value
    assert (it.status, it.headers, it.body) == (401, [(b"x-why", b"token")], b"no entry")
    assert notes == ["1", "2"]
    assert ends == [(gate, None, 401)]


async def test_a_rejection_is_a_plain_close_where_the_server_has_no_denial_response(
    make_app: Any,
) -> None:
    ends: list[tuple[Any, ...]] = []
    gate = Gate("1", error=ConnectionRejected(401, code=4003, reason="no token"))
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(make_app(Watch(ends) | gate, []), extensions=()):
            pass
    assert (denied.value.code, denied.value.reason) == (4003, "no token")
    assert ends == [(gate, None, 403)]


async def test_an_error_keeps_the_application_from_running_and_is_raised_on(make_app: Any) -> None:
    notes: list[str] = []
    ends: list[tuple[Any, ...]] = []
    error = LookupError("no directory of users")
    app = make_app(Watch(ends) | Gate("1", notes, error) | Gate("2", notes), notes)
    with pytest.raises(LookupError) as raised:
        async with connect(app):
            pass
    assert raised.value is error
    assert notes == ["1"]
    assert [end[:2] for end in ends] == [("application", error)]


@pytest.mark.parametrize("wrap", [lambda gate: select(bool, gate), lambda gate: gate | Gate("x")])
async def test_a_rejection_names_the_innermost_middleware(make_app: Any, wrap: Any) -> None:
    ends: list[tuple[Any, ...]] = []
    gate = Gate("inner", error=ConnectionRejected(401))
    with pytest.raises(ConnectionDenied):
        async with connect(make_app(Pipeline(Watch(ends), wrap(gate)), [])):
            pass
    assert ends[0][0] is gate


async def test_two_stages_that_raise_the_same_object_are_told_apart() -> None:
    rejection = ConnectionRejected(401, code=4003)
    for name in ("1", "2"):
        gate = Gate(name, error=rejection)
        with pytest.raises(ConnectionRejected) as raised:
            await Pipeline(gate).admit(ASGIConnection({}))
        assert raised.value.by is gate
        assert (raised.value.status, raised.value.code) == (401, 4003)
    assert rejection.by is None


async def test_a_rejection_that_names_somebody_keeps_the_name() -> None:
    rejection = ConnectionRejected(401)
    rejection.by = "somebody"
    with pytest.raises(ConnectionRejected) as raised:
        await Pipeline(Gate("1", error=rejection)).admit(ASGIConnection({}))
    assert raised.value.by == "somebody"


@dataclass(frozen=True)
class Early(Composable):
    """Closes before the application has seen anything; and rejects then, where told to."""

    rejects: bool = False

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        await connection.close(1013, "draining", by=self)
        if self.rejects:
            raise ConnectionRejected(403)


@pytest.mark.parametrize("outer", [True, False], ids=["around", "inside"])
async def test_a_close_before_the_connect_is_heard_after_it(*, outer: bool) -> None:
    heard: list[str] = []
    ends: list[tuple[Any, ...]] = []

    async def plain(_: Scope, receive: Receive, __: Send) -> None:
        heard.extend([(await receive())["type"], (await receive())["type"]])

    async def handler(socket: WebSocket) -> None:
        heard.extend([(await socket.receive())["type"], (await socket.receive())["type"]])

    guards = Watch(ends) | Early()
    app = PipelineMiddleware(plain, guards) if outer else websocket_app(handler, pipeline=guards)
    for served in (app, PipelineMiddleware(app)):
        with pytest.raises(ConnectionDenied) as denied:
            async with connect(served):
                pass
        assert (denied.value.status, denied.value.code) == (403, 1013)
    assert heard == ["websocket.connect", "websocket.disconnect"] * 2
    assert ends == [(Early(), None, 403)] * 2


@pytest.mark.parametrize("kind", [in_a_websocket_app, in_a_websocket_class])
async def test_a_rejection_after_a_close_is_no_error_either(kind: Any) -> None:
    notes: list[str] = []
    ends: list[tuple[Any, ...]] = []
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(kind(Watch(ends) | Early(rejects=True), notes)):
            pass
    assert denied.value.code == 1013
    assert notes == []
    assert ends == [(Early(rejects=True), None, 403)]


async def test_a_connect_that_never_comes_does_not_hold_up_the_denial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wspipe.closing.CONNECT_TIMEOUT", 0.01)
    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    gate = Gate("1", error=ConnectionRejected(403))
    app = PipelineMiddleware(websocket_app(WebSocket.accept), gate)
    with anyio.fail_after(5):
        await app({"type": "websocket"}, anyio.sleep_forever, send)
    assert [event["type"] for event in sent] == ["websocket.close"]
