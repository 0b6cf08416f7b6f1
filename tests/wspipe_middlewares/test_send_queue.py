"""`SendQueue`: nobody waits for a slow client, and what waits for it is bounded."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import anyio.lowlevel
import pytest

from tests.virtual import in_virtual_time
from wspipe import (
    ASGIConnection,
    ClientDisconnected,
    Composable,
    Event,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
    on_send,
    websocket_app,
)
from wspipe.testing import Client, connect, websocket_scope
from wspipe_middlewares import SendQueue, Timeouts

if TYPE_CHECKING:
    from wspipe import ASGIApp, Receive, Scope, Send

Handler: TypeAlias = Callable[[WebSocket], Awaitable[None]]


class Slow(Composable):
    """A server that takes one event at a time, each when it may; and notes how it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.may = anyio.Semaphore(0)
        self.free = anyio.Event()
        self.error = error
        self.busy = False
        self.taken: list[Any] = []
        self.cancelled = 0
        self.ended: list[Any] = []

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        def note() -> None:
            self.ended.append((connection.close_code, connection.closed_by, connection.error))

        connection.exit_stack.callback(note)

        async def slow(event: Event) -> None:
            if event["type"] == "websocket.send":
                assert not self.busy, "two sends at once"
                self.busy = True
                try:
                    if not self.free.is_set():
                        await self.may.acquire()
                    self._fail()
                    self.taken.append(event.get("text"))
                except BaseException:
                    self.cancelled += 1
                    raise
                finally:
                    self.busy = False
            await send(event)

        return receive, slow

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error


def behind(server: Slow, handler: Handler, **options: Any) -> ASGIApp:
    return PipelineMiddleware(websocket_app(handler), Pipeline(server, SendQueue(**options)))


async def all_of(client: Client) -> list[Any]:
    received: list[Any] = []
    with suppress(WebSocketDisconnect):
        while True:
            received.append(await client.receive())
    return received


def numbers(count: int) -> Handler:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for number in range(count):
            await socket.send_text(str(number))

    return handler


# Order, and who waits.


@in_virtual_time
async def test_messages_arrive_in_order_and_before_the_close() -> None:
    server = Slow()
    server.free.set()
    async with connect(behind(server, numbers(500))) as client:
        assert await all_of(client) == [str(number) for number in range(500)]
        assert client.close_code == 1000


@in_virtual_time
async def test_a_send_does_not_wait_for_the_server() -> None:
    server, sent = Slow(), anyio.Event()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for number in range(10):
            await socket.send_text(str(number))
        sent.set()
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(behind(server, handler)) as client:
        with anyio.fail_after(1):
            await sent.wait()
        assert server.taken == []
        server.free.set()
        server.may.release()
        assert [await client.receive() for _ in range(10)] == list("0123456789")


@in_virtual_time
async def test_several_tasks_may_send_at_once() -> None:
    server = Slow()
    server.free.set()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()

        async def send(name: str) -> None:
            for number in range(20):
                await socket.send_text(f"{name}{number}")

        async with anyio.create_task_group() as tasks:
            for name in "abcde":
                tasks.start_soon(send, name)

    async with connect(behind(server, handler)) as client:
        received = await all_of(client)
    for name in "abcde":
        mine = [text for text in received if text.startswith(name)]
        assert mine == [f"{name}{number}" for number in range(20)]


@in_virtual_time
async def test_a_close_waits_for_what_was_sent_before() -> None:
    server = Slow()
    async with connect(behind(server, numbers(3))) as client, anyio.create_task_group() as tasks:

        async def take_slowly() -> None:
            for _ in range(3):
                await anyio.sleep(1)
                server.may.release()

        tasks.start_soon(take_slowly)
        assert await all_of(client) == ["0", "1", "2"]
        assert client.close_code == 1000


