"""`Logging`: what the handler logs meanwhile carries the id of its own connection."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from structlog.contextvars import bound_contextvars, clear_contextvars, get_contextvars

from wspipe import WebSocket, websocket_app
from wspipe.testing import connect, websocket_scope
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe import Event

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001}


@pytest.fixture(autouse=True)
def empty_context() -> Iterator[None]:
    clear_contextvars()
    yield
    clear_contextvars()


def gives(*events: Event) -> Callable[[], Any]:
    coming = list(events)

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        return coming.pop(0)

    return receive


async def takes(_: Event) -> None:
    await anyio.lowlevel.checkpoint()


def of(lines: list[dict[str, Any]], event: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["event"] == event]


async def test_the_handler_and_its_tasks_log_with_the_id_of_the_connection(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    async def log_in_a_task() -> None:
        logger.info("in a task")

    @websocket_app(pipeline=Logging(logger=logger))
    async def app(socket: WebSocket) -> None:
        logger.info("in the handler")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(log_in_a_task)
        await socket.accept()

    async with connect(app):
        pass
    ids = [line.get("connection_id") for line in lines]
    assert [line["event"] for line in lines] == [
        "in the handler",
        "in a task",
        "websocket.open",
        "websocket.close",
    ]
    assert ids[0] is not None
    assert ids == [ids[0]] * 4


@pytest.mark.parametrize("fails", [False, True])
async def test_afterwards_the_context_is_as_before(logger: Any, *, fails: bool) -> None:
    inside: list[dict[str, Any]] = []

    @websocket_app(pipeline=Logging(logger=logger))
    async def app(socket: WebSocket) -> None:
        inside.append(get_contextvars())
        await socket.accept()
        if fails:
            raise LookupError

    async def serve() -> None:
        with suppress(LookupError):
            await app(websocket_scope(), gives(CONNECT), takes)

    await serve()
    assert get_contextvars() == {}
    with bound_contextvars(connection_id="outer", other=1):
        await serve()
        assert get_contextvars() == {"connection_id": "outer", "other": 1}
    assert inside[0].keys() == {"connection_id"}
    assert inside[1]["other"] == 1
    assert inside[1]["connection_id"] not in {"outer", inside[0]["connection_id"]}


@pytest.mark.reports_failures
async def test_a_logger_that_fails_does_not_fail_the_connection() -> None:
    class Broken:
        def warning(self, *_: Any, **__: Any) -> None:
            raise OSError("disk full")

    @websocket_app(pipeline=Logging(logger=Broken()))
    async def app(socket: WebSocket) -> None:
        await socket.close()

    await app(websocket_scope(extensions=()), gives(CONNECT), takes)
    assert get_contextvars() == {}


async def test_an_error_that_cannot_be_shown_is_logged_all_the_same(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise TypeError("no words")

    @websocket_app(pipeline=Logging(logger=logger))
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        raise UnspeakableError

    with pytest.raises(UnspeakableError):
        await app(websocket_scope(), gives(CONNECT), takes)
    assert lines[-1]["event"] == "websocket.error"
    assert lines[-1]["error"].startswith("UnspeakableError")
    assert get_contextvars() == {}


async def test_a_socket_without_a_runner_may_end_in_another_task(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    class Socket(WebSocket, pipeline=Logging(logger=logger)): ...

    socket: WebSocket = Socket(websocket_scope(), gives(CONNECT, DISCONNECT), takes)
    contexts: list[dict[str, Any]] = []

    async def end() -> None:
        await socket.receive()
        contexts.append(get_contextvars())

    await socket.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(end)
    assert [line["event"] for line in lines] == ["websocket.open", "websocket.close"]
    assert contexts == [{}]


async def test_a_socket_that_ends_leaves_the_id_of_another_in_the_same_task(logger: Any) -> None:
    class Socket(WebSocket, pipeline=Logging(logger=logger)): ...

    one: WebSocket = Socket(websocket_scope())
    other: WebSocket = Socket(websocket_scope())
    async with one:
        pass
    assert get_contextvars() == {"connection_id": other.id}


async def test_many_connections_at_once_do_not_mix_their_ids(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    @websocket_app(pipeline=Logging(messages=True, logger=logger))
    async def app(socket: WebSocket) -> None:
        async for message in socket.iter_text():
            logger.info("handling", where=socket.scope["path"])
            await anyio.lowlevel.checkpoint()
            await socket.send_text(message)
            logger.info("handled", where=socket.scope["path"])

    async def client(number: int) -> None:
        async with connect(app, f"/{number}") as it:
            for _ in range(3):
                await it.send_text("x")
                await it.receive()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(client, number)
    paths = {line["connection_id"]: line["path"] for line in of(lines, "websocket.open")}
    assert len(paths) == len(set(paths.values())) == 50
    for event in ("handling", "handled"):
        told = of(lines, event)
        assert len(told) == 150
        assert all(paths[line["connection_id"]] == line["where"] for line in told)
    for line in of(lines, "websocket.close"):
        assert line["path"] == paths[line["connection_id"]]
        assert line["messages_received"] == line["messages_sent"] == 3
    assert get_contextvars() == {}
