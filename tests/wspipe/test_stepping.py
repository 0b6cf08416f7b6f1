"""Steps: plain functions that see each message, in one coroutine or in none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from anyio.lowlevel import checkpoint

from wspipe import (
    ASGIConnection,
    Composable,
    Pipeline,
    PipelineMiddleware,
    SteppedReceive,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_receive,
    websocket_app,
)
from wspipe.testing import connect, websocket_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import ASGIApp, Event, Middleware, Receive, Send

pytestmark = pytest.mark.anyio


class Stage(Composable):
    """Notes what its step is shown, and gives what the function does."""

    def __init__(self, step: Callable[[Event], Any]) -> None:
        self.seen: list[str] = []
        self.step = step

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        def step(event: Event) -> Any:
            self.seen.append(event["text"])
            return self.step(event)

        return SteppedReceive(receive, step), send


def same(event: Event) -> Event:
    return event


def without_drops(event: Event) -> Event | None:
    return None if event["text"].startswith("drop") else event


def louder(event: Event) -> Event:
    return {**event, "text": event["text"].upper()}


async def later(passed: Event | None) -> Event | None:
    await checkpoint()
    return passed


def louder_later(event: Event) -> Awaitable[Event | None]:
    return later(louder(event))


def dropped_later(event: Event) -> Awaitable[Event | None]:
    return later(without_drops(event))


async def raw_echo(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def text_echo(socket: WebSocket) -> None:
    async for text in socket.iter_text():
        await socket.send_text(text)


def around_raw(stages: Middleware) -> ASGIApp:
    return PipelineMiddleware(raw_echo, stages)


def around_class(stages: Middleware) -> ASGIApp:
    return websocket_app(text_echo, pipeline=stages)


HOSTS = pytest.mark.parametrize("host", [around_raw, around_class])


@HOSTS
@pytest.mark.parametrize(
    ("steps", "answers"),
    [
        ([same], ["a", "drop b", "c"]),
        ([without_drops], ["a", "c"]),
        ([louder], ["A", "DROP B", "C"]),
        ([louder_later], ["A", "DROP B", "C"]),
        ([dropped_later], ["a", "c"]),
        ([same, louder], ["A", "DROP B", "C"]),
        ([without_drops, louder], ["A", "C"]),
        ([louder, without_drops], ["A", "DROP B", "C"]),
        ([louder_later, louder], ["A", "DROP B", "C"]),
        ([dropped_later, louder_later, same], ["A", "C"]),
        ([dropped_later, without_drops], ["a", "c"]),
    ],
)
async def test_what_the_steps_give_goes_on(
    host: Callable[[Middleware], ASGIApp], steps: list[Any], answers: list[str]
) -> None:
    stages = [Stage(step) for step in steps]
    async with connect(host(Pipeline(*stages))) as client:
        for text in ("a", "drop b", "c", "end"):
            await client.send_text(text)
        assert [await client.receive() for _ in answers] == answers
        assert str(await client.receive()).lower() == "end"
    assert stages[0].seen == ["a", "drop b", "c", "end"]
    assert [len(stage.seen) for stage in stages[1:]] <= [4] * len(stages)


def in_between(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    async def receive_through() -> Event:
        return await receive()

    return receive_through, send


@pytest.mark.parametrize(
    ("stages", "direct"),
    [
        (on_receive(lambda event, _: event), True),
        (on_receive(lambda event, _: event) | Stage(same), False),
        (Stage(same) | in_between, False),
        (in_between | Stage(same), False),
        (on_receive(lambda event, _: event, lifecycle=True), False),
    ],
)
async def test_a_class_shows_steps_its_messages_without_a_coroutine(
    stages: Pipeline,
    direct: bool,  # noqa: FBT001
) -> None:
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        assert (socket.wire.direct_receive is not None) is direct
        await socket.send_text(await socket.receive_text())

    async with connect(websocket_app(app, pipeline=stages)) as client:
        await client.send_text("a")
        assert await client.receive() == "a"


@HOSTS
async def test_what_a_step_raises_is_not_taken_for_a_malformed_event(
    host: Callable[[Middleware], ASGIApp],
) -> None:
    def fail(_: Event) -> Event:
        raise KeyError("text")

    async def converse() -> None:
        async with connect(host(stage)) as client:
            await client.send_text("a")
            await client.receive()

    stage = Stage(fail)
    with pytest.raises(KeyError, match="text"):
        await converse()
    assert stage.seen == ["a"]


async def test_a_message_that_is_changed_in_place_is_read_again() -> None:
    def shout(event: Event) -> Event:
        event["text"] = event["text"].upper()
        return event

    async with connect(around_class(Stage(shout))) as client:
        await client.send_text("a")
        assert await client.receive() == "A"


async def test_a_message_that_is_made_an_end_in_place_is_one() -> None:
    def end(event: Event, _: ASGIConnection) -> Event:
        event["type"], event["code"] = "websocket.disconnect", 4000
        return event

    @websocket_app(pipeline=on_receive(end))
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await socket.receive_text()
        assert caught.value.code == 4000

    async with connect(app) as client:
        await client.send_text("a")


async def test_a_frame_of_the_other_kind_is_shown_once() -> None:
    seen: list[Event] = []

    @on_receive
    def note(event: Event, _: ASGIConnection) -> Event | None:
        seen.append(event)
        return None if event.get("bytes") == b"drop" else event

    async def app(socket: WebSocket) -> None:
        await socket.accept()
        for expected in (socket.receive_text, socket.receive_text, socket.receive_bytes):
            with pytest.raises(WebSocketException, match="frame came where"):
                await expected()
        await socket.send_text(str(socket.traffic.messages_received))

    async with connect(websocket_app(app, pipeline=note)) as client:
        await client.send_bytes(b"1")
        await client.send_bytes(b"drop")
        await client.send_bytes(b"2")
        await client.send_text("3")
        assert await client.receive() == "4"
    assert [event.get("bytes") or event.get("text") for event in seen] == [b"1", b"drop", b"2", "3"]


async def test_bytes_are_shown_too() -> None:
    @on_receive
    def backwards(event: Event, _: ASGIConnection) -> Event | None:
        data = event["bytes"]
        return event if data == b"same" else {**event, "bytes": data[::-1]}

    async def app(socket: WebSocket) -> None:
        await socket.accept()
        assert socket.wire.direct_receive is not None
        async for data in socket.iter_bytes():
            await socket.send_bytes(data)

    async with connect(websocket_app(app, pipeline=backwards)) as client:
        await client.send_bytes(b"same")
        await client.send_bytes(b"abc")
        assert [await client.receive(), await client.receive()] == [b"same", b"cba"]


@pytest.mark.parametrize("method", ["receive_text", "receive_bytes", "receive_json"])
async def test_the_end_that_follows_what_was_dropped_ends_a_connection_without_a_runner(
    method: str,
) -> None:
    events: list[Event] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "drop"},
        {"type": "websocket.receive", "bytes": b"drop"},
        {"type": "websocket.disconnect", "code": 1001},
    ]

    async def receive() -> Event:
        return events.pop(0)

    async def send(_: Event) -> None:
        pass

    class Socket(WebSocket, pipeline=on_receive(lambda *_: None)):
        __slots__ = ()

    socket = Socket(websocket_scope(), receive, send)
    await socket.accept()
    ended: list[int | None] = []
    socket.exit_stack.callback(lambda: ended.append(socket.close_code))
    with pytest.raises(WebSocketDisconnect):
        await getattr(socket, method)()
    assert ended == [1001]


class Holds(Composable):
    """Waits with a message in hand, and holds it where it is cancelled."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.opened = asyncio.Event()

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def wait(event: Event) -> Event:
            self.waits.set()
            try:
                await self.opened.wait()
            except asyncio.CancelledError:
                stepped.hold(lambda: wait(event))
                raise
            return event

        stepped = SteppedReceive(receive, wait)
        return stepped, send

    async def cancel_a_receive(self, socket: WebSocket) -> None:
        """Have the socket receive, and cancel that when it waits here."""
        receiving = asyncio.create_task(socket.receive_text())
        await self.waits.wait()
        receiving.cancel()
        await asyncio.wait({receiving})
        self.waits.clear()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("runs_itself", [False, True])