@in_virtual_time
async def test_a_close_does_not_wait_for_ever() -> None:
    server = Slow()
    start = anyio.current_time()
    async with connect(behind(server, numbers(3))) as client:
        assert await all_of(client) == []
        assert client.close_code == 1000
    assert anyio.current_time() - start == pytest.approx(4, abs=0.1)


# Overflow.


async def fill(socket: WebSocket, count: int = 20) -> int:
    """Send until refused; give how many were not."""
    await socket.accept()
    for number in range(count):
        try:
            await socket.send_text(f"{number:02}")
        except WebSocketDisconnect:
            return number
    return count


@pytest.mark.parametrize(
    ("options", "fit"), [({"max_messages": 5}, 6), ({"max_bytes": 10}, 6), ({"max_bytes": 1}, 0)]
)
@in_virtual_time
async def test_overflow_closes(options: Any, fit: int) -> None:
    server, result = Slow(), []

    async def handler(socket: WebSocket) -> None:
        result.append(await fill(socket))
        with suppress(WebSocketDisconnect):
            await socket.send_text("anyone?")
        with pytest.raises(WebSocketDisconnect) as told:
            await socket.receive_text()
        result.append(told.value.code)

    queue = SendQueue(**options)
    app = PipelineMiddleware(websocket_app(handler), Pipeline(server, queue))
    async with connect(app) as client:
        assert await all_of(client) == []
        assert (client.close_code, client.close_reason) == (1013, "too slow")
    # One that the server is taking does not wait any more.
    assert result == [fit, 1013]
    assert server.ended == [(1013, queue, None)]


@in_virtual_time
async def test_the_exception_of_an_overflow_is_no_error_of_the_application() -> None:
    server = Slow()
    queue = SendQueue(max_messages=3, code=4008, reason="wake up")

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "hello"})

    async with connect(PipelineMiddleware(plain, Pipeline(server, queue))) as client:
        assert await all_of(client) == []
        assert (client.close_code, client.close_reason) == (4008, "wake up")
    assert server.ended == [(4008, queue, None)]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("drop_oldest", ["00", "17", "18", "19"]), ("drop_newest", ["00", "01", "02", "03"])],
)
@in_virtual_time
async def test_overflow_drops(policy: str, expected: list[str]) -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await fill(socket)
        server.free.set()
        server.may.release()

    async with connect(behind(server, handler, max_messages=3, on_overflow=policy)) as client:
        assert await all_of(client) == expected
        assert client.close_code == 1000


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("drop_oldest", ["aaaa", "dddd"]), ("drop_newest", ["aaaa", "b", "cc"])],
)
@in_virtual_time
async def test_overflow_drops_by_bytes(policy: str, expected: list[str]) -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("aaaa")
        await anyio.sleep(1)  # the server takes that
        for text in ("b", "cc", "dddd"):
            await socket.send_text(text)
        server.free.set()
        server.may.release()

    async with connect(behind(server, handler, max_bytes=5, on_overflow=policy)) as client:
        assert await all_of(client) == expected


def first_letter(event: Event, _: ASGIConnection) -> str | None:
    letter: str = event["text"][0]
    return None if letter == "-" else letter


@in_virtual_time
async def test_the_latest_by_key_takes_the_place_of_the_one_before() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("first")
        await anyio.sleep(1)  # the server takes that
        for text in ("a1", "-1", "b1", "a2", "-2", "b2", "a3"):
            await socket.send_text(text)
        server.free.set()
        server.may.release()
        await anyio.sleep(1)
        await socket.send_text("a4")

    app = behind(server, handler, max_messages=4, on_overflow="latest", key=first_letter)
    async with connect(app) as client:
        assert await all_of(client) == ["first", "a3", "-1", "b2", "-2", "a4"]


@in_virtual_time
async def test_too_many_keys_close() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for letter in "abcd":
            await socket.send_text(letter)
            await socket.send_text(letter)
        with pytest.raises(ClientDisconnected) as refused:
            await socket.send_text("e")
        assert refused.value.code == 1013

    app = behind(server, handler, max_messages=3, on_overflow="latest", key=first_letter)
    async with connect(app) as client:
        await all_of(client)
        assert client.close_code == 1013


