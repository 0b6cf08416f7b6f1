"""`websocket_app`: every way in which a handler ends, and what everybody hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from wspipe import (
    ConnectionRejected,
    ProtocolError,
    SerializationException,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
)

pytestmark = pytest.mark.anyio

DENIED = ["http.response.start 500", "http.response.body"]


def raising(error: BaseException, *, accepts: bool = True) -> Any:
    async def handler(socket: WebSocket) -> None:
        if accepts:
            await socket.accept()
        raise error

    return handler


async def test_a_return_closes_with_1000(new_run: Any) -> None:
    it = await new_run().serve(WebSocket.accept)
    assert it.sent == ["accept", "close 1000"]
    assert it.seen == [(1000, "application", None, 101)]
    assert it.raised is None


@pytest.mark.parametrize("receives", [True, False])
async def test_a_return_before_the_accept_is_a_denial(new_run: Any, *, receives: bool) -> None:
    async def handler(socket: WebSocket) -> None:
        if receives:
            await socket.receive()

    it = await new_run().serve(handler)
    assert it.sent == DENIED
    assert it.seen == [(None, "application", None, 500)]
    assert it.raised is None
    it = await new_run(denial=False).serve(handler)
    assert it.sent[0].startswith("close")
    assert it.seen[0][1:] == ("application", None, 403)


@pytest.mark.parametrize("error", [None, LookupError("mine")])
async def test_a_denial_that_was_begun_is_finished(new_run: Any, error: Exception | None) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        if error:
            raise error

    it = await new_run().serve(handler)
    assert it.sent == ["http.response.start 404", "http.response.body"]
    assert it.seen[0][1:] == ("application", error, 404)
    assert it.raised is error


@pytest.mark.parametrize("error", [None, LookupError("mine")])
async def test_nothing_is_sent_after_ones_own_close_or_denial(
    new_run: Any, error: Exception | None
) -> None:
    async def closes(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(4000)
        if error:
            raise error

    async def denies(socket: WebSocket) -> None:
        await socket.send_denial_response(404)
        if error:
            raise error

    it = await new_run().serve(closes)
    assert it.sent == ["accept", "close 4000"]
    assert it.seen == [(4000, "application", error, 101)]
    assert it.raised is error
    it = await new_run().serve(denies)
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
    new_run: Any, error: Exception, code: int
) -> None:
    it = await new_run().serve(raising(error))
    assert it.sent == ["accept", f"close {code}"]
    assert it.seen == [(code, "application", error, 101)]
    assert it.raised is error


async def test_an_exception_before_the_accept_is_a_denial_and_is_raised_on(new_run: Any) -> None:
    error = WebSocketException(detail="mine", code=4001)
    it = await new_run().serve(raising(error, accepts=False))
    assert it.sent == DENIED
    assert it.seen == [(None, "application", error, 500)]
    assert it.raised is error
    it = await new_run(denial=False).serve(raising(error, accepts=False))
    assert it.sent == ["close 1011"]
    assert it.seen[0][1:] == ("application", error, 403)


@pytest.mark.parametrize("denial", [True, False])
async def test_a_rejection_by_the_handler_denies_as_it_says(new_run: Any, *, denial: bool) -> None:
    rejection = ConnectionRejected(401, code=4003)
    it = await new_run(denial=denial).serve(raising(rejection, accepts=False))
    assert it.sent == (["http.response.start 401", DENIED[1]] if denial else ["close 4003"])
    assert it.seen[0][1:] == ("application", None, 401 if denial else 403)
    assert it.raised is None


async def never(_: WebSocket) -> None:
    raise AssertionError("the handler ran")


async def test_an_error_while_the_pipeline_is_composed_is_one_before_the_accept(
    new_run: Any,
) -> None:
    error = LookupError("no configuration")

    def broken(*_: Any) -> Any:
        raise error

    it = await new_run().serve(never, broken)
    assert it.sent == DENIED
    assert it.seen == [(None, "application", error, 500)]
    assert it.raised is error


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_cancellation_closes_with_1001_and_goes_on(new_run: Any, *, accepts: bool) -> None:
    it, waiting = new_run(), anyio.Event()

    async def handler(socket: WebSocket) -> None:
        await (socket.accept() if accepts else socket.receive())
        waiting.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.serve, handler)
        await waiting.wait()
        tasks.cancel_scope.cancel()
    (seen,) = it.seen
    assert it.sent == (["accept", "close 1001"] if accepts else DENIED)
    assert (seen[0], seen[1], seen[3]) == (
        (1001, "server", 101) if accepts else (None, "server", 500)
    )
    assert isinstance(seen[2], anyio.get_cancelled_exc_class())


@pytest.mark.asyncio
async def test_a_cancelled_task_closes_with_1001_and_stays_cancelled(new_run: Any) -> None:
    it, waiting = new_run(), asyncio.Event()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        waiting.set()
        await socket.receive_text()

    task = asyncio.create_task(it.serve(handler))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)
    assert task.cancelled()
    assert it.sent == ["accept", "close 1001"]
    assert it.seen[0][:2] == (1001, "server")


@pytest.mark.parametrize("evicts", [False, True])
async def test_that_the_server_refuses_the_last_close_is_not_the_handlers_fault(
    new_run: Any, caplog: pytest.LogCaptureFixture, *, evicts: bool
) -> None:
    it = new_run()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        it.fault = RuntimeError("no close")
        if evicts:
            with pytest.raises(RuntimeError):
                await socket.close(1000, by="a guard")

    await it.serve(handler)
    assert it.raised is None
    assert it.seen == [(1000, "a guard", None, 101) if evicts else (None, "application", None, 101)]
    assert "refused the close after the handler returned: RuntimeError('no close')" in caplog.text


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_server_that_takes_no_close_does_not_keep_a_handler_that_has_returned(
    new_run: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    *,
    accepts: bool,
) -> None:
    monkeypatch.setattr("wspipe.app.CLOSE_TIMEOUT", 0.01)
    it = new_run()

    async def hang(_: Any) -> None:
        await anyio.sleep_forever()

    async def handler(socket: WebSocket) -> None:
        if accepts:
            await socket.accept()
        socket.send_wrapper(hang)

    await it.serve(handler)
    assert it.raised is None
    assert it.seen[0][:3] == (None, "application", None)
    assert "took no close after the handler returned" in caplog.text


async def test_a_stage_that_fails_at_the_last_close_is_an_error(new_run: Any) -> None:
    error = LookupError("a stage")

    def failing(_: Any, receive: Any, send: Any) -> tuple[Any, Any]:
        async def send_or_fail(event: Any) -> None:
            if event["type"] == "websocket.close":
                raise error
            await send(event)

        return receive, send_or_fail

    it = await new_run().serve(WebSocket.accept, failing)
    assert it.raised is error
    assert it.sent == ["accept", "close 1011"]
