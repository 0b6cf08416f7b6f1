"""`Timeouts` closes what takes too long, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from math import nan
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.virtual import in_virtual_time
from wspipe import (
    ASGIConnection,
    Composable,
    Event,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
    websocket_app,
)
from wspipe.testing import Client, ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import Timeouts
from wspipe_middlewares.timer import shared_timer

if TYPE_CHECKING:
    from wspipe import ASGIApp, Receive, Scope, Send

SLACK = 0.15  # a moment of the timer, and rounding


@websocket_app
async def echo(socket: WebSocket) -> None:
    async for text in socket.iter_text():
        await socket.send_text(text)


def around(app: ASGIApp, **options: Any) -> PipelineMiddleware:
    return PipelineMiddleware(app, Timeouts(**options))


async def closed(client: Client) -> tuple[int | None, str, float]:
    """Wait for the close; give code, reason and how long it took."""
    start = anyio.current_time()
    with suppress(WebSocketDisconnect):
        while True:
            await client.receive()
    return client.close_code, client.close_reason, anyio.current_time() - start


async def talk_on(client: Client, pause: float) -> None:
    """Say something every so many seconds, until closed."""
    with suppress(WebSocketDisconnect):
        while True:
            await client.send_text("hello")
            await client.receive()
            with anyio.move_on_after(pause):
                await client.receive()


# To the accept.


async def ponder(scope: Scope, receive: Receive, send: Send) -> None:
    """Take the connect event and never answer it."""
    del scope, send
    while (await receive())["type"] != "websocket.disconnect":
        pass


@in_virtual_time
async def test_who_is_not_accepted_in_time_is_denied() -> None:
    start = anyio.current_time()
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(around(ponder, accept=3)):
            raise AssertionError("accepted")
    assert (denied.value.status, denied.value.code) == (403, 3008)
    assert denied.value.reason == "no accept in time"
    assert 3 <= anyio.current_time() - start < 3 + SLACK


@in_virtual_time
async def test_an_accept_has_ten_seconds_by_default() -> None:
    start = anyio.current_time()
    with pytest.raises(ConnectionDenied):
        async with connect(around(ponder)):
            raise AssertionError("accepted")
    assert 10 <= anyio.current_time() - start < 10 + SLACK


@in_virtual_time
async def test_who_is_accepted_may_stay() -> None:
    async with connect(around(echo, accept=1)) as client:
        await anyio.sleep(100)
        await client.send_text("still here")
        assert await client.receive() == "still here"


# Idle.


@pytest.mark.parametrize("limit", ["idle", "idle_received", "idle_sent"])
@in_virtual_time
async def test_an_idle_connection_is_closed_up_to_an_eighth_late(limit: str) -> None:
    reasons = {"idle": "idle", "idle_received": "nothing received", "idle_sent": "nothing sent"}
    for pause in (0, 0.3, 1.9, 7.1):
        async with connect(around(echo, **{limit: 16})) as client:
            await anyio.sleep(pause)
            await client.send_text("hello")
            assert await client.receive() == "hello"
            code, reason, took = await closed(client)
        assert (code, reason) == (3008, reasons[limit])
        assert 16 <= took <= 18 + SLACK


@in_virtual_time
async def test_a_connection_without_a_message_is_idle_from_its_accept() -> None:
    async with connect(around(echo, idle=16)) as client:
        _, _, took = await closed(client)
    assert 16 - SLACK <= took <= 18 + SLACK


@in_virtual_time
async def test_messages_either_way_keep_it_open() -> None:
    @websocket_app
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        for _ in range(20):
            await anyio.sleep(5)
            await socket.send_text("a word from us")
        await socket.close(4000)

    async with connect(around(talk, idle=6)) as client:
        assert (await closed(client))[0] == 4000
    async with connect(around(talk, idle_sent=6)) as client:
        assert (await closed(client))[0] == 4000
    async with connect(around(talk, idle_received=6)) as client:
        code, reason, took = await closed(client)
        assert (code, reason) == (3008, "nothing received")
        assert 6 - SLACK <= took <= 6.75 + SLACK


@in_virtual_time
async def test_what_is_received_keeps_it_open() -> None:
    @websocket_app
    async def listen(socket: WebSocket) -> None:
        async for _ in socket.iter_text():
            pass

    async with connect(around(listen, idle=6, idle_received=6)) as client:
        for _ in range(20):
            await anyio.sleep(5)
            await client.send_text("a word from them")
        assert client.close_code is None
    async with connect(around(listen, idle_sent=6)) as client:
        for _ in range(2):
            await client.send_text("a word from them")
            await anyio.sleep(5)
        assert (await closed(client))[:2] == (3008, "nothing sent")


# Lifetime.


@in_virtual_time
async def test_nobody_lives_longer_than_the_lifetime() -> None:
    async with connect(around(echo, lifetime=200)) as client:
        start = anyio.current_time()
        await talk_on(client, 7)
        assert (client.close_code, client.close_reason) == (3008, "open for too long")
        assert 200 - SLACK <= anyio.current_time() - start <= 200 + SLACK


# Handling.


def slow(seconds: float, after: list[str]) -> ASGIApp:
    @websocket_app
    async def app(socket: WebSocket) -> None:
        async for text in socket.iter_text():
            await anyio.sleep(seconds)
            after.append("handled")
            await socket.send_text(text)

    return app


@in_virtual_time
async def test_a_message_may_take_as_long_as_the_limit_says() -> None:
    async with connect(around(slow(4.9, []), handling=5)) as client:
        for _ in range(5):
            await client.send_text("hello")
            assert await client.receive() == "hello"


@in_virtual_time
async def test_a_message_that_takes_longer_closes_and_the_application_goes_on() -> None:
    after: list[str] = []
    async with connect(around(slow(50, after), handling=5)) as client:
        await anyio.sleep(3)
        await client.send_text("hello")
        code, reason, took = await closed(client)
    assert (code, reason) == (3008, "handling took too long")
    assert 5 <= took <= 5 + SLACK
    assert after == ["handled"]


@in_virtual_time
async def test_the_application_is_cancelled_where_that_is_wanted() -> None:
    after: list[str] = []
    start = anyio.current_time()
    async with connect(around(slow(50, after), handling=5, cancel=True)) as client:
        await client.send_text("hello")
        assert (await closed(client))[0] == 3008
    assert after == []
    assert anyio.current_time() - start < 6


@in_virtual_time
async def test_websocket_app_is_cancelled_in_the_same_way() -> None:
    ended: list[Any] = []

    def note(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        def told() -> None:
            ended.append((connection.close_code, connection.closed_by, connection.error))

        connection.exit_stack.callback(told)
        return receive, send

    timeouts = Timeouts(handling=5, cancel=True)

    @websocket_app(pipeline=Pipeline(note, timeouts))
    async def hang(socket: WebSocket) -> None:
        await socket.receive_text()
        await anyio.sleep_forever()

    async with connect(hang) as client:
        await client.send_text("hello")
        assert (await closed(client))[0] == 3008
    assert ended == [(3008, timeouts, None)]


@in_virtual_time
async def test_an_application_that_hangs_after_its_client_has_left_is_cancelled() -> None:
    after: list[str] = []
    start = anyio.current_time()
    async with connect(around(slow(1000, after), handling=5, cancel=True)) as client:
        await client.send_text("hello")
        await anyio.sleep(1)
        await client.close()
    assert after == []
    assert anyio.current_time() - start <= 5 + SLACK


@in_virtual_time
async def test_an_application_between_two_messages_is_not_handling() -> None:
    async with connect(around(slow(4, []), handling=5, idle=1000)) as client:
        for _ in range(3):
            await client.send_text("hello")
            assert await client.receive() == "hello"
            await anyio.sleep(70)
        assert client.close_code is None


@in_virtual_time
async def test_an_application_that_does_not_end_after_a_close_is_cancelled() -> None:
    async def hang_before(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        await anyio.sleep_forever()

    async def hang_after(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await anyio.sleep_forever()

    async def close_and_hang(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1000})
        await anyio.sleep_forever()

    start = anyio.current_time()
    with pytest.raises(ConnectionDenied):
        async with connect(around(hang_before, accept=3, cancel=True)):
            raise AssertionError("accepted")
    assert anyio.current_time() - start == pytest.approx(9, abs=SLACK)
    for app, code in ((hang_after, 3008), (close_and_hang, 1000)):
        start = anyio.current_time()
        async with connect(around(app, lifetime=3, cancel=True)) as client:
            assert (await closed(client))[0] == code
        assert 4 - SLACK <= anyio.current_time() - start <= 9 + SLACK


@pytest.mark.parametrize("options", [{}, {"accept": None}, {"idle": 1000}, {"lifetime": 5000}])
@in_virtual_time
async def test_every_message_is_watched_and_not_the_first_alone(options: Any) -> None:
    hangs = []

    @websocket_app
    async def app(socket: WebSocket) -> None:
        async for text in socket.iter_text():
            hangs.append(text)
            await anyio.sleep(50 if text == "hang" else 0.1)
            await socket.send_text(text)

    for pause in (0, 20, 100):
        async with connect(around(app, handling=5, cancel=True, **options)) as client:
            for _ in range(3):
                await client.send_text("hello")
                assert await client.receive() == "hello"
                await anyio.sleep(pause)
            await client.send_text("hang")
            code, reason, took = await closed(client)
            assert (code, reason) == (3008, "handling took too long")
            assert 5 <= took <= 5 + SLACK


# Sending.


class Stall(Composable):
    """A server that takes no message until it may."""

    def __init__(self) -> None:
        self.may = anyio.Event()

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def stalled(event: Event) -> None:
            if event["type"] == "websocket.send":
                await self.may.wait()
            await send(event)

        return receive, stalled


@in_virtual_time
async def test_a_send_that_takes_too_long_closes() -> None:
    stall = Stall()
    app = PipelineMiddleware(echo, Pipeline(stall, Timeouts(send=5)))
    async with connect(app) as client:
        await anyio.sleep(3)
        await client.send_text("hello")
        code, reason, took = await closed(client)
        stall.may.set()
    assert (code, reason) == (3008, "send took too long")
    assert 5 <= took <= 5 + SLACK


@in_virtual_time
async def test_the_oldest_of_several_sends_counts() -> None:
    stall = Stall()

    @websocket_app
    async def chatter(socket: WebSocket) -> None:
        await socket.accept()
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(socket.send_text, str(number))
                await anyio.sleep(1)

    app = PipelineMiddleware(chatter, Pipeline(stall, Timeouts(send=4.5, cancel=True)))
    async with connect(app) as client:
        _, reason, took = await closed(client)
    assert reason == "send took too long"
    assert 4.5 - SLACK <= took <= 4.5 + SLACK


@in_virtual_time
async def test_sends_that_the_server_takes_are_no_matter() -> None:
    async with connect(around(echo, send=1)) as client:
        for _ in range(3):
            await anyio.sleep(40)
            await client.send_text("hello")
            assert await client.receive() == "hello"


# What it costs.


def test_what_is_not_limited_is_not_wrapped() -> None:
    async def ends() -> list[tuple[bool, bool]]:
        same = []
        options: Any
        for options in ({}, {"idle": 60, "lifetime": 3600}, {"handling": 5}, {"send": 5}):
            connection: ASGIConnection = ASGIConnection(websocket_scope())
            receive, send = Pipeline().with_wire(strict=True)(
                connection, connection.receive, connection.send
            )
            wrapped = Timeouts(**options)(connection, receive, send)
            same.append((wrapped[0] is receive, wrapped[1] is send))
            await connection.finish(None)
        return same

    assert anyio.run(ends) == [(True, True), (True, True), (False, True), (True, False)]


@pytest.mark.anyio
async def test_nothing_is_left_when_all_have_gone() -> None:
    app = around(echo, idle=60, lifetime=3600, handling=5, send=5)
    for _ in range(50):
        async with connect(app) as client:
            await client.send_text("hello")
            await client.receive()
    task = shared_timer().task
    if task is not None:
        with anyio.fail_after(5):
            await task.ended()


@in_virtual_time
async def test_who_has_left_is_not_closed() -> None:
    async def brood(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await anyio.sleep(100)

    start = anyio.current_time()
    async with connect(around(brood, idle=5, lifetime=10)) as client:
        await client.close()
    assert anyio.current_time() - start == pytest.approx(100, abs=SLACK)


@in_virtual_time
async def test_a_server_that_takes_no_close_at_all_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    events: list[Event] = [{"type": "websocket.connect"}]
    may_end = anyio.Event()

    async def receive() -> Event:
        if not events:
            await may_end.wait()
            return {"type": "websocket.disconnect", "code": 1006}
        return events.pop()

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] == "websocket.close":
            may_end.set()
            raise ValueError("no such thing as a close")

    await around(echo, lifetime=2)(websocket_scope(), receive, send)
    warned = [record.getMessage() for record in caplog.records]
    assert "a server took no close: ValueError('no such thing as a close')" in warned


# Options.


@in_virtual_time
async def test_each_limit_has_its_code() -> None:
    app = around(echo, idle=2, lifetime=5, codes={"lifetime": 1001, "idle": 4100})
    async with connect(app) as client:
        assert (await closed(client))[0] == 4100
    async with connect(app) as client:
        await talk_on(client, 1.3)
        assert client.close_code == 1001


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idle": 0}, "idle=0 must be a number of seconds, 0.1 or more"),
        ({"accept": -1}, "accept=-1 must be a number of seconds"),
        ({"lifetime": nan}, "lifetime=nan must be a number of seconds"),
        ({"send": "5"}, "send='5' must be a number of seconds"),
        ({"handling": True}, "handling=True must be a number of seconds"),
        ({"cancel": "no"}, "cancel='no' must be True or False"),
        ({"codes": None}, "codes=None must be a mapping"),
        ({"accept": None}, "accept=None must be a number of seconds where there is no other limit"),
        ({"codes": {"idel": 4000}}, "codes={'idel': 4000} must be by limit: accept, idle, "),
        ({"codes": {"idle": 1005}}, "codes['idle']=1005 must be a code that may be sent"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Timeouts(**options)
    assert str(refused.value).startswith(message)


@in_virtual_time
async def test_none_is_no_limit() -> None:
    async with connect(around(echo, accept=None, send=1)) as client:
        await anyio.sleep(10_000)
        assert client.close_code is None