@in_virtual_time
async def test_a_longer_message_in_place_of_another_may_be_too_much() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("first")
        await anyio.sleep(1)
        await socket.send_text("a")
        await socket.send_text("aaaaaa")
        with pytest.raises(ClientDisconnected):
            await socket.send_text("aaaaaaaaaaaa")

    app = behind(server, handler, max_bytes=10, on_overflow="latest", key=first_letter)
    async with connect(app) as client:
        await all_of(client)
        assert client.close_code == 1013


# Time.


@pytest.mark.parametrize("options", [{}, {"on_overflow": "latest", "key": first_letter}])
@in_virtual_time
async def test_a_message_that_waits_too_long_closes(options: Any) -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("hello")
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(behind(server, handler, max_seconds=5, **options)) as client:
        start = anyio.current_time()
        assert await all_of(client) == []
        assert client.close_code == 1013
        assert 5 - 0.1 <= anyio.current_time() - start <= 5.15
    assert server.cancelled == 1


@in_virtual_time
async def test_a_client_that_reads_slowly_but_in_time_stays() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for number in range(30):
            await socket.send_text(str(number))
            await anyio.sleep(1)

    async def take_slowly() -> None:
        for _ in range(30):
            await anyio.sleep(1.1)
            server.may.release()

    async with (
        connect(behind(server, handler, max_seconds=5)) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(take_slowly)
        assert await all_of(client) == [str(number) for number in range(30)]


@in_virtual_time
async def test_what_has_waited_too_long_is_dropped_where_that_is_the_policy() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for number in range(10):
            await socket.send_text(str(number))
            await anyio.sleep(1)
        await anyio.sleep(0.5)
        server.free.set()
        server.may.release()

    options = {"max_seconds": 5, "on_overflow": "drop_oldest"}
    async with connect(behind(server, handler, **options)) as client:
        assert await all_of(client) == ["0", "6", "7", "8", "9"]


# What the server raises.


@in_virtual_time
async def test_the_next_send_tells_that_the_client_is_gone() -> None:
    server = Slow(ConnectionResetError("gone"))
    raised: list[Any] = []

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "1"})
        await anyio.sleep(1)
        try:
            await send({"type": "websocket.send", "text": "2"})
        except OSError as error:
            raised.append(error)
            raise

    server.free.set()
    with pytest.raises(ConnectionResetError):
        async with connect(PipelineMiddleware(plain, Pipeline(server, SendQueue()))):
            pass
    assert raised == [server.error]


@in_virtual_time
async def test_a_failure_that_no_send_told_comes_at_the_end() -> None:
    server = Slow(ValueError("no such message"))
    server.free.set()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("1")

    with pytest.raises(ValueError, match="no such message"):
        async with connect(behind(server, handler)) as client:
            await all_of(client)


@in_virtual_time
async def test_after_a_failure_that_is_no_loss_the_others_go_on() -> None:
    server, told = Slow(), []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        server.error = ValueError("no such message")
        server.free.set()
        await socket.send_text("1")
        await anyio.sleep(1)
        server.error = None
        for text in ("2", "3"):
            try:
                await socket.send_text(text)
            except ValueError as error:
                told.append(str(error))

    async with connect(behind(server, handler)) as client:
        assert await all_of(client) == ["3"]
    assert told == ["no such message"]


# The end.


@in_virtual_time
async def test_a_client_that_leaves_frees_everything() -> None:
    server = Slow()
    kept: list[weakref.ref[ASGIConnection]] = []

    async def handler(socket: WebSocket) -> None:
        kept.append(weakref.ref(socket))
        await fill(socket, 5)
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(behind(server, handler)) as client:
        await anyio.sleep(1)
        await client.close()
    assert server.cancelled == 1
    gc.collect()
    assert [ref() for ref in kept] == [None]


