"""`ASGIConnection`: what it knows of itself, of the scope and of the conversation."""

from __future__ import annotations

import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from wspipe import (
    Address,
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    ProtocolError,
    Traffic,
    WebSocketDisconnect,
)
from wspipe.testing import connect, websocket_scope

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from wspipe import Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
MESSAGE = {"type": "websocket.receive", "text": "hello"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


class Piped:
    """A connection with the wire stage around it, and lists for a server."""

    def __init__(self, *events: Event, strict: bool = True) -> None:
        self.events = deque(events)
        self.sent: list[Event] = []
        self.connection: ASGIConnection = ASGIConnection(websocket_scope())
        self.receive, self.send = Pipeline().with_wire(strict=strict)(
            self.connection, self.server_receive, self.server_send
        )

    async def server_receive(self) -> Event:
        return self.events.popleft()

    async def server_send(self, event: Event) -> None:
        self.sent.append(event)


def test_the_id_is_random_and_stays() -> None:
    one, two = ASGIConnection({}), ASGIConnection({})
    assert len(one.id) == 16
    assert set(one.id) <= set("0123456789abcdef")
    assert one.id == one.id != two.id


async def test_a_connection_made_without_ends_says_so() -> None:
    connection: ASGIConnection = ASGIConnection({})
    with pytest.raises(ImproperlyConfiguredException, match="made without a receive"):
        await connection.receive()
    with pytest.raises(ImproperlyConfiguredException, match=r"without a send.*websocket\.close"):
        await connection.send({"type": "websocket.close"})


async def test_a_connection_without_a_pipeline_says_so_and_is_in_its_initial_state() -> None:
    connection: ASGIConnection = ASGIConnection({})
    assert connection.connection_state == "init"
    assert connection.traffic == Traffic(0, 0, 0, 0)
    assert (connection.close_code, connection.close_reason, connection.closed_by) == (
        None,
        "",
        None,
    )
    with pytest.raises(ImproperlyConfiguredException, match="no pipeline is around"):
        await connection.close(by="me")
    with pytest.raises(ImproperlyConfiguredException, match="no pipeline is around"):
        connection.on_handshake(print)


def test_two_pipelines_around_one_connection_are_refused() -> None:
    piped = Piped()
    with pytest.raises(ImproperlyConfiguredException, match="has its StateValidation already"):
        Pipeline().with_wire(strict=True)(piped.connection, piped.receive, piped.send)


def test_connections_can_be_referred_to_weakly() -> None:
    connection: ASGIConnection = ASGIConnection({})
    assert connection in weakref.WeakSet([connection])


async def test_the_state_goes_from_init_over_connect_and_receive_to_disconnect() -> None:
    piped = Piped(CONNECT, MESSAGE, DISCONNECT)
    states = [piped.connection.connection_state]
    await piped.receive()
    states.append(piped.connection.connection_state)
    await piped.send({"type": "websocket.accept"})
    states.append(piped.connection.connection_state)
    await piped.receive()
    states.append(piped.connection.connection_state)
    await piped.receive()
    states.append(piped.connection.connection_state)
    assert states == ["init", "connect", "connect", "receive", "disconnect"]


async def test_the_conversation_can_be_read_from_the_connection() -> None:
    piped = Piped(CONNECT, MESSAGE, DISCONNECT)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.receive()
    await piped.send({"type": "websocket.send", "bytes": b"1234567"})
    await piped.receive()
    connection = piped.connection
    assert connection.traffic == Traffic(
        messages_received=1, bytes_received=5, messages_sent=1, bytes_sent=7
    )
    assert (connection.close_code, connection.close_reason, connection.closed_by) == (
        4001,
        "bye",
        "client",
    )
    assert connection.handshake_status == 101


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"type": "websocket.accept"}, 101),
        ({"type": "websocket.close"}, 403),
        ({"type": "websocket.http.response.start", "status": 401, "headers": []}, 401),
    ],
)
async def test_whoever_waits_for_the_handshake_is_told_once(answer: Event, status: int) -> None:
    piped, told = Piped(CONNECT), []

    def note(event: Event) -> None:
        told.append((event, piped.connection.handshake_status, len(piped.sent)))

    piped.connection.on_handshake(note)
    piped.connection.on_handshake(note)
    await piped.receive()
    assert not told
    await piped.send(answer)
    assert told == [(answer, status, 1)] * 2


