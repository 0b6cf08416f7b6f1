"""The answer to the handshake: who is told of it, and `reject`, which denies for a middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wspipe.closing import reject
from wspipe.exceptions import ConnectionRejected, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio

ACCEPT = {"type": "websocket.accept", "subprotocol": "chat"}
CLOSE = {"type": "websocket.close", "code": 4000}
START = {"type": "websocket.http.response.start", "status": 401, "headers": []}
PART = {"type": "websocket.http.response.body", "body": b"n", "more_body": True}
LAST = {"type": "websocket.http.response.body", "body": b"o"}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


@pytest.mark.parametrize(
    ("events", "status"),
    [([ACCEPT, CLOSE], 101), ([CLOSE], 403), ([START, PART, LAST], 401)],
    ids=["accept", "close", "denial"],
)
@pytest.mark.parametrize("received", ["waiting for connect", "connected"])
@either_way
async def test_each_callback_is_called_once_with_the_answer(
    make_bench: Callable[..., Bench], received: str, events: Any, status: int, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach(received, "unanswered")
    calls: list[Any] = []

    def note(name: str) -> Any:
        return lambda event: calls.append(
            (name, event, bench.connection.handshake_status, list(bench.server.taken))
        )

    bench.connection.on_handshake(note("first"))
    bench.connection.on_handshake(note("second"))
    assert bench.connection.handshake_status is None
    for event in events:
        await bench.send(event)
    answer = events[0]
    assert calls == [("first", answer, status, [answer]), ("second", answer, status, [answer])]
    assert calls[0][1] is answer
    assert bench.connection.handshake_status == status


@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("no")], ids=repr)
@pytest.mark.parametrize("event", [ACCEPT, CLOSE, START])
@either_way
async def test_what_the_server_did_not_take_is_no_answer(
    make_bench: Callable[..., Bench], event: Any, fault: Exception, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    calls: list[Any] = []
    bench.connection.on_handshake(calls.append)
    bench.server.fault = fault
    with pytest.raises((OSError, RuntimeError)):
        await bench.send(event)
    assert calls == []
    assert bench.connection.handshake_status is None


async def test_the_second_try_is_the_answer(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    calls: list[Any] = []
    bench.connection.on_handshake(calls.append)
    bench.server.fault = ValueError("this subprotocol was not offered")
    with pytest.raises(ValueError, match="not offered"):
        await bench.send(ACCEPT)
    bench.server.fault = None
    await bench.send({"type": "websocket.accept"})
    assert calls == [{"type": "websocket.accept"}]
    assert bench.connection.handshake_status == 101


async def test_a_close_after_a_lost_accept_does_not_deny(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    bench.server.fault = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await bench.send(ACCEPT)
    bench.server.fault = None
    await bench.send(CLOSE)
    assert bench.wire.sent == "closed"
    assert bench.connection.handshake_status is None


async def test_an_illegal_answer_is_none(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench(extensions=[]).reach("connected", "unanswered")
    calls: list[Any] = []
    bench.connection.on_handshake(calls.append)
    with pytest.raises(ProtocolError):
        await bench.send(START)
    with pytest.raises(ProtocolError):
        await bench.send({"type": "websocket.send", "text": "early"})
    assert calls == []


async def test_the_event_of_an_extension_is_no_answer(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench(extensions=["tls"]).reach("connected", "unanswered")
    calls: list[Any] = []
    bench.connection.on_handshake(calls.append)
    await bench.send({"type": "tls.renew"})
    assert calls == []
    await bench.send(ACCEPT)
    assert calls == [ACCEPT]


# Rejection.


def rejection(by: Any = None) -> ConnectionRejected:
    error = ConnectionRejected(
        429, headers={"Retry-After": "5"}, body="later", code=1013, reason="full"
    )
    error.by = by
    return error


DENIAL = [
    {
        "type": "websocket.http.response.start",
        "status": 429,
        "headers": [(b"retry-after", b"5")],
    },
    {"type": "websocket.http.response.body", "body": b"later", "more_body": False},
]
PLAIN = [{"type": "websocket.close", "code": 1013, "reason": "full"}]


@pytest.mark.parametrize("received", ["waiting for connect", "connected"])
@pytest.mark.parametrize("denial", [True, False], ids=["denial", "plain"])
@either_way
async def test_a_rejection_denies_as_the_server_can(
    make_bench: Callable[..., Bench], received: str, *, denial: bool, strict: bool
) -> None:
    extensions = ["websocket.http.response"] if denial else []
    bench = await make_bench(strict=strict, extensions=extensions).reach(received, "unanswered")
    if received == "waiting for connect":
        bench.server.inbox.append({"type": "websocket.connect"})
    guard = object()
    await reject(bench.wire, rejection(by=guard))
    assert bench.server.taken == (DENIAL if denial else PLAIN)
    assert not bench.server.inbox
    assert (bench.wire.received, bench.wire.sent) == ("connected", "rejected")
    assert bench.connection.handshake_status == (429 if denial else 403)
    assert bench.connection.close_code == (None if denial else 1013)
    assert bench.connection.closed_by is guard


async def test_a_rejection_by_nobody_is_the_applications(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    await reject(bench.wire, rejection())
    assert bench.connection.closed_by == "application"


@either_way
async def test_a_rejection_by_a_middleware_that_is_false_is_still_its_own(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    guard: list[Any] = []
    await reject(bench.wire, rejection(by=guard))
    assert bench.connection.closed_by is guard


@pytest.mark.parametrize("extensions", [["websocket.http.response"], []])
@either_way
async def test_a_rejection_after_the_accept_closes(
    make_bench: Callable[..., Bench], extensions: list[str], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict, extensions=extensions).open()
    await reject(bench.wire, rejection(by="guard"))
    assert bench.server.taken == PLAIN
    assert (bench.connection.close_code, bench.connection.closed_by) == (1013, "guard")


@either_way
async def test_a_rejection_during_a_denial_ends_it(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "denying")
    await reject(bench.wire, rejection(by="guard"))
    assert bench.server.taken[1:] == [
        {"type": "websocket.http.response.body", "body": b"", "more_body": False}
    ]
    assert bench.connection.handshake_status == 401
    assert bench.connection.closed_by == "guard"


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        ("connected", "closed"),
        ("connected", "rejected"),
        ("disconnected", "unanswered"),
        ("disconnected", "accepted"),
        ("disconnected", "denying"),
    ],
)
@either_way
async def test_a_rejection_of_what_is_over_does_nothing(
    make_bench: Callable[..., Bench], received: str, sent: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach(received, sent)
    before, by = list(bench.server.offered), bench.connection.closed_by
    await reject(bench.wire, rejection(by="guard"))
    assert bench.server.offered == before
    assert bench.connection.closed_by == by


@either_way
async def test_a_rejection_after_a_close_from_the_middle_does_nothing(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    await bench.connection.close(1008, by="guard")
    await reject(bench.wire, rejection(by="other"))
    assert len(bench.server.offered) == 1
    assert (bench.connection.close_code, bench.connection.closed_by) == (1008, "guard")


@pytest.mark.parametrize("extensions", [["websocket.http.response"], []])
@either_way
async def test_a_rejection_of_a_client_that_is_gone_is_no_error(
    make_bench: Callable[..., Bench], extensions: list[str], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict, extensions=extensions).reach("connected", "unanswered")
    bench.server.fault = OSError("gone")
    await reject(bench.wire, rejection(by="guard"))
    assert len(bench.server.offered) == 1
    assert bench.connection.close_code == 1006
    assert bench.connection.handshake_status is None


@either_way
async def test_a_rejection_that_makes_no_sense_is_refused(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    with pytest.raises(ProtocolError, match="'status' must be a final HTTP status"):
        await reject(bench.wire, ConnectionRejected(101))
    assert bench.server.offered == []


@pytest.mark.parametrize("event", [ACCEPT, CLOSE, START])
async def test_a_callback_that_fails_is_logged_and_hinders_nobody(
    make_bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, event: Any
) -> None:
    bench = await make_bench().reach("connected", "unanswered")
    calls: list[Any] = []
    bench.connection.on_handshake(lambda _: calls[5])
    bench.connection.on_handshake(calls.append)
    await bench.send(event)
    assert calls == [event]
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("wspipe", "ERROR")
    assert isinstance(record.exc_info[1], IndexError)