@in_virtual_time
async def test_what_waits_when_a_plain_application_returns_is_still_sent() -> None:
    server = Slow()

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        for text in "abc":
            await send({"type": "websocket.send", "text": text})

    async def take() -> None:
        for _ in range(3):
            await anyio.sleep(1)
            server.may.release()

    async with (
        connect(PipelineMiddleware(plain, Pipeline(server, SendQueue()))) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(take)
        assert await all_of(client) == ["a", "b", "c"]


@in_virtual_time
async def test_an_application_that_fails_has_its_last_words_sent() -> None:
    server = Slow()
    server.free.set()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("last words")
        raise ValueError("on purpose")

    async def visit() -> None:
        async with connect(behind(server, handler)) as client:
            received.append((await all_of(client), client.close_code))

    received: list[Any] = []
    with pytest.raises(ValueError, match="on purpose"):
        await visit()
    assert received == [(["last words"], 1011)]


@in_virtual_time
async def test_a_server_that_never_takes_it_does_not_keep_the_end_for_ever() -> None:
    server = Slow()

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "a"})

    start = anyio.current_time()
    async with connect(PipelineMiddleware(plain, Pipeline(server, SendQueue()))) as client:
        assert await all_of(client) == []
    assert anyio.current_time() - start == pytest.approx(4, abs=0.1)
    assert server.cancelled == 1


@in_virtual_time
async def test_nothing_is_waited_for_when_the_server_stops() -> None:
    server = Slow()
    start = anyio.current_time()

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "a"})
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:

        async def serve() -> None:
            async with connect(PipelineMiddleware(plain, Pipeline(server, SendQueue()))):
                await anyio.sleep_forever()

        tasks.start_soon(serve)
        await anyio.sleep(1)
        tasks.cancel_scope.cancel()
    assert anyio.current_time() - start == pytest.approx(1, abs=0.1)
    assert server.cancelled == 1


@in_virtual_time
async def test_a_connection_that_another_stage_closed_answers_as_the_wire_does() -> None:
    server = Slow()
    server.free.set()
    raised: list[Any] = []

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        await held[0].close(4004, "out", by="operator")
        try:
            await send({"type": "websocket.send", "text": "hello"})
        except WebSocketDisconnect as error:
            raised.append(error.code)
            raise

    held: list[ASGIConnection] = []

    def hold(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        held.append(connection)
        return receive, send

    app = PipelineMiddleware(plain, Pipeline(server, SendQueue(), hold))
    async with connect(app) as client:
        assert await all_of(client) == []
        assert client.close_code == 4004
    assert raised == [4004]


@in_virtual_time
async def test_what_is_replaced_again_and_again_has_waited_since_the_first() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("first")
        with suppress(WebSocketDisconnect):
            while True:
                await socket.send_text("a")
                await anyio.sleep(0.5)

    async def take() -> None:
        await anyio.sleep(1)
        server.may.release()

    options = {"max_seconds": 5, "on_overflow": "latest", "key": first_letter}
    async with (
        connect(behind(server, handler, **options)) as client,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(take)
        start = anyio.current_time()
        assert await all_of(client) == ["first"]
        assert client.close_code == 1013
        assert anyio.current_time() - start == pytest.approx(5, abs=0.2)


# What was found by attack.


@pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "latest"])
@in_virtual_time
async def test_whoever_sends_on_and_on_leaves_the_writer_its_turns(policy: str) -> None:
    server = Slow()
    server.free.set()
    key = (lambda *_: "same") if policy == "latest" else None

    async with connect(
        behind(server, numbers(200), max_messages=1, on_overflow=policy, key=key)
    ) as client:
        assert len(await all_of(client)) > 100