async def test_closing_from_the_middle_takes_the_connection_from_the_application() -> None:
    piped = Piped(CONNECT, MESSAGE)
    closer = object()
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(4008, "too fast", by=closer)
    assert piped.sent[1:] == [{"type": "websocket.close", "code": 4008, "reason": "too fast"}]
    assert piped.connection.connection_state == "disconnect"
    assert piped.connection.closed_by is closer
    assert await piped.receive() == {
        "type": "websocket.disconnect",
        "code": 4008,
        "reason": "too fast",
    }
    with pytest.raises(WebSocketDisconnect) as refused:
        await piped.send({"type": "websocket.send", "text": "more"})
    assert refused.value.code == 4008
    assert await piped.connection.finish(refused.value) is False
    assert piped.connection.error is None


async def test_closing_from_the_middle_again_does_nothing() -> None:
    piped = Piped(CONNECT)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(4000, "x" * 200, by="first")
    await piped.connection.close(4001, by="second")
    (close,) = piped.sent[1:]
    assert (close["code"], len(close["reason"])) == (4000, 123)
    assert piped.connection.closed_by == "first"


class Refusing(Piped):
    """Takes only some events; what becomes of the others is up to the test."""

    refuses: Any

    async def server_send(self, event: Event) -> None:
        await self.refuses(event)
        await super().server_send(event)


