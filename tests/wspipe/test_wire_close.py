"""Closing from the middle: `connection.close(by=...)`, from any task, in every situation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe.exceptions import ClientDisconnected, ProtocolError, WebSocketDisconnect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio

GUARD = object()
TEXT = {"type": "websocket.send", "text": "hello"}
OUT = {"type": "websocket.disconnect", "code": 1008, "reason": "policy"}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


@either_way
async def test_the_server_gets_the_close(make_bench: Callable[..., Bench], *, strict: bool) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.connection.close(1008, "policy", by=GUARD)
    assert bench.server.taken == [{"type": "websocket.close", "code": 1008, "reason": "policy"}]
    assert bench.ending == (1008, "policy", GUARD)
    assert bench.connection.connection_state == "disconnect"


async def test_a_close_without_code_and_reason_is_1000(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().open()
    await bench.connection.close(by="timer")
    assert bench.server.taken == [{"type": "websocket.close", "code": 1000, "reason": ""}]
    assert bench.ending == (1000, "", "timer")


@either_way
async def test_from_then_on_the_application_receives_the_disconnect_again_and_again(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.connection.close(1008, "policy", by=GUARD)
    bench.server.inbox.append({"type": "websocket.receive", "text": "too late"})
    first = await bench.receive()
    assert first == OUT
    first["code"] = 1
    assert await bench.receive() == OUT
    assert await bench.receive() == OUT
    assert len(bench.server.inbox) == 1
    assert bench.connection.traffic.messages_received == 0


@pytest.mark.parametrize("event", [TEXT, {"type": "websocket.close"}, {"type": "tls"}, {}, None])
@either_way
async def test_from_then_on_the_application_cannot_send(
    make_bench: Callable[..., Bench], event: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict, extensions=["tls"]).open()
    await bench.connection.close(1008, "policy", by=GUARD)
    with pytest.raises(ClientDisconnected, match="a middleware closed the connection") as caught:
        await bench.send(event)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, WebSocketDisconnect)
    assert caught.value.code == 1008
    assert len(bench.server.offered) == 1


async def receive_in_flight(bench: Bench, event: Any) -> Any:
    """Close while a receive waits, then let the server hand out the event."""
    gate = bench.server.hold = anyio.Event()
    bench.server.inbox.append(event)
    received: list[Any] = []

    async def receive() -> None:
        received.append(await bench.receive())

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            bench.server.hold = None
            await bench.connection.close(1008, "policy", by=GUARD)
            gate.set()
    return received[0]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.receive", "text": "in flight"},
        {"type": "websocket.receive", "bytes": b"in flight"},
        {"type": "websocket.disconnect", "code": 1000},
        {"type": "websocket.connect"},
        {},
        None,
    ],
    ids=repr,
)
@either_way
async def test_what_is_in_flight_is_discarded(
    make_bench: Callable[..., Bench], event: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    assert await receive_in_flight(bench, event) == OUT
    assert bench.connection.traffic.messages_received == 0
    assert bench.ending == (1008, "policy", GUARD)


@either_way
async def test_a_second_close_does_nothing(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.connection.close(1008, "policy", by=GUARD)
    await bench.connection.close(1011, "other", by="other")
    assert len(bench.server.offered) == 1
    assert bench.ending == (1008, "policy", GUARD)
    assert await bench.receive() == OUT


async def test_two_closes_at_once_are_one(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().open()
    gate = bench.server.hold = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(lambda n=number: bench.connection.close(3000 + n, by=n))
            await anyio.wait_all_tasks_blocked()
            gate.set()
    assert len(bench.server.taken) == 1
    assert bench.connection.close_code == 3000 + bench.connection.closed_by


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        ("connected", "closed"),
        ("connected", "rejected"),
        ("disconnected", "accepted"),
        ("disconnected", "unanswered"),
        ("disconnected", "closed"),
    ],
)
async def test_a_conversation_that_is_over_is_left_alone(
    make_bench: Callable[..., Bench], received: str, sent: str
) -> None:
    bench = await make_bench().reach(received, sent)
    before, ending = list(bench.server.offered), bench.ending
    await bench.connection.close(1008, by=GUARD)
    assert bench.server.offered == before
    assert bench.ending == ending
    assert not bench.wire.evicted


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, "1000", None, True])
@pytest.mark.parametrize("sent", ["unanswered", "accepted", "denying"])
@either_way
async def test_a_code_that_may_not_be_sent_is_refused(
    make_bench: Callable[..., Bench], code: Any, sent: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", sent)
    before = list(bench.server.offered)
    with pytest.raises(ProtocolError, match="is not a close code that may be sent"):
        await bench.connection.close(code, by=GUARD)
    assert bench.server.offered == before
    assert bench.wire.sent == sent
    assert bench.connection.close_code is None
    assert not bench.wire.evicted


@pytest.mark.parametrize(
    ("reason", "sent"),
    [(None, ""), ("x" * 200, "x" * 123), ("\u20ac" * 50, "\u20ac" * 41), ("\ud800!", "?!")],
)
async def test_the_reason_is_made_to_fit(
    make_bench: Callable[..., Bench], reason: str | None, sent: str
) -> None:
    bench = await make_bench().open()
    await bench.connection.close(1008, reason, by=GUARD)
    assert bench.server.taken[0]["reason"] == sent
    assert bench.connection.close_reason == sent
    assert (await bench.receive())["reason"] == sent


@pytest.mark.parametrize("received", ["waiting for connect", "connected"])
@either_way
async def test_before_the_accept_it_is_a_rejection(
    make_bench: Callable[..., Bench], received: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach(received, "unanswered")
    handshakes: list[Any] = []
    bench.connection.on_handshake(handshakes.append)
    await bench.connection.close(1008, "policy", by=GUARD)
    close = {"type": "websocket.close", "code": 1008, "reason": "policy"}
    assert bench.server.taken == [close]
    assert handshakes == [close]
    assert bench.connection.handshake_status == 403
    assert bench.wire.sent == "rejected"
    if received == "waiting for connect":
        assert await bench.receive() == {"type": "websocket.connect"}
    assert await bench.receive() == OUT
    with pytest.raises(ClientDisconnected):
        await bench.send({"type": "websocket.accept"})


@either_way
async def test_during_a_denial_it_ends_the_body(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "denying")
    await bench.connection.close(1008, "policy", by=GUARD)
    last = {"type": "websocket.http.response.body", "body": b"", "more_body": False}
    assert bench.server.taken[-1] == last
    assert bench.wire.sent == "rejected"
    assert bench.connection.handshake_status == 401
    assert bench.ending == (1008, "policy", GUARD)


@either_way
async def test_a_connect_in_flight_is_not_discarded(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = make_bench(strict=strict)
    connect = {"type": "websocket.connect"}
    assert await receive_in_flight(bench, connect) is connect
    assert await bench.receive() == OUT


async def test_a_disconnect_in_flight_still_tells_how_a_lost_client_left(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    bench.server.fault = OSError("gone")
    leaving = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}
    assert await receive_in_flight(bench, leaving) == OUT
    assert bench.ending == (1001, "away", "client")
