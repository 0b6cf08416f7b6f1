"""`Logging`: what the last line and its level tell of the outcome."""

from __future__ import annotations

from dataclasses import dataclass
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
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Event, Middleware, Receive, Send
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def just_connect(_: Client) -> None: ...


async def converse(
    pipeline: Middleware,
    handler: Callable[[WebSocket], Awaitable[None]],
    client_does: Callable[[Client], Awaitable[None]] = just_connect,
) -> None:
    """Have a client talk to a handler, whatever becomes of it."""
    with anyio.fail_after(5):
        try:
            async with connect(websocket_app(handler, pipeline=pipeline)) as client:
                await client_does(client)
        except (ConnectionDenied, LookupError):
            pass


@dataclass(frozen=True)
class Guard(Composable):
    """Rejects, or closes at the first message, from the middle."""

    status: int | None = None

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def closing_send(event: Event) -> None:
            if event["type"] == "websocket.send":
                await connection.close(4008, by=self)
            await send(event)

        return receive, closing_send

    async def admit(self, _: ASGIConnection) -> None:
        if self.status:
            raise ConnectionRejected(self.status)


async def fails(socket: WebSocket) -> None:
    await socket.accept()
    raise LookupError("no such room")


async def fails_before_the_accept(_: WebSocket) -> None:
    raise LookupError("no such room")


async def denies(socket: WebSocket) -> None:
    await socket.send_denial_response(404)


async def never_answers(_: WebSocket) -> None: ...


def closing(code: int) -> Callable[[WebSocket], Awaitable[None]]:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(code)

    return handler


def leaving(code: int | None) -> Callable[[Client], Awaitable[None]]:
    async def leave(client: Client) -> None:
        await client.close(code)

    return leave


async def talk(client: Client) -> None:
    await client.send_text("x")


def outcome(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("event", "level", "status", "code", "closed_by"))


CLOSE, ERROR = "websocket.close", "websocket.error"


@pytest.mark.parametrize(
    ("expected", "handler", "client_does", "guard"),
    [
        ((CLOSE, "info", 101, 1000, "client"), echo, leaving(1000), None),
        ((CLOSE, "info", 101, 1001, "client"), echo, leaving(1001), None),
        ((CLOSE, "info", 101, 1005, "client"), echo, leaving(1005), None),
        ((CLOSE, "info", 101, 3000, "client"), echo, leaving(3000), None),
        ((CLOSE, "info", 101, 4999, "client"), echo, leaving(4999), None),
        ((CLOSE, "info", 101, 1012, "server"), echo, leaving(1012), None),
        ((CLOSE, "warning", 101, 1006, "unknown"), echo, leaving(None), None),
        ((CLOSE, "warning", 101, 1002, "unknown"), echo, leaving(1002), None),
        ((CLOSE, "info", 101, 1000, "application"), WebSocket.accept, just_connect, None),
        ((CLOSE, "info", 101, 4000, "application"), closing(4000), just_connect, None),
        ((CLOSE, "warning", 101, 1008, "application"), closing(1008), just_connect, None),
        ((CLOSE, "warning", 101, 4008, "Guard"), echo, talk, Guard()),
        ((CLOSE, "warning", 401, None, "Guard"), echo, just_connect, Guard(401)),
        ((CLOSE, "error", 503, None, "Guard"), echo, just_connect, Guard(503)),
        ((CLOSE, "warning", 404, None, "application"), denies, just_connect, None),
        ((CLOSE, "error", 500, None, "application"), never_answers, just_connect, None),
        ((ERROR, "error", 101, 1011, "application"), fails, just_connect, None),
        ((ERROR, "error", 500, None, "application"), fails_before_the_accept, just_connect, None),
    ],
)
async def test_the_last_line_and_its_level_tell_the_outcome(
    logger: Any,
    lines: list[dict[str, Any]],
    *,
    expected: tuple[Any, ...],
    handler: Any,
    client_does: Any,
    guard: Guard | None,
) -> None:
    await converse(
        Pipeline(Logging(logger=logger), *([guard] if guard else [])), handler, client_does
    )
    *opened, last = lines
    assert outcome(last) == expected
    assert [line["event"] for line in opened] == ["websocket.open"] * (expected[2] == 101)


async def test_an_error_is_logged_with_its_traceback(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    await converse(Logging(logger=logger), fails)
    last = lines[-1]
    assert last["error"] == "LookupError: no such room"
    assert last["exception"].startswith("  Traceback (most recent call last):")
    assert "in fails" in last["exception"]
    assert last["exception"].endswith("  LookupError: no such room")


@pytest.mark.parametrize(
    ("errors", "event", "error"),
    [
        ([SystemExit()], CLOSE, None),
        ([SystemExit(), LookupError("mine")], ERROR, "ExceptionGroup: both (1 sub-exception)"),
    ],
)
async def test_of_a_group_only_the_exceptions_are_errors(
    logger: Any, lines: list[dict[str, Any]], *, errors: Any, event: str, error: str | None
) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        raise BaseExceptionGroup("both", errors)

    with pytest.raises(BaseExceptionGroup, match="both"):
        await converse(Logging(logger=logger), handler)
    assert (lines[-1]["event"], lines[-1].get("error")) == (event, error)


async def test_a_cancellation_is_no_error(logger: Any, lines: list[dict[str, Any]]) -> None:
    waiting = anyio.Event()

    async def wait(socket: WebSocket) -> None:
        await socket.accept()
        waiting.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(converse, Logging(logger=logger), wait)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    assert outcome(lines[-1]) == (CLOSE, "info", 101, 1001, "server")


async def test_a_client_that_left_before_the_answer_is_a_warning(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    class Socket(WebSocket, pipeline=Logging(logger=logger)): ...

    events = [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1001},
    ]

    async def receive() -> Event:
        return events.pop(0)

    socket: WebSocket = Socket(websocket_scope(), receive)
    await socket.receive()
    await socket.receive()
    (line,) = lines
    assert outcome(line) == (CLOSE, "warning", None, 1001, "client")


async def test_it_works_around_other_applications_too(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    async def app(_: Any, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise LookupError("mine")

    with pytest.raises(LookupError):
        async with connect(PipelineMiddleware(app, pipeline=Logging(logger=logger))):
            pass
    assert lines[0]["event"] == "websocket.open"
    assert outcome(lines[1]) == (ERROR, "error", 101, None, "application")