@pytest.mark.parametrize("several", [False, True])
async def test_what_a_cancelled_step_holds_comes_first_and_to_the_steps_behind_it(
    *, runs_itself: bool, several: bool
) -> None:
    gate, behind, last = Holds(), Stage(louder), Stage(louder_later)
    stages = gate | behind | last if several else Pipeline(gate)
    received: list[str] = []

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        assert (socket.wire.direct_receive is None) is several
        for _ in range(2):
            await gate.cancel_a_receive(socket)
            assert socket.wire.direct_receive is None
        gate.opened.set()
        received.append(await socket.receive_text())
        assert (socket.wire.direct_receive is None) is several
        received.append(await socket.receive_text())

    class Socket(WebSocket, pipeline=stages):
        __slots__ = ()

    async def framework(scope: Any, receive: Any, send: Any) -> None:
        await serve(Socket(scope, receive, send))

    app = framework if runs_itself else websocket_app(serve, pipeline=stages)
    async with connect(app) as client:
        await client.send_text("a")
        await client.send_text("b")
    assert received == (["A", "B"] if several else ["a", "b"])
    assert (behind.seen, last.seen) == ((["a", "b"], ["A", "B"]) if several else ([], []))


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_held_may_come_to_nothing() -> None:
    class Drops(Holds):
        def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
            async def nothing() -> None:
                return None

            def step(event: Event) -> Event | None:
                if event["text"] == "b":
                    return event
                stepped.hold(nothing)
                return None

            stepped = SteppedReceive(receive, step)
            return stepped, send

    behind = Stage(same)
    async with connect(around_raw(Drops() | behind)) as client:
        await client.send_text("a")
        await client.send_text("b")
        assert await client.receive() == "b"
    assert behind.seen == ["b"]


