"""How a conversation ended: what is recorded, and what gives way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from autobahn.exception import Disconnected

from wspipe.closing import plan_end
from wspipe.ending import Ending, disconnect_code, who_closed
from wspipe.exceptions import ClientDisconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

# RFC 6455 section 7.4.1 and the IANA registry: who sends a close frame with this code.
CLIENT = {1000, 1001, 1005, 1010} | set(range(3000, 5000))
SERVER = {1012, 1013, 1014}


def test_the_close_code_tells_who_closed_where_only_one_side_may_send_it() -> None:
    everything = range(-1, 5101)
    assert {code for code in everything if who_closed(code) == "client"} == CLIENT
    assert {code for code in everything if who_closed(code) == "server"} == SERVER
    others = set(everything) - CLIENT - SERVER
    assert {who_closed(code) for code in others} == {"unknown"}


@pytest.mark.parametrize("code", [None, "1000", [1000], {}, object()])
def test_what_is_no_code_tells_nothing(code: object) -> None:
    assert who_closed(code) == "unknown"


@pytest.mark.parametrize(
    ("event", "code"),
    [({}, 1005), ({"code": None}, 1005), ({"code": 1000}, 1000), ({"code": 0}, 0)],
)
def test_a_disconnect_without_a_code_has_1005(event: dict[str, Any], code: int) -> None:
    assert disconnect_code(event) == code


def test_it_has_not_ended_at_first() -> None:
    assert (Ending().code, Ending().reason, Ending().by) == (None, "", None)


def test_the_first_final_end_stays() -> None:
    ending = Ending()
    ending.record(1000, "first", "client")
    ending.record(1001, "second", "server")
    ending.record(1006, "third", "unknown", final=False)
    assert (ending.code, ending.reason, ending.by) == (1000, "first", "client")


def test_an_end_is_told_in_a_number_and_in_text_whatever_the_event_held() -> None:
    ending = Ending()
    ending.record("1008", [{"loc": ["n"]}], "application")
    assert (ending.code, ending.reason) == (None, "[{'loc': ['n']}]")


def test_a_provisional_end_gives_way() -> None:
    ending = Ending()
    ending.record(1006, "", "unknown", final=False)
    assert (ending.code, ending.by) == (1006, "unknown")
    ending.record(1011, "", "application", final=False)
    assert (ending.code, ending.by) == (1011, "application")
    ending.record(1001, "away", "client")
    assert (ending.code, ending.reason, ending.by) == (1001, "away", "client")


def test_an_end_can_be_taken_back() -> None:
    ending = Ending()
    ending.record(1000, "bye", "application")
    ending.withdraw()
    assert ending == Ending()
    ending.record(1001, "", "client")
    assert ending.code == 1001


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("code", "by"),
    [
        (1000, "client"),
        (1001, "client"),
        (1005, "client"),
        (1010, "client"),
        (3000, "client"),
        (4999, "client"),
        (1012, "server"),
        (1013, "server"),
        (1014, "server"),
        (1002, "unknown"),
        (1003, "unknown"),
        (1006, "unknown"),
        (1007, "unknown"),
        (1008, "unknown"),
        (1009, "unknown"),
        (1011, "unknown"),
        (1015, "unknown"),
        (2999, "unknown"),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
async def test_the_disconnect_event_tells_how_it_ended(
    make_bench: Callable[..., Bench], code: int, by: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.hear({"type": "websocket.disconnect", "code": code, "reason": "so"})
    assert bench.ending == (code, "so", by)


@pytest.mark.anyio
@pytest.mark.parametrize("strict", [False, True])
async def test_a_planned_end_is_read_until_a_real_one_comes(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    plan_end(bench.wire, 1011, "application")
    assert (bench.connection.close_code, bench.connection.closed_by) == (1011, "application")
    assert bench.connection.connection_state == "connect"
    await bench.send({"type": "websocket.close", "code": 4000, "reason": "really"})
    assert (bench.connection.close_code, bench.connection.close_reason) == (4000, "really")


@pytest.mark.anyio
@pytest.mark.parametrize("strict", [False, True])
async def test_a_planned_denial_tells_its_status(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", "unanswered")
    plan_end(bench.wire, None, "application", status=500)
    connection = bench.connection
    assert (connection.close_code, connection.closed_by) == (None, "application")
    assert connection.handshake_status == 500


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("received", "sent", "code", "by"),
    [
        ("connected", "closed", 4000, "application"),
        ("connected", "rejected", 4000, "application"),
        ("disconnected", "accepted", 1001, "client"),
        ("disconnected", "unanswered", 1001, "client"),
    ],
)
async def test_a_plan_changes_nothing_once_it_is_over(
    make_bench: Callable[..., Bench], received: str, sent: str, code: int, by: str
) -> None:
    bench = await make_bench().reach(received, sent)
    status = bench.connection.handshake_status
    plan_end(bench.wire, 1011, "server", status=500)
    assert (bench.connection.close_code, bench.connection.closed_by) == (code, by)
    assert bench.connection.handshake_status == status


@pytest.mark.anyio
async def test_a_plan_does_not_hide_that_the_client_was_lost(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    bench.server.fault = ConnectionResetError("gone")
    with pytest.raises(ConnectionResetError):
        await bench.send({"type": "websocket.send", "text": "hello"})
    plan_end(bench.wire, 1011, "application", status=500)
    assert (bench.connection.close_code, bench.connection.closed_by) == (1006, "unknown")
    assert bench.connection.connection_state == "disconnect"
    assert bench.connection.handshake_status == 101


@pytest.mark.anyio
async def test_autobahns_error_says_that_the_client_is_gone(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench(strict=True).open()
    bench.server.fault = Disconnected("connection lost")
    with pytest.raises(ClientDisconnected, match="the client is gone: connection lost"):
        await bench.send({"type": "websocket.send", "text": "hello"})
    with pytest.raises(ClientDisconnected):
        await bench.send({"type": "websocket.close"})
    assert bench.ending == (1006, "", "unknown")
    assert bench.connection.ending.is_reported_by(bench.server.fault)
