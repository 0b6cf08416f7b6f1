"""`Logging`: a line for each message, or nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog

from wspipe import (
    ASGIConnection,
    Pipeline,
    WebSocket,
    WebSocketDisconnect,
    on_receive,
    websocket_app,
)
from wspipe.testing import connect, websocket_scope
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from wspipe import Event, Middleware
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        await socket.send({**event, "type": "websocket.send"})


async def log_of(pipeline: Middleware, *messages: str | bytes) -> None:
    async with connect(websocket_app(echo, pipeline=pipeline)) as client:
        for message in messages:
            await send(client, message)
            await client.receive()


async def send(client: Client, message: str | bytes) -> None:
    if isinstance(message, str):
        await client.send_text(message)
    else:
        await client.send_bytes(message)


@pytest.mark.parametrize(
    ("message", "kind", "size", "preview"),
    [
        ("", "text", 0, ""),
        ("12345", "text", 5, "12345"),
        ("123456", "text", 6, "12345…"),
        ("a\r\n\x1b", "text", 4, r"a\r\n\x1b"),
        ("🦊" * 6, "text", 24, "🦊" * 5 + "…"),
        (b"", "binary", 0, ""),
        (b"\0\1\2\3\4", "binary", 5, "00 01 02 03 04"),
        (b"\0\1\2\3\4\5", "binary", 6, "00 01 02 03 04…"),
        (b"\xff" * 1_000_000, "binary", 1_000_000, "ff ff ff ff ff…"),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_each_message_has_a_line_each_way_with_a_bounded_preview(
    logger: Any,
    lines: list[dict[str, Any]],
    *,
    message: str | bytes,
    kind: str,
    size: int,
    preview: str,
) -> None:
    await log_of(Logging(messages=True, preview=5, logger=logger), message)
    opened, received, sent, closed = lines
    told = {
        "connection_id": opened["connection_id"],
        "kind": kind,
        "size": size,
        "preview": preview,
        "level": "debug",
    }
    assert received == {"event": "websocket.receive", **told}
    assert sent == {"event": "websocket.send", **told}
    assert closed["event"] == "websocket.close"


async def test_a_preview_may_be_of_nothing_and_is_of_64_by_default(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    await log_of(Logging(messages=True, preview=0, logger=logger), "secret", b"secret")
    await log_of(Logging(messages=True, logger=logger), "x" * 65)
    previews = [line["preview"] for line in lines if line["event"] == "websocket.receive"]
    assert previews == ["…", "…", "x" * 64 + "…"]


async def test_it_logs_what_passes_at_its_own_place(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    def drop_secrets(event: Event, _: ASGIConnection) -> Event | None:
        return None if event["text"] == "secret" else event

    behind = on_receive(drop_secrets) | Logging(messages=True, logger=logger)
    async with connect(websocket_app(echo, pipeline=behind)) as client:
        await client.send_text("secret")
        await client.send_text("open")
        assert await client.receive() == "open"
    assert [line["preview"] for line in lines if "preview" in line] == ["open", "open"]


async def test_a_message_that_the_server_did_not_take_is_not_logged(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    class Socket(WebSocket, pipeline=Logging(messages=True, logger=logger)): ...

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            raise BrokenPipeError

    socket: WebSocket = Socket(websocket_scope(), receive, send)
    with pytest.raises(WebSocketDisconnect):
        await socket.send_text("lost")
    assert [line["event"] for line in lines] == ["websocket.open", "websocket.close"]


def test_without_messages_nothing_is_wrapped(logger: Any) -> None:
    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(_: Event) -> None: ...

    connection: ASGIConnection = ASGIConnection(websocket_scope())
    pair = Pipeline().with_wire(strict=True)(connection, receive, send)
    assert Logging(logger=logger)(connection, *pair) == pair
    wrapped = Logging(messages=True, logger=logger)(connection, *pair)
    assert wrapped[0] != pair[0]
    assert wrapped[1] != pair[1]
    structlog.contextvars.clear_contextvars()