async def test_closing_from_the_middle_falls_back_to_1000_where_the_server_wants_another_code(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def refuse(event: Event) -> None:
        if event.get("code", 1000) != 1000:
            raise ValueError("invalid close code")

    piped = Refusing(CONNECT)
    piped.refuses = refuse
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    await piped.connection.close(1008, "not so fast", by="a guard")
    assert piped.sent[1:] == [{"type": "websocket.close", "code": 1000, "reason": "not so fast"}]
    assert piped.connection.closed_by == "a guard"
    assert "refuses close code 1008: invalid close code; closing 1000" in caplog.text
    with pytest.raises(WebSocketDisconnect):
        await piped.send({"type": "websocket.send", "text": "more"})


async def test_closing_from_the_middle_raises_what_the_server_says_to_1000() -> None:
    async def refuse(event: Event) -> None:
        if event["type"] == "websocket.close":
            raise ValueError("no closing here")

    piped = Refusing(CONNECT)
    piped.refuses = refuse
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with pytest.raises(ValueError, match="no closing here"):
        await piped.connection.close(by="a guard")


async def test_closing_from_the_middle_gives_up_where_the_server_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang(event: Event) -> None:
        if event["type"] == "websocket.close":
            await anyio.sleep_forever()

    monkeypatch.setattr("wspipe.connection.CLOSE_TIMEOUT", 0.01)
    piped = Refusing(CONNECT)
    piped.refuses = hang
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with anyio.fail_after(5):
        await piped.connection.close(4000, by="a guard")
    assert len(piped.sent) == 1
    with pytest.raises(WebSocketDisconnect):
        await piped.send({"type": "websocket.send", "text": "more"})


async def test_closing_from_the_middle_refuses_a_code_that_may_not_be_sent() -> None:
    piped = Piped(CONNECT, strict=False)
    await piped.receive()
    await piped.send({"type": "websocket.accept"})
    with pytest.raises(ProtocolError, match="1006 is not a close code"):
        await piped.connection.close(1006, by="me")
    assert piped.sent[1:] == []


async def test_the_end_runs_the_exit_stack_and_keeps_the_error() -> None:
    piped, seen = Piped(), []
    connection, error = piped.connection, ValueError("mine")
    connection.exit_stack.callback(lambda: seen.append(connection.error))
    assert await connection.finish(error) is False
    assert seen == [error]


async def test_an_end_where_nothing_was_registered_suppresses_nothing() -> None:
    piped = Piped()
    assert await piped.connection.finish(None) is False
    assert piped.connection.error is None


def test_the_scope_is_read_on_first_use_only() -> None:
    scope = {**websocket_scope("/x?a=1"), "headers": [(b"host", b"here"), (b"cookie", b"c=1")]}
    connection: ASGIConnection = ASGIConnection(scope)
    assert str(connection.url) == "ws://here/x?a=1"
    assert str(connection.base_url) == "ws://here/"
    for name in ("url", "base_url", "headers", "query_params", "cookies"):
        assert getattr(connection, name) is getattr(connection, name)


@pytest.mark.parametrize(
    ("client", "address"),
    [(("10.0.0.1", 5), Address("10.0.0.1", 5)), (["::1", 5], Address("::1", 5)), (None, None)],
)
def test_the_client_is_an_address_where_the_server_tells(client: Any, address: Any) -> None:
    assert ASGIConnection({"client": client}).client == address


def test_the_state_and_the_path_params_are_those_of_the_scope() -> None:
    scope: Scope = {"path_params": {"room": 5}}
    connection: ASGIConnection = ASGIConnection(scope)
    assert connection.path_params == {"room": 5}
    connection.state.greeting = "hello"
    assert scope["state"] == {"greeting": "hello"}
    assert connection.state.greeting == "hello"
    assert ASGIConnection({}).path_params == {}


@pytest.mark.parametrize("name", ["app", "route_handler", "user", "auth", "session"])
def test_what_nothing_has_set_raises_and_what_something_set_is_given(name: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=f"'{name}' is not in the scope"):
        getattr(ASGIConnection({}), name)
    value = object()
    assert getattr(ASGIConnection({name: value}), name) is value


def test_the_session_can_be_set_and_cleared() -> None:
    connection: ASGIConnection = ASGIConnection({})
    connection.set_session({"visits": 1})
    assert connection.session == {"visits": 1}
    connection.clear_session()
    assert connection.session == connection.scope["session"] == {}


def test_the_logger_carries_the_id() -> None:
    connection: ASGIConnection = ASGIConnection({})
    with structlog.testing.capture_logs() as lines:
        connection.logger.info("hello", answer=42)
    (line,) = lines
    assert (line["event"], line["connection_id"], line["answer"]) == ("hello", connection.id, 42)


async def test_the_url_of_a_route_comes_from_starlettes_router() -> None:
    urls: list[str] = []

    def note_url(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def noting_send(event: Event) -> None:
            urls.append(connection.url_for("chat:room", number=5))
            await send(event)

        return receive, noting_send

    async def room(socket: WebSocket) -> None:
        await socket.accept()

    rooms = Mount("/chat", name="chat", routes=[WebSocketRoute("/{number:int}", room, name="room")])
    app = PipelineMiddleware(Starlette(routes=[rooms]), pipeline=note_url)
    async with connect(app, "/chat/1"):
        pass
    assert urls == ["ws://testserver/chat/5"]


class Router:
    def url_path_for(self, name: str, **params: Any) -> str:
        return f"/{name}/{params['number']}"

    route_reverse = url_path_for


@pytest.mark.parametrize(
    "scope", [{"router": Router()}, {"app": Router()}, {"app": Router(), "router": None}]
)
@pytest.mark.parametrize(
    ("root_path", "root"), [("", ""), ("/api", "/api"), ("/an api/", "/an%20api")]
)
def test_the_url_of_a_route_is_absolute_and_below_the_root(
    scope: Scope, root_path: str, root: str
) -> None:
    connection: ASGIConnection = ASGIConnection(
        {**websocket_scope(), "scheme": "wss", "root_path": root_path, **scope}
    )
    assert connection.url_for("room", number=5) == f"wss://testserver{root}/room/5"


def test_without_a_router_there_are_no_urls_of_routes() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="the URL of 'room': no router"):
        ASGIConnection(websocket_scope()).url_for("room")
