"""The wire stage where two would answer at once: one after the other, each judged in its turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import anyio
import pytest

from wspipe import WebSocket
from wspipe.closing import close
from wspipe.exceptions import ClientDisconnected, ProtocolError, SentAfterClose, WebSocketDisconnect
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.wspipe.conftest import Bench, Server

pytestmark = pytest.mark.anyio

GUARD = object()
TEXT = {"type": "websocket.send", "text": "hello"}
BYTES = {"type": "websocket.send", "bytes": b"hello"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 4000}
START = {"type": "websocket.http.response.start", "status": 401}
LAST = {"type": "websocket.http.response.body", "body": b"o"}
GUARDS = {"type": "websocket.close", "code": 1008, "reason": "policy"}
OUT = {"type": "websocket.disconnect", "code": 1008, "reason": "policy"}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


class Held:
    """Keeps the server from taking what it is sent, until the block is left."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.outcomes: dict[str, BaseException | None] = {}
        self.first = anyio.CancelScope()

    async def begin(self, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        """Start a call and wait until it waits; the one named "first" may be cancelled."""

        async def run() -> None:
            with self.first if name == "first" else anyio.CancelScope():
                try:
                    await call()
                except Exception as error:  # noqa: BLE001 - given to the test
                    self.outcomes[name] = error
                else:
                    self.outcomes[name] = None

        self.tasks.start_soon(run)
        await anyio.wait_all_tasks_blocked()

    async def __aenter__(self) -> Self:
        self.guard = anyio.fail_after(5)
        self.guard.__enter__()
        self.gate = self.server.hold = anyio.Event()
        self.tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(self, *details: object) -> None:
        self.server.hold = None
        self.gate.set()
        await self.tasks.__aexit__(*details)
        self.guard.__exit__(None, None, None)


def evict(bench: Bench) -> Callable[[], Awaitable[None]]:
    return lambda: bench.connection.close(1008, "policy", by=GUARD)


# A middleware closes while the application's own close is on its way.


@either_way
async def test_the_close_that_came_first_is_the_only_one(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(CLOSE))
        await held.begin("guard", evict(bench))
        assert "guard" not in held.outcomes
    assert held.outcomes == {"first": None, "guard": None}
    assert bench.server.offered == [CLOSE]
    assert bench.ending == (4000, "", "application")
    late = {"type": "websocket.receive", "text": "late"}
    assert await bench.hear(late) is late
    with pytest.raises(SentAfterClose):
        await bench.send(TEXT)


@pytest.mark.parametrize("sent", ["unanswered", "accepted", "denying"])
@either_way
async def test_where_the_first_is_cancelled_the_middlewares_goes_out(
    make_bench: Callable[..., Bench], sent: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", sent)
    bench.server.taken.clear()
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(LAST if sent == "denying" else CLOSE))
        await held.begin("guard", evict(bench))
        held.first.cancel()
        await anyio.wait_all_tasks_blocked()
        assert bench.ending == (1008, "policy", GUARD)
    assert held.outcomes == {"guard": None}
    last = {**LAST, "body": b"", "more_body": False}
    assert bench.server.taken == [last if sent == "denying" else GUARDS]
    assert bench.ending == (1008, "policy", GUARD)
    assert bench.wire.sent == ("closed" if sent == "accepted" else "rejected")


@either_way
async def test_where_the_first_is_refused_the_middlewares_goes_out(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    refusal = bench.server.refuses[id(CLOSE)] = RuntimeError("not now")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(CLOSE))
        await held.begin("guard", evict(bench))
    assert bench.server.taken == [GUARDS]
    assert bench.ending == (1008, "policy", GUARD)
    assert held.outcomes == {"first": refusal, "guard": None}


async def test_a_middleware_that_does_not_wait_for_it_has_closed_all_the_same(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(CLOSE))
        with anyio.move_on_after(0):
            await bench.connection.close(1008, "policy", by=GUARD)
        assert bench.ending == (4000, "", "application")
        held.first.cancel()
    assert bench.server.taken == []
    assert bench.ending == (1008, "policy", GUARD)
    assert await bench.receive() == OUT
    await close(bench.wire, 1011, "", "the runner")
    assert bench.server.taken == [GUARDS]
    assert bench.ending == (1008, "policy", GUARD)


async def test_a_client_that_leaves_after_a_close_that_was_given_up_did_not_end_it(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    bench.server.inbox.append({"type": "websocket.disconnect", "code": 1001, "reason": "away"})
    async with Held(bench.server) as held:
        await held.begin("receive", bench.receive)
        with anyio.move_on_after(0):
            await bench.connection.close(1008, "policy", by=GUARD)
    assert held.outcomes == {"receive": None}
    assert bench.ending == (1008, "policy", GUARD)


async def test_a_client_that_leaves_while_a_middleware_closes_did_not_end_it(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    async with Held(bench.server) as held:
        await held.begin("first", evict(bench))
        bench.wire.take({"type": "websocket.disconnect", "code": 1001, "reason": "away"})
        held.first.cancel()
        await anyio.wait_all_tasks_blocked()
    assert bench.server.taken == []
    assert bench.ending == (1008, "policy", GUARD)


@pytest.mark.parametrize("fault", [None, OSError("gone"), RuntimeError("no")], ids=repr)
async def test_a_second_middleware_waits_for_what_becomes_of_the_first(
    make_bench: Callable[..., Bench], fault: Exception | None
) -> None:
    bench = await make_bench().open()
    async with Held(bench.server) as held:
        bench.server.fault = fault
        await held.begin("first", lambda: close(bench.wire, 1008, "policy", GUARD))
        await held.begin("second", lambda: close(bench.wire, 4002, "", "second"))
        assert held.outcomes == {}
    refused = isinstance(fault, RuntimeError)
    assert held.outcomes == (
        {"first": fault, "second": fault} if refused else {"first": None, "second": None}
    )
    second = {"type": "websocket.close", "code": 4002, "reason": ""}
    assert bench.server.offered == ([GUARDS, second] if refused else [GUARDS])
    expected = (1008, "policy", GUARD) if fault is None else (1006, "", "unknown")
    assert bench.ending == ((4002, "", "second") if refused else expected)


# A middleware closes while the application's accept is on its way.


@either_way
async def test_the_close_waits_for_the_accept(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(ACCEPT))
        await held.begin("guard", evict(bench))
        assert await bench.receive() == OUT
        assert bench.server.offered == [ACCEPT]
    assert bench.server.taken == [ACCEPT, GUARDS]
    assert bench.wire.sent == "closed"
    assert bench.connection.handshake_status == 101
    assert bench.ending == (1008, "policy", GUARD)


async def test_a_middleware_that_does_not_wait_for_the_accept_has_closed_all_the_same(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(ACCEPT))
        with anyio.move_on_after(0):
            await bench.connection.close(1008, "policy", by=GUARD)
    assert bench.server.taken == [ACCEPT]
    assert bench.ending == (1008, "policy", GUARD)
    assert await bench.receive() == OUT


async def test_two_closes_wait_for_the_accept_and_then_for_each_other(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    accepting, closing = anyio.Event(), anyio.Event()
    async with Held(bench.server) as held:
        bench.server.hold = accepting
        await held.begin("first", lambda: bench.send(ACCEPT))
        await held.begin("guard", evict(bench))
        await held.begin("second", lambda: close(bench.wire, 4002, "", "second"))
        bench.server.hold = closing
        accepting.set()
        await anyio.wait_all_tasks_blocked()
        assert held.outcomes == {"first": None}
        assert bench.server.offered == [ACCEPT, GUARDS]
        closing.set()
    assert bench.server.taken == [ACCEPT, GUARDS]


@pytest.mark.parametrize("answer", [ACCEPT, START], ids=["accept", "denial"])
@pytest.mark.parametrize("how", ["refused", "cancelled"])
@either_way
async def test_where_the_accept_fails_the_close_rejects(
    make_bench: Callable[..., Bench], answer: Any, how: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    if how == "refused":
        bench.server.refuses[id(answer)] = RuntimeError("too late")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(answer))
        await held.begin("guard", evict(bench))
        if how == "cancelled":
            held.first.cancel()
    assert bench.server.taken == [GUARDS]
    assert bench.wire.sent == "rejected"
    assert bench.connection.handshake_status == 403
    assert bench.ending == (1008, "policy", GUARD)


async def test_where_both_fail_nothing_was_answered(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    bench.server.fault = RuntimeError("no")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(ACCEPT))
        await held.begin("guard", lambda: close(bench.wire, 1008, "", GUARD))
    assert held.outcomes == {"first": bench.server.fault, "guard": bench.server.fault}
    assert bench.wire.sent == "unanswered"
    assert bench.connection.handshake_status is None
    assert bench.ending == (1008, "", GUARD)


# Two tasks of the application.


@pytest.mark.parametrize("fails", [False, True])
@either_way
async def test_an_answer_is_judged_again_when_its_turn_comes(
    make_bench: Callable[..., Bench], *, fails: bool, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    if fails:
        bench.server.refuses[id(ACCEPT)] = RuntimeError("not offered")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(ACCEPT))
        await held.begin("second", lambda: bench.send(CLOSE))
        assert bench.server.offered == [ACCEPT]
    assert held.outcomes["second"] is None
    assert bench.server.taken == ([CLOSE] if fails else [ACCEPT, CLOSE])
    assert bench.wire.sent == ("rejected" if fails else "closed")
    assert bench.connection.handshake_status == (403 if fails else 101)


async def test_an_answer_that_no_longer_fits_is_refused(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(START))
        await held.begin("second", lambda: bench.send(LAST))
        held.first.cancel()
    refused = held.outcomes["second"]
    assert isinstance(refused, ProtocolError)
    assert refused.state == "connected, unanswered"
    assert bench.server.taken == []


async def test_an_answer_that_waits_is_out_when_a_middleware_closes(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(ACCEPT))
        await held.begin("second", lambda: bench.send(CLOSE))
        await held.begin("guard", evict(bench))
    assert isinstance(held.outcomes["second"], ClientDisconnected)
    assert bench.server.taken == [ACCEPT, GUARDS]


# A message that is on its way when a middleware closes.


@pytest.mark.parametrize("message", [TEXT, BYTES], ids=["text", "bytes"])
@either_way
async def test_a_message_that_the_close_cuts_off_is_no_fault(
    make_bench: Callable[..., Bench], message: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    refusal = bench.server.refuses[id(message)] = RuntimeError("closed meanwhile")
    async with Held(bench.server) as held:
        await held.begin("first", lambda: bench.send(message))
        await held.begin("guard", evict(bench))
        assert bench.server.offered == [message, GUARDS]
    outcome = held.outcomes["first"]
    assert outcome is not None
    assert outcome.__cause__ is refusal if strict else outcome is refusal
    if strict:
        assert isinstance(outcome, ClientDisconnected)
        assert (outcome.code, outcome.detail) == (1008, "a middleware closed the connection")
    assert bench.connection.ending.is_reported_by(outcome)
    assert not bench.connection.ending.is_reported_by(RuntimeError("a bug"))
    assert bench.ending == (1008, "policy", GUARD)
    assert bench.connection.traffic.messages_sent == 0


# The end of a socket that no runner runs.


async def open_socket(server: Server) -> tuple[WebSocket, list[Any]]:
    socket: WebSocket = WebSocket(websocket_scope(), server.receive, server.send)
    server.inbox.append({"type": "websocket.connect"})
    await socket.accept()
    ends: list[Any] = []
    socket.exit_stack.callback(lambda: ends.append((socket.close_code, socket.closed_by)))
    return socket, ends


@pytest.mark.parametrize("method", ["receive_text", "receive_bytes", "receive_json"])
async def test_a_message_that_comes_after_a_middleware_closed_is_discarded(
    make_bench: Callable[..., Bench], method: str
) -> None:
    server = make_bench().server
    socket, ends = await open_socket(server)
    content = {"bytes": b"1"} if method == "receive_bytes" else {"text": "1"}
    server.inbox.append({"type": "websocket.receive", **content})
    async with Held(server) as held:
        await held.begin("first", getattr(socket, method))
        server.hold = None
        await socket.close(1008, "policy", by=GUARD)
    outcome = held.outcomes["first"]
    assert isinstance(outcome, WebSocketDisconnect)
    assert outcome.code == 1008
    assert socket.traffic.messages_received == 0
    assert ends == [(1008, GUARD)]


@pytest.mark.parametrize("taken", [True, False])
async def test_it_does_not_end_before_the_server_has_the_close(
    make_bench: Callable[..., Bench], *, taken: bool
) -> None:
    server = make_bench().server
    socket, ends = await open_socket(server)
    async with Held(server) as held:
        await held.begin("first", lambda: socket.close(4000))
        with pytest.raises(ProtocolError):
            await socket.send_text("late")
        assert ends == []
        if not taken:
            held.first.cancel()
    assert ends == ([(4000, "application")] if taken else [])
    if not taken:
        await socket.send_text("not late after all")


@pytest.mark.parametrize("fault", [None, OSError("gone"), RuntimeError("no")], ids=repr)
async def test_it_ends_once_it_is_known_what_became_of_a_middlewares_close(
    make_bench: Callable[..., Bench], fault: Exception | None
) -> None:
    server = make_bench().server
    socket, ends = await open_socket(server)
    async with Held(server) as held:
        server.fault = fault
        await held.begin("guard", lambda: socket.close(1000, by="guard"))
        assert (await socket.receive())["type"] == "websocket.disconnect"
        with pytest.raises(ClientDisconnected):
            await socket.send_text("late")
        assert ends == []
    assert ends == [(1006, "unknown") if isinstance(fault, OSError) else (1000, "guard")]


async def test_it_ends_once_both_have_given_up(make_bench: Callable[..., Bench]) -> None:
    server = make_bench().server
    socket, ends = await open_socket(server)
    async with Held(server) as held:
        await held.begin("first", lambda: socket.close(4000))
        with anyio.move_on_after(0):
            await socket.close(1008, by="guard")
        assert ends == []
        held.first.cancel()
        await anyio.wait_all_tasks_blocked()
        assert ends == [(1008, "guard")]
    assert ends == [(1008, "guard")]


@pytest.mark.parametrize("attempt", range(10))
async def test_it_does_not_end_between_the_accept_and_the_close_that_follows(
    make_bench: Callable[..., Bench], attempt: int
) -> None:
    server = make_bench().server
    socket: WebSocket = WebSocket(websocket_scope(), server.receive, server.send)
    ends: list[Any] = []
    socket.exit_stack.callback(lambda: ends.append(len(server.taken)))
    server.inbox.append({"type": "websocket.connect"})
    await socket.receive()

    async def receive_on_and_on() -> None:
        while not ends:
            await socket.receive()

    async with Held(server) as held:
        await held.begin("first", socket.accept)
        await held.begin("guard", lambda: socket.close(1008, by="guard"))
        held.tasks.start_soon(receive_on_and_on)
        for _ in range(attempt):
            await anyio.lowlevel.checkpoint()
        assert ends == []
    assert ends == [2]


async def test_it_ends_where_the_middleware_gives_up(make_bench: Callable[..., Bench]) -> None:
    server = make_bench().server
    socket, ends = await open_socket(server)
    async with Held(server) as held:
        await held.begin("first", lambda: socket.close(1008, by="guard"))
        held.first.cancel()
        await anyio.wait_all_tasks_blocked()
        assert ends == [(1008, "guard")]
