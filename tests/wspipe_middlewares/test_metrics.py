"""`Metrics`: what is counted of connections and messages, by which attributes."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from opentelemetry.metrics import get_meter_provider
from opentelemetry.sdk.metrics import MeterProvider

from tests.observed import Measured, key
from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    ImproperlyConfiguredException,
    PipelineMiddleware,
    Traffic,
    WebSocket,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares import Metrics
from wspipe_middlewares.metrics.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Receive, Scope, Send
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio

ROUTE = "/rooms/{room}"
RECEIVED = {"http.route": ROUTE, "network.io.direction": "receive"}
SENT = {"http.route": ROUTE, "network.io.direction": "transmit"}


async def echo(socket: WebSocket) -> None:
    socket.scope["wspipe.route"] = ROUTE
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(message * 2)
        await socket.send_bytes(b"123")


async def leave(_: Client) -> None: ...


async def converse(
    metrics: Any,
    handler: Callable[[WebSocket], Awaitable[None]] = echo,
    client_does: Callable[[Client], Awaitable[None]] = leave,
) -> None:
    """Have a client talk to a handler, whatever becomes of it."""
    with anyio.fail_after(5):
        try:
            async with connect(websocket_app(handler, pipeline=metrics)) as client:
                await client_does(client)
        except (ConnectionDenied, LookupError):
            pass


async def test_messages_and_bytes_are_those_of_the_tally_while_it_goes_on(
    measured: Measured,
) -> None:
    rounds = 0

    async def talk(client: Client) -> None:
        nonlocal rounds
        rounds += 1
        await client.send_text("é")
        await client.receive()
        await client.receive()
        expect(rounds)

    def expect(times: int) -> None:
        assert measured.values("wspipe.messages") == {
            key({**RECEIVED, "wspipe.message.type": "text"}): times,
            key({**RECEIVED, "wspipe.message.type": "binary"}): 0,
            key({**SENT, "wspipe.message.type": "text"}): times,
            key({**SENT, "wspipe.message.type": "binary"}): times,
        }
        assert measured.values("wspipe.message.bytes") == {
            key({**RECEIVED, "wspipe.message.type": "text"}): 2 * times,
            key({**RECEIVED, "wspipe.message.type": "binary"}): 0,
            key({**SENT, "wspipe.message.type": "text"}): 4 * times,
            key({**SENT, "wspipe.message.type": "binary"}): 3 * times,
        }

    metrics = Metrics(meter_provider=measured.provider)
    await converse(metrics, client_does=talk)
    expect(1)
    await converse(metrics, client_does=talk)
    expect(2)


async def test_open_connections_are_counted_by_route(measured: Measured) -> None:
    seen: list[Any] = []

    async def look(_: Client) -> None:
        seen.append(measured.values("wspipe.connections.active"))

    await converse(Metrics(meter_provider=measured.provider), client_does=look)
    assert seen == [{key({"http.route": ROUTE}): 1}]
    assert measured.values("wspipe.connections.active") == {key({"http.route": ROUTE}): 0}


async def test_without_a_route_there_is_no_such_attribute(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()

    await converse(Metrics(meter_provider=measured.provider), handler)
    assert measured.values("wspipe.connections.active") == {key({}): 0}


async def test_a_connection_that_ended_is_timed(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        await anyio.sleep(0.02)  # before the accept: not counted
        await echo(socket)

    async def talk(client: Client) -> None:
        await anyio.sleep(0.01)
        await client.close(4001)

    metrics = Metrics(meter_provider=measured.provider, close_codes=frozenset({4001}))
    await converse(metrics, handler, talk)
    (point,) = measured.points("wspipe.connection.duration")
    assert point.attributes == {
        "http.route": ROUTE,
        "wspipe.close.code": "4001",
        "wspipe.closed_by": "client",
    }
    assert 0.01 <= point.sum < 5
    assert point.explicit_bounds[-1] == 86400


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (1000, {"wspipe.close.code": "1000"}),
        (1006, {"wspipe.close.code": "1006", "error.type": "1006"}),
        (3000, {"wspipe.close.code": "3000"}),
        (4001, {"wspipe.close.code": "_OTHER"}),
        (2999, {"wspipe.close.code": "_OTHER", "error.type": "_OTHER"}),
    ],
)
async def test_an_unknown_code_does_not_make_an_attribute_of_its_own(
    measured: Measured, code: int, told: dict[str, str]
) -> None:
    async def close(client: Client) -> None:
        await client.close(code)

    await converse(Metrics(meter_provider=measured.provider), client_does=close)
    (point,) = measured.points("wspipe.connection.duration")
    attributes = {**point.attributes}
    assert attributes.pop("wspipe.closed_by") in {"client", "unknown"}
    assert attributes == {"http.route": ROUTE, **told}


@pytest.mark.parametrize(
    ("by", "told"),
    [("server", "server"), ("user-4711", "_OTHER"), (Metrics(), "Metrics"), (5, "int")],
)
async def test_who_closed_is_one_of_a_few(measured: Measured, by: object, told: str) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close(1008, by=by)

    await converse(Metrics(meter_provider=measured.provider), handler)
    (point,) = measured.points("wspipe.connection.duration")
    assert point.attributes["wspipe.closed_by"] == told


async def test_an_error_is_told_by_its_class(measured: Measured) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError("user 4711")

    await converse(Metrics(meter_provider=measured.provider), handler)
    (point,) = measured.points("wspipe.connection.duration")
    assert point.attributes == {
        "error.type": "LookupError",
        "wspipe.close.code": "1011",
        "wspipe.closed_by": "application",
    }


class Guard:
    """Rejects all."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        connection.scope["wspipe.route"] = ROUTE
        raise ConnectionRejected(429)