def leaves(_: Event) -> Event:
    return {"type": "websocket.disconnect", "code": 4008}


@HOSTS
async def test_what_a_step_makes_of_a_message_is_shown_to_others_as_what_it_is(
    host: Callable[[Middleware], ASGIApp],
) -> None:
    behind = Stage(without_drops)
    async with connect(host(Stage(leaves) | behind)) as client:
        await client.send_text("a")
    assert behind.seen == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_receive_that_nobody_uses_takes_nothing_of_another() -> None:
    gate, unused = Holds(), Stage(louder)

    def send_side_only(connection: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, unused(connection, receive, send)[1]

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        await gate.cancel_a_receive(socket)
        gate.opened.set()
        await socket.send_text(await socket.receive_text())
        await socket.send_text(await socket.receive_text())

    async with connect(websocket_app(serve, pipeline=gate | Pipeline(send_side_only))) as client:
        await client.send_text("a")
        await client.send_text("b")
        assert [await client.receive(), await client.receive()] == ["a", "b"]
    assert unused.seen == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_held_comes_through_what_receives_by_then() -> None:
    gate, later_stage = Holds(), Stage(louder)

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        await gate.cancel_a_receive(socket)
        gate.opened.set()
        bare = socket.receive
        socket.receive, _ = later_stage(socket, bare, socket.send)
        await socket.send_text(await socket.receive_text())
        socket.receive = bare
        await socket.send_text(await socket.receive_text())

    async with connect(websocket_app(serve, pipeline=gate)) as client:
        await client.send_text("a")
        await client.send_text("b")
        assert [await client.receive(), await client.receive()] == ["A", "b"]


async def test_what_is_no_event_passes_by() -> None:
    def careless(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def receive_nothing() -> Any:
            return None if (await receive())["type"] == "websocket.receive" else {}

        return receive_nothing, send

    received: list[Any] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        received.append(await receive())

    stages = Pipeline(careless, on_receive(lambda event, _: event))
    async with connect(PipelineMiddleware(app, stages)) as client:
        await client.send_text("a")
    assert received == [None]
