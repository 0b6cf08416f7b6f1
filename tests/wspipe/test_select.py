"""`select`: a middleware for some connections only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    StateValidation,
    WebSocket,
    on_send,
    select,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio


def is_private(connection: ASGIConnection) -> bool:
    return connection.url.path.startswith("/private")


def louder(event: Event, _: ASGIConnection) -> Event:
    return {**event, "text": event["text"].upper()}


@dataclass(frozen=True)
class Doorkeeper(Composable):
    """Rejects everybody, and notes when it starts and stops."""

    notes: list[str] = field(default_factory=list)

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        raise ConnectionRejected(401)

    async def startup(self) -> None:
        self.notes.append("startup")

    async def shutdown(self) -> None:
        self.notes.append("shutdown")


async def test_only_the_selected_connections_pass_the_middleware() -> None:
    @websocket_app(pipeline=select(is_private, on_send(louder)))
    async def app(socket: WebSocket) -> None:
        await socket.send_text("hello")

    async with connect(app, "/private/room") as client:
        assert await client.receive() == "HELLO"
    async with connect(app, "/public") as client:
        assert await client.receive() == "hello"


async def test_only_the_selected_connections_are_asked_for_admission() -> None:
    closers: list[Any] = []
    doorkeeper = Doorkeeper()

    def note_end(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        connection.exit_stack.callback(lambda: closers.append(connection.closed_by))
        return receive, send

    @websocket_app(pipeline=Pipeline(note_end, select(is_private, doorkeeper)))
    async def app(socket: WebSocket) -> None:
        await socket.send_text("come in")

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app, "/private/room"):
            pass
    assert denied.value.status == 401
    async with connect(app, "/public") as client:
        assert await client.receive() == "come in"
    assert closers == [doorkeeper, "application"]


async def test_the_condition_is_asked_once_for_each_connection() -> None:
    asked: list[str] = []

    def ask(connection: ASGIConnection) -> bool:
        asked.append(connection.url.path)
        return len(asked) == 1

    app = websocket_app(WebSocket.accept, pipeline=select(ask, Doorkeeper()))
    with pytest.raises(ConnectionDenied):
        async with connect(app, "/first"):
            pass
    async with connect(app, "/second"):
        pass
    assert asked == ["/first", "/second"]


async def test_resources_start_and_shut_down_whatever_is_selected() -> None:
    doorkeeper = Doorkeeper()
    selected = select(lambda _: False, doorkeeper)
    pipeline = Pipeline(selected)
    assert pipeline.owns_resources
    await pipeline.startup()
    await pipeline.shutdown()
    assert doorkeeper.notes == ["startup", "shutdown"]


def test_a_connection_that_is_not_selected_keeps_its_very_callables() -> None:
    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(_: Event) -> None: ...

    pair = select(is_private, on_send(louder))(ASGIConnection(websocket_scope()), receive, send)
    assert pair[0] is receive
    assert pair[1] is send


@pytest.mark.parametrize("middleware", [StateValidation(), StateValidation() | on_send(louder)])
def test_state_validation_cannot_be_selected(middleware: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="StateValidation cannot be selected"):
        select(is_private, middleware)


def test_what_is_no_middleware_cannot_be_selected() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"position 0 .* not callable"):
        select(is_private, None)  # type: ignore[arg-type]


async def always(_: ASGIConnection) -> bool:
    return True


@pytest.mark.parametrize("condition", [True, "/private", None, always])
def test_a_condition_that_cannot_be_asked_is_refused(condition: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="condition"):
        select(condition, on_send(louder))


def test_equality_is_that_of_condition_and_middleware() -> None:
    assert select(is_private, on_send(louder)) == select(is_private, on_send(louder))
    assert select(is_private, on_send(louder)) != select(bool, on_send(louder))
    assert select(is_private, on_send(louder)) != on_send(louder)


def test_the_repr_names_the_condition_and_what_is_selected() -> None:
    stage = on_send(louder)
    assert repr(select(is_private, stage)) == "select(is_private, on_send(louder))"
    both = "Pipeline(on_send(louder), on_send(louder))"
    assert repr(select(is_private, stage | stage)) == f"select(is_private, {both})"
