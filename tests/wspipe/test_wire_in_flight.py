"""The wire stage while the server still handles a send, and where the server refuses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe.exceptions import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio

TEXT = {"type": "websocket.send", "text": "hello"}


class Blob(bytes):
    """Bytes of a class of its own: the wire does not take them for plain, and asks the table."""

    __slots__ = ()


BYTES = {"type": "websocket.send", "bytes": Blob(b"hello")}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 4000}
START = {"type": "websocket.http.response.start", "status": 401}
PART = {"type": "websocket.http.response.body", "body": b"n", "more_body": True}
LAST = {"type": "websocket.http.response.body", "body": b"o"}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
each_path = pytest.mark.parametrize("message", [TEXT, BYTES], ids=["fast", "table"])


async def in_flight(bench: Bench, *events: Any) -> list[BaseException | None]:
    """Send events one after the other, each while the server still handles those before."""
    gate = bench.server.hold = anyio.Event()
    outcomes: list[BaseException | None] = [None] * len(events)

    async def send(index: int) -> None:
        try:
            await bench.send(events[index])
        except Exception as error:  # noqa: BLE001 - given to the test
            outcomes[index] = error

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for index in range(len(events)):
                tasks.start_soon(send, index)
                await anyio.wait_all_tasks_blocked()
            bench.server.hold = None
            gate.set()
    return outcomes


@each_path
@either_way
async def test_a_send_while_the_close_is_in_flight_is_refused(
    make_bench: Callable[..., Bench], message: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    closed, refused, again = await in_flight(bench, CLOSE, message, CLOSE)
    assert closed is None
    assert isinstance(refused, ProtocolError)
    assert isinstance(again, ProtocolError)
    assert refused.state == "connected, closed"
    assert bench.server.taken == [CLOSE]


@either_way
async def test_two_answers_at_once_are_one_too_many(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    first, second, third = await in_flight(bench, ACCEPT, START, ACCEPT)
    assert first is None
    assert isinstance(second, ProtocolError)
    assert isinstance(third, ProtocolError)
    assert bench.server.taken == [ACCEPT]


@pytest.mark.parametrize(
    ("sent", "event", "then"),
    [
        ("unanswered", ACCEPT, "accepted"),
        ("unanswered", CLOSE, "rejected"),
        ("unanswered", START, "denying"),
        ("accepted", TEXT, "accepted"),
        ("accepted", BYTES, "accepted"),
        ("accepted", CLOSE, "closed"),
        ("denying", PART, "denying"),
        ("denying", LAST, "rejected"),
    ],
)
@either_way
async def test_the_state_moves_back_where_the_server_refuses(
    make_bench: Callable[..., Bench], sent: str, event: Any, then: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", sent)
    status = bench.connection.handshake_status
    fault = bench.server.fault = ValueError("cannot encode")
    with pytest.raises(ValueError, match="cannot encode") as caught:
        await bench.send(event)
    assert caught.value is fault
    assert bench.wire.sent == sent
    assert bench.connection.close_code is None
    assert bench.connection.closed_by is None
    assert bench.connection.handshake_status == status
    bench.server.fault = None
    await bench.send(event)
    assert bench.wire.sent == then


@pytest.mark.parametrize("late", [BYTES, TEXT], ids=["table", "fast"])
async def test_a_late_refusal_does_not_reopen_a_closed_conversation(
    make_bench: Callable[..., Bench], late: Any
) -> None:
    bench = await make_bench(strict=True).open()
    bench.server.refuses = {id(late): RuntimeError("too late")}
    first, second = await in_flight(bench, late, CLOSE)
    assert isinstance(first, RuntimeError)
    assert second is None
    assert bench.wire.sent == "closed"
    assert bench.connection.connection_state == "disconnect"
    assert bench.connection.close_code == 4000


@pytest.mark.parametrize(
    ("sent", "event"),
    [("unanswered", ACCEPT), ("unanswered", CLOSE), ("accepted", CLOSE), ("denying", LAST)],
)
@either_way
async def test_a_cancelled_send_has_not_happened(
    make_bench: Callable[..., Bench], sent: str, event: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", sent)
    status = bench.connection.handshake_status
    bench.server.hold = anyio.Event()
    with anyio.move_on_after(0) as scope:
        await bench.send(event)
    assert scope.cancelled_caught
    assert bench.wire.sent == sent
    assert bench.ending == (None, "", None)
    assert bench.connection.handshake_status == status
    bench.server.hold = None
    await bench.send(event)
    assert bench.server.taken[-1] is event


async def test_messages_wait_for_the_table_until_the_accept_is_taken(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    gate = bench.server.hold = anyio.Event()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bench.send, ACCEPT)
            await anyio.wait_all_tasks_blocked()
            assert not bench.wire.open
            gate.set()
    assert bench.wire.open


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("already closed")], ids=repr)
@either_way
async def test_a_disconnect_that_overtakes_a_failing_close_keeps_its_code(
    make_bench: Callable[..., Bench], fault: Exception, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    gate = bench.server.hold = anyio.Event()
    bench.server.fault = fault

    async def close() -> None:
        with pytest.raises(type(fault)):
            await bench.send(CLOSE)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            bench.server.hold = None
            await bench.hear({"type": "websocket.disconnect", "code": 1001, "reason": "away"})
            gate.set()
    connection = bench.connection
    assert (connection.close_code, connection.close_reason) == (1001, "away")
    assert connection.closed_by == "client"
