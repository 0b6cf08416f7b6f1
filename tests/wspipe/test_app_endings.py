"""`websocket_app`: every way in which a handler ends, and what everybody hears of it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    ClientDisconnected,
    Composable,
    ConnectionRejected,
    Pipeline,
    ProtocolError,
    SerializationException,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    websocket_app,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Event, Middleware, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}
DENIED = ["http.response.start 500", "http.response.body"]


@dataclass
class Run(Composable):
    """Serves one connection from a list of events; a stage that watches it, too."""

    events: deque[Event]
    sent: list[str] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)
    raised: BaseException | None = None
    connection: ASGIConnection | None = None
    fault: Exception | None = None

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.connection = connection
        connection.exit_stack.callback(lambda: self.seen.append(self.known()))
        return receive, send

    def known(self) -> tuple[Any, ...]:
        """Tell what the connection knows of its end: code, who closed, error, HTTP status."""
        it = self.connection
        assert it is not None
        return it.close_code, it.closed_by, it.error, it.handshake_status

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            await anyio.sleep_forever()
        return self.events.popleft()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        told = event.get("code", event.get("status", ""))
        self.sent.append(f"{event['type'].removeprefix('websocket.')} {told}".rstrip())


async def run(
    handler: Callable[[WebSocket], Awaitable[None]],
    *events: Event,
    inner: Middleware | None = None,
    denial: bool = True,
) -> Run:
    """Serve one connection to its end; its last callback sees what everybody agrees on."""
    it = Run(deque([CONNECT, *events]))
    scope = websocket_scope(extensions=["websocket.http.response"] if denial else [])
    app = websocket_app(handler, pipeline=Pipeline(it, *([inner] if inner else [])))
    with anyio.fail_after(5):
        try:
            await app(scope, it.receive, it.send)
        except Exception as error:  # noqa: BLE001 - it is what the test looks at
            it.raised = error
    assert it.seen == [it.known()], "the callback ran once and read what turned out to be true"
    return it


def raising(error: BaseException, *, accepts: bool = True) -> Any:
    async def handler(socket: WebSocket) -> None:
        if accepts:
            await socket.accept()
        raise error

    return handler


async def test_a_return_closes_with_1000() -> None:
    it = await run(WebSocket.accept)
    assert it.sent == ["accept", "close 1000"]
    assert it.seen == [(1000, "application", None, 101)]
    assert it.raised is None


@pytest.mark.parametrize("receives", [True, False])
async def test_a_return_before_the_accept_is_a_denial(*, receives: bool) -> None:
    async def handler(socket: WebSocket) -> None:
        if receives:
            await socket.receive()

    it = await run(handler)
    assert it.sent == DENIED
    assert it.seen == [(None, "application", None, 500)]
    assert it.raised is None
    it = await run(handler, denial=False)
    assert it.sent[0].startswith("close")
    assert it.seen[0][1:] == ("application", None, 403)


@pytest.mark.parametrize("error", [None, LookupError("mine")])
async def test_a_denial_that_was_begun_is_finished(error: Exception | None) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        if error:
            raise error

    it = await run(handler)
    assert it.sent == ["http.response.start 404", "http.response.body"]
    assert it.seen[0][1:] == ("application", error, 404)
    assert it.raised is error


@pytest.mark.parametrize("error", [None, LookupError("mine")])
async def test_nothing_is_sent_after_ones_own_close_or_denial(error: Exception | None) -> None:
    async def closes(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000)
        if error:
            raise error

    async def denies(socket: WebSocket) -> None:
        await socket.send_denial_response(404)
        if error:
            raise error

    it = await run(closes)
    assert it.sent == ["accept", "close 4000"]
    assert it.seen == [(4000, "application", error, 101)]
    assert it.raised is error
    it = await run(denies)
    assert it.sent == ["http.response.start 404", "http.response.body"]
    assert it.seen == [(None, "application", error, 404)]
    assert it.raised is error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LookupError("mine"), 1011),
        (ExceptionGroup("mine", [LookupError()]), 1011),
        (OSError("mine"), 1011),
        (WebSocketException(detail="mine"), 4500),
        (WebSocketException(detail="mine", code=1003), 1003),
        (WebSocketException(detail="mine", code=1006), 1011),
        (WebSocketException(detail="mine", code=100), 1011),
        (SerializationException(detail="mine", code=1007), 1007),
        (WebSocketDisconnect(detail="mine", code=4002), 4002),
        (ProtocolError(detail="mine", event="", sender="", state=""), 1011),
        (ConnectionRejected(401), 1011),
    ],
    ids=repr,
)
async def test_an_exception_closes_with_1011_or_its_code_and_is_raised_on(
    error: Exception, code: int
) -> None:
    it = await run(raising(error))
    assert it.sent == ["accept", f"close {code}"]
    assert it.seen == [(code, "application", error, 101)]
    assert it.raised is error


async def test_an_exception_before_the_accept_is_a_denial_and_is_raised_on() -> None:
    error = WebSocketException(detail="mine", code=4001)
    it = await run(raising(error, accepts=False))
    assert it.sent == DENIED
    assert it.seen == [(None, "application", error, 500)]
    assert it.raised is error
    it = await run(raising(error, accepts=False), denial=False)
    assert it.sent == ["close 1011"]
    assert it.seen[0][1:] == ("application", error, 403)


async def receives_text(socket: WebSocket) -> None:
    await socket.receive_text()


async def sends_after_the_end(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.send_text("x")


async def closes_after_the_end(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive()
    await socket.close()


async def raises_a_group(socket: WebSocket) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(socket.receive_text)


async def iterates(socket: WebSocket) -> None:
    async for _ in socket.iter_text():
        pass


@pytest.mark.parametrize(
    "handler",
    [receives_text, sends_after_the_end, closes_after_the_end, raises_a_group, iterates],
)
async def test_that_the_client_left_is_no_error_and_nothing_is_sent(handler: Any) -> None:
    it = await run(handler, DISCONNECT)
    assert it.sent == ["accept"]
    assert it.seen == [(4001, "client", None, 101)]
    assert it.raised is None


async def test_an_error_after_the_client_left_is_one() -> None:
    error = LookupError("mine")

    async def handler(socket: WebSocket) -> None:
        await iterates(socket)
        raise error

    it = await run(handler, DISCONNECT)
    assert it.sent == ["accept"]
    assert it.seen == [(4001, "client", error, 101)]
    assert it.raised is error


async def test_a_group_with_an_error_in_it_is_an_error() -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(WebSocketDisconnect) as gone:
            await socket.receive_text()
        raise ExceptionGroup("both", [gone.value, LookupError("mine")])

    it = await run(handler, DISCONNECT)
    assert isinstance(it.raised, ExceptionGroup)
    assert it.seen == [(4001, "client", it.raised, 101)]


async def test_a_server_that_can_send_no_more_is_no_error_of_the_handler() -> None:
    it = Run(deque([CONNECT]))

    @websocket_app(pipeline=it)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        it.fault = ConnectionResetError("gone")
        with pytest.raises(ClientDisconnected):
            await socket.send_text("x")
        await socket.send_text("y")

    await app(websocket_scope(), it.receive, it.send)
    assert it.sent == ["accept"]
    assert it.seen == [(1006, "unknown", None, 101)]


@pytest.mark.parametrize("denial", [True, False])
async def test_a_rejection_by_the_handler_denies_as_it_says(*, denial: bool) -> None:
    rejection = ConnectionRejected(401, code=4003)
    it = await run(raising(rejection, accepts=False), denial=denial)
    assert it.sent == (["http.response.start 401", DENIED[1]] if denial else ["close 4003"])
    assert it.seen[0][1:] == ("application", None, 401 if denial else 403)
    assert it.raised is None


@dataclass(frozen=True)
class Doorkeeper(Composable):
    error: Exception

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        await anyio.lowlevel.checkpoint()
        raise self.error


async def never(_: WebSocket) -> None:
    raise AssertionError("the handler ran")


@pytest.mark.parametrize("denial", [True, False])
async def test_a_rejection_at_admission_keeps_the_handler_from_running(*, denial: bool) -> None:
    doorkeeper = Doorkeeper(ConnectionRejected(401, code=4003))
    it = await run(never, inner=doorkeeper, denial=denial)
    assert it.sent == (["http.response.start 401", DENIED[1]] if denial else ["close 4003"])
    assert it.seen[0][1:] == (doorkeeper, None, 401 if denial else 403)
    assert it.raised is None


async def test_an_error_at_admission_is_one_before_the_accept() -> None:
    error = LookupError("no directory of users")
    it = await run(never, inner=Doorkeeper(error))
    assert it.sent == DENIED
    assert it.seen == [(None, "application", error, 500)]
    assert it.raised is error


async def test_an_error_while_the_pipeline_is_composed_is_one_before_the_accept() -> None:
    error = LookupError("no configuration")

    def broken(*_: Any) -> Any:
        raise error

    it = await run(never, inner=broken)
    assert it.sent == DENIED
    assert it.seen == [(None, "application", error, 500)]
    assert it.raised is error


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_cancellation_closes_with_1001_and_goes_on(*, accepts: bool) -> None:
    it = Run(deque([CONNECT]))
    waiting = anyio.Event()

    @websocket_app(pipeline=it)
    async def app(socket: WebSocket) -> None:
        await (socket.accept() if accepts else socket.receive())
        waiting.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app, websocket_scope(), it.receive, it.send)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    (seen,) = it.seen
    assert it.sent == (["accept", "close 1001"] if accepts else DENIED)
    assert (seen[0], seen[1], seen[3]) == (
        (1001, "server", 101) if accepts else (None, "server", 500)
    )
    assert isinstance(seen[2], anyio.get_cancelled_exc_class())
    assert seen == it.known()


@pytest.mark.asyncio
async def test_a_cancelled_task_closes_with_1001_and_stays_cancelled() -> None:
    it = Run(deque([CONNECT]))
    waiting = asyncio.Event()

    @websocket_app(pipeline=it)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        waiting.set()
        await socket.receive_text()

    task = asyncio.create_task(app(websocket_scope(), it.receive, it.send))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()
    assert it.sent == ["accept", "close 1001"]
    assert it.seen[0][:2] == (1001, "server")
