"""`Metrics`: the histograms of single messages."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import PipelineMiddleware, WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import Metrics

if TYPE_CHECKING:
    from tests.observed import Measured
    from wspipe import Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await anyio.sleep(0.01)
        await socket.send_text(message * 2)


async def converse(handler: Any, measured: Measured, *texts: str, **options: bool) -> None:
    metrics = Metrics(meter_provider=measured.provider, **options)
    with anyio.fail_after(5):
        async with connect(websocket_app(handler, pipeline=metrics)) as client:
            for text in texts:
                await client.send_text(text)
                await client.receive()


async def test_the_size_of_each_message(measured: Measured) -> None:
    await converse(echo, measured, "é", "123", message_size=True)
    sizes = {
        point.attributes["network.io.direction"]: (point.count, point.sum, dict(point.attributes))
        for point in measured.points("wspipe.message.size")
    }
    assert sizes["receive"] == (
        2,
        5,
        {"network.io.direction": "receive", "wspipe.message.type": "text"},
    )
    assert sizes["transmit"][:2] == (2, 10)


async def test_the_time_of_the_handler(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        socket.scope["wspipe.route"] = "/rooms/{room}"
        await socket.accept()
        await anyio.sleep(0.02)  # no message's time
        await echo(socket)

    await converse(handler, measured, "1", "2", process_duration=True)
    (point,) = measured.points("wspipe.message.process.duration")
    assert point.attributes == {"http.route": "/rooms/{room}", "wspipe.message.type": "text"}
    assert point.count == 2
    assert 0.01 <= point.min <= point.max < 5
    assert point.explicit_bounds[0] == 0.0001


async def test_the_message_that_the_handler_failed_on_tells_the_error(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_bytes(await socket.receive_bytes())
        await socket.receive_bytes()
        raise LookupError

    metrics = Metrics(meter_provider=measured.provider, process_duration=True)
    with suppress(LookupError):
        async with connect(websocket_app(handler, pipeline=metrics)) as client:
            await client.send_bytes(b"1")
            await client.receive()
            await client.send_bytes(b"2")
    assert [dict(p.attributes) for p in measured.points("wspipe.message.process.duration")] == [
        {"wspipe.message.type": "binary"},
        {"wspipe.message.type": "binary", "error.type": "LookupError"},
    ]


async def test_the_last_message_ends_with_the_handler(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())

    await converse(handler, measured, "1", process_duration=True)
    (point,) = measured.points("wspipe.message.process.duration")
    assert point.attributes == {"wspipe.message.type": "text"}


async def test_where_another_task_receives_no_time_is_claimed(measured: Measured) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        async def pump() -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while (event := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": event["text"]})

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pump)

    app = PipelineMiddleware(raw, Metrics(meter_provider=measured.provider, process_duration=True))
    async with connect(app) as client:
        await client.send_text("1")
        await client.receive()
    assert not measured.points("wspipe.message.process.duration")
    assert sum(measured.values("wspipe.messages").values()) == 2


async def test_a_send_that_is_cancelled_is_no_error(measured: Measured) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        with anyio.move_on_after(0.001):
            await send({"type": "websocket.send", "text": "1"})

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            await anyio.sleep_forever()

    app = PipelineMiddleware(raw, Metrics(meter_provider=measured.provider, send_duration=True))
    await app({"type": "websocket", "path": "/"}, receive, send)
    (point,) = measured.points("wspipe.send.duration")
    assert "error.type" not in point.attributes


async def test_the_time_of_each_send_and_what_made_one_fail(measured: Measured) -> None:
    async def raw(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "1"})
        with pytest.raises(ConnectionResetError):
            await send({"type": "websocket.send", "bytes": b"2"})

    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        if event["type"] == "websocket.send":
            await anyio.sleep(0.01)
            if "bytes" in event:
                raise ConnectionResetError

    app = PipelineMiddleware(raw, Metrics(meter_provider=measured.provider, send_duration=True))
    await app({"type": "websocket", "path": "/"}, receive, send)
    first, second = measured.points("wspipe.send.duration")
    assert first.attributes == {"wspipe.message.type": "text"}
    assert 0.01 <= first.min < 5
    assert second.attributes == {
        "wspipe.message.type": "binary",
        "error.type": "ConnectionResetError",
    }