async def test_a_rejection_is_counted_by_status_and_author(measured: Measured) -> None:
    metrics = Metrics(meter_provider=measured.provider)
    await converse(metrics | Guard())
    await converse(metrics | Guard())

    async def failing(_: WebSocket) -> None:
        raise LookupError

    await converse(metrics, failing)
    assert measured.values("wspipe.connections.rejected") == {
        key(
            {
                "http.route": ROUTE,
                "http.response.status_code": 429,
                "wspipe.closed_by": "Guard",
            }
        ): 2,
        key(
            {
                "http.response.status_code": 500,
                "wspipe.closed_by": "application",
                "error.type": "LookupError",
            }
        ): 1,
    }
    assert not measured.points("wspipe.connection.duration")
    assert not measured.points("wspipe.connections.active")


async def test_a_handshake_that_nobody_answers_counts_as_rejected(measured: Measured) -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None: ...

    with pytest.raises(ConnectionDenied):
        async with connect(PipelineMiddleware(silent, Metrics(meter_provider=measured.provider))):
            pass
    assert list(measured.values("wspipe.connections.rejected").values()) == [1]
    (point,) = measured.points("wspipe.connections.rejected")
    assert point.attributes["error.type"] == "unanswered"
    assert "http.response.status_code" not in point.attributes


async def test_two_metrics_of_one_provider_count_together(measured: Measured) -> None:
    async def talk(client: Client) -> None:
        await client.send_text("1")
        await client.receive()

    for _ in range(2):
        await converse(Metrics(meter_provider=measured.provider), client_does=talk)
    assert sum(measured.values("wspipe.messages").values()) == 6
    assert list(measured.values("wspipe.connection.duration").values()) == [2]
    assert list(measured.values("wspipe.connections.active").values()) == [0]


async def test_two_on_one_connection_count_its_messages_once(measured: Measured) -> None:
    async def talk(client: Client) -> None:
        await client.send_text("1")
        await client.receive()

    metrics = Metrics(meter_provider=measured.provider)
    other = Metrics(meter_provider=measured.provider, close_codes=frozenset({4000}))
    await converse(metrics | metrics | other, client_does=talk)
    assert sum(measured.values("wspipe.messages").values()) == 3
    assert list(measured.values("wspipe.connections.active").values()) == [0]
    assert list(measured.values("wspipe.connection.duration").values()) == [1]
    await converse(metrics | other | Guard())
    assert list(measured.values("wspipe.connections.rejected").values()) == [1]


async def test_a_socket_that_is_dropped_keeps_no_other_from_being_counted(
    measured: Measured,
) -> None:
    class Socket(WebSocket, pipeline=Metrics(meter_provider=measured.provider)):
        __slots__ = ()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(_: Any) -> None: ...

    for _ in range(100):
        Socket({"type": "websocket"}, receive, send)
    gc.collect()
    for _ in range(20):
        async with Socket({"type": "websocket"}, receive, send) as socket:
            await socket.accept()
    assert list(measured.values("wspipe.connection.duration").values()) == [20]


def test_a_provider_is_not_kept_alive() -> None:
    provider = MeterProvider(shutdown_on_exit=False)
    Metrics(meter_provider=provider)
    kept = weakref.ref(provider)
    provider.shutdown()
    del provider
    gc.collect()
    assert kept() is None


def test_the_global_provider_has_one_recorder_also_before_it_is_set() -> None:
    given = Metrics(meter_provider=get_meter_provider())
    assert given._recorder is Metrics()._recorder  # noqa: SLF001
    assert Metrics() == Metrics()
    assert Metrics()._recorder is Metrics(process_duration=True)._recorder  # noqa: SLF001
    assert "_recorder" not in repr(Metrics())


async def test_off_wraps_nothing(measured: Measured) -> None:
    pairs: list[bool] = []

    def compare(options: dict[str, Any]) -> Any:
        def stage(connection: ASGIConnection, receive: Receive, send: Send) -> Any:
            metrics = Metrics(meter_provider=measured.provider, **options)
            wrapped = metrics(connection, receive, send)
            pairs.append((wrapped[0] is receive, wrapped[1] is send))
            return wrapped

        return stage

    for option in ({}, {"process_duration": True}, {"send_duration": True}, {"message_size": True}):
        await converse(compare(option))
    assert pairs == [(True, True), (False, True), (True, False), (False, False)]


def test_counts_never_go_down_while_another_thread_reads(measured: Measured) -> None:
    recorder = Recorder(measured.provider)
    stop = threading.Event()
    read: list[float] = []

    def export() -> None:
        while not stop.is_set():
            read.append(sum(measured.values("wspipe.messages").values()))

    exporter = threading.Thread(target=export)
    exporter.start()
    try:
        for _ in range(300):
            traffic = Traffic()
            recorder.begin(None, traffic)
            for _ in range(20):
                traffic.text_received += 1
                traffic.binary_sent += 1
            recorder.end(None, traffic)
    finally:
        stop.set()
        exporter.join(10)
    assert len(read) > 10
    assert read == sorted(read)
    assert sum(measured.values("wspipe.messages").values()) == 300 * 40


@pytest.mark.parametrize("code", [1000, 2999, 5000])
def test_a_code_that_is_none_of_an_application_is_refused(code: int) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=f"3000 to 4999, not {code}"):
        Metrics(close_codes=frozenset({code}))