@in_virtual_time
async def test_a_message_too_large_is_dropped_alone() -> None:
    server = Slow()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for text in ("first", "a", "b", "x" * 11, "c"):
            await socket.send_text(text)
        server.free.set()
        server.may.release()

    async with connect(behind(server, handler, max_bytes=10, on_overflow="drop_oldest")) as client:
        assert await all_of(client) == ["first", "a", "b", "c"]


@in_virtual_time
async def test_what_the_application_changes_after_its_send_is_not_sent() -> None:
    server = Slow()

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        event: Event = {"type": "websocket.send", "text": "0"}
        for number in range(4):
            event["text"] = str(number)
            await send(event)
        event["text"] = "changed"
        data = bytearray(b"binary")
        await send({"type": "websocket.send", "bytes": data})
        data[:] = b"altered"
        server.free.set()
        server.may.release()

    async with connect(PipelineMiddleware(plain, Pipeline(server, SendQueue()))) as client:
        assert await all_of(client) == ["0", "1", "2", "3", b"binary"]


@in_virtual_time
async def test_when_a_close_waits_no_longer_the_rest_is_discarded() -> None:
    server = Slow()

    async def take_slowly() -> None:
        for _ in range(5):
            await anyio.sleep(3)
            server.may.release()

    async with connect(behind(server, numbers(5))) as client, anyio.create_task_group() as tasks:
        tasks.start_soon(take_slowly)
        assert await all_of(client) == ["0"]
        assert client.close_code == 1000
        tasks.cancel_scope.cancel()


@in_virtual_time
async def test_who_sends_while_another_closes_is_refused_and_the_close_goes_through() -> None:
    server, raised = Slow(), []
    server.free.set()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        async with anyio.create_task_group() as tasks:

            async def send_on() -> None:
                with suppress(WebSocketDisconnect):
                    for number in range(100_000):
                        await socket.send_text(str(number))
                raised.append("refused")

            tasks.start_soon(send_on)
            await anyio.lowlevel.checkpoint()
            await socket.close(4000)

    start = anyio.current_time()
    async with connect(behind(server, handler)) as client:
        await all_of(client)
        assert client.close_code == 4000
    assert raised == ["refused"]
    assert anyio.current_time() - start < 5


@in_virtual_time
async def test_a_failure_does_not_keep_a_close_from_being_sent() -> None:
    server = Slow(ValueError("no such message"))
    server.free.set()
    codes: list[Any] = []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("1")
        await socket.close(4000)

    async def visit() -> None:
        async with connect(behind(server, handler)) as client:
            await all_of(client)
            codes.append(client.close_code)

    with pytest.raises(ValueError, match="no such message"):
        await visit()
    assert codes == [4000]


@in_virtual_time
async def test_a_send_after_the_end_starts_nothing() -> None:
    server = Slow()
    server.free.set()
    kept: list[Send] = []
    ref: list[weakref.ref[ASGIConnection]] = []

    def hold(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        ref.append(weakref.ref(connection))
        return receive, send

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        kept.append(send)

    pipeline = Pipeline(server, SendQueue(), hold)
    async with connect(PipelineMiddleware(plain, pipeline)) as client:
        await all_of(client)
    with suppress(Exception):
        await kept.pop()({"type": "websocket.send", "text": "late"})
    gc.collect()
    assert ref[0]() is None


@in_virtual_time
async def test_a_client_that_reads_one_and_no_more_overflows_all_the_same() -> None:
    server, result = Slow(), []

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("first")
        server.may.release()
        result.append(await fill(socket, 50))

    async with connect(behind(server, handler, max_messages=5)) as client:
        assert await all_of(client) == ["first"]
        assert client.close_code == 1013
    assert result == [6]


@in_virtual_time
async def test_a_queue_that_was_emptied_in_time_stays_open() -> None:
    server = Slow()
    server.free.set()

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(3):
            await socket.send_text("hello")
            await anyio.sleep(100)

    async with connect(behind(server, handler, max_seconds=5)) as client:
        assert await all_of(client) == ["hello"] * 3
        assert client.close_code == 1000


@in_virtual_time
async def test_a_close_that_the_server_refuses_leaves_the_conversation_open() -> None:
    server, refused = Slow(), []
    server.free.set()

    @on_send(lifecycle=True)
    def refuse(event: Event, _: ASGIConnection) -> Event:
        if event.get("code") == 4000:
            raise ValueError("no such code")
        return event

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send({"type": "websocket.close", "code": 4000})
        except ValueError as error:
            refused.append(str(error))
        await send({"type": "websocket.send", "text": "still here"})
        await send({"type": "websocket.close", "code": 4001})

    async with connect(PipelineMiddleware(plain, Pipeline(server, refuse, SendQueue()))) as client:
        assert await all_of(client) == ["still here"]
        assert client.close_code == 4001
    assert refused == ["no such code"]


@in_virtual_time
async def test_when_the_server_loses_the_client_what_waits_is_discarded() -> None:
    sent: list[Event] = []
    events: list[Event] = [{"type": "websocket.connect"}]
    lost = anyio.Event()

    async def receive() -> Event:
        if not events:
            await lost.wait()
            return {"type": "websocket.disconnect", "code": 1006}
        return events.pop()

    async def send(event: Event) -> None:
        await anyio.sleep(1)
        if event["type"] == "websocket.send":
            lost.set()
            raise ConnectionResetError("gone")
        sent.append(event)

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        await receive()
        await send({"type": "websocket.accept"})
        for text in "abc":
            await send({"type": "websocket.send", "text": text})
        await anyio.sleep(10)

    await PipelineMiddleware(plain, SendQueue())(websocket_scope(), receive, send)
    assert [event["type"] for event in sent] == ["websocket.accept"]


@in_virtual_time
async def test_a_key_that_changes_its_hash_does_no_harm() -> None:
    class Key:
        number = 0

        def __hash__(self) -> int:
            self.number += 1
            return self.number

    server = Slow()
    server.free.set()
    key = Key()
    app = behind(server, numbers(5), on_overflow="latest", key=lambda *_: key)
    async with connect(app) as client:
        assert await all_of(client)
        assert client.close_code == 1000


def test_a_queue_before_the_timeouts_is_advised_against() -> None:
    queue = SendQueue()
    assert list(queue.review((), (Timeouts(send=5),)))
    assert not list(queue.review((), (Timeouts(),)))
    assert not list(queue.review((Timeouts(send=5),), ()))


def test_its_rehearsal_drops_nothing() -> None:
    assert SendQueue(max_bytes=1, code=4000).rehearsal().max_bytes > 10**9


# Options.


class Later:
    async def __call__(self, event: Event, connection: ASGIConnection) -> str:
        raise NotImplementedError


async def later(event: Event, connection: ASGIConnection) -> str:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_messages": 0}, "max_messages=0 must be a whole number, 1 or more"),
        ({"max_bytes": 1.5}, "max_bytes=1.5 must be a whole number"),
        ({"max_seconds": 0}, "max_seconds=0 must be a number of seconds, 0.1 or more"),
        ({"on_overflow": "wait"}, "on_overflow='wait' must be one of 'close', 'drop_oldest'"),
        ({"code": 1006}, "code=1006 must be a code that may be sent"),
        ({"reason": "x" * 124}, "reason='xxx"),
        ({"on_overflow": "latest"}, "key=None must be a function of (event, connection)"),
        ({"on_overflow": "latest", "key": len}, "key=<built-in function len> must be a function"),
        ({"key": first_letter}, "key=<function first_letter"),
        ({"key": "a"}, "key='a' must be left out where on_overflow is not 'latest'"),
        ({"on_overflow": "latest", "key": later}, "key=<function later"),
        ({"on_overflow": "latest", "key": Later()}, "key=<"),
        ({"reason": "\ud800"}, "reason='\\ud800' must be a text"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        SendQueue(**options)
    assert str(refused.value).startswith(message)
