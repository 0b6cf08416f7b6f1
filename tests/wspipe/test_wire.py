"""The wire stage while the conversation goes on: what it counts, how it moves, what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe.closing import close
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
START = {"type": "websocket.http.response.start", "status": 401}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
each_path = pytest.mark.parametrize("message", [TEXT, BYTES], ids=["fast", "table"])


def traffic_of(bench: Bench) -> tuple[int, int, int, int]:
    traffic = bench.connection.traffic
    return (
        traffic.messages_received,
        traffic.bytes_received,
        traffic.messages_sent,
        traffic.bytes_sent,
    )


@either_way
async def test_messages_count_with_their_bytes_and_nothing_else_does(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    assert traffic_of(bench) == (0, 0, 0, 0)
    await bench.hear({"type": "websocket.receive", "text": "\u20acuro"})
    assert traffic_of(bench) == (1, 6, 0, 0)
    await bench.hear({"type": "websocket.receive", "bytes": b"\x00\x01"})
    assert traffic_of(bench) == (2, 8, 0, 0)
    await bench.send({"type": "websocket.send", "text": "\U0001f600", "bytes": None})
    assert traffic_of(bench) == (2, 8, 1, 4)
    await bench.send({"type": "websocket.send", "bytes": b"\x00"})
    assert traffic_of(bench) == (2, 8, 2, 5)
    await bench.send({"type": "websocket.close", "reason": "not a message"})
    await bench.hear({"type": "websocket.receive", "text": "late"})
    assert traffic_of(bench) == (3, 12, 2, 5)
    await bench.hear({"type": "websocket.disconnect", "code": 1000})
    assert traffic_of(bench) == (3, 12, 2, 5)


@each_path
@pytest.mark.parametrize("fault", [OSError("gone"), RuntimeError("no")], ids=repr)
@either_way
async def test_what_the_server_did_not_take_does_not_count(
    make_bench: Callable[..., Bench], message: Any, fault: Exception, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    bench.server.fault = fault
    with pytest.raises((OSError, RuntimeError)):
        await bench.send(message)
    assert traffic_of(bench) == (0, 0, 0, 0)


@each_path
async def test_what_is_refused_does_not_count(
    make_bench: Callable[..., Bench], message: Any
) -> None:
    bench = await make_bench().reach("connected", "closed")
    with pytest.raises(ProtocolError):
        await bench.send(message)
    assert traffic_of(bench) == (0, 0, 0, 0)


async def test_a_lone_surrogate_is_refused_by_strict_both_ways(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench(strict=True).open()
    with pytest.raises(ProtocolError, match=r"the application .* a lone surrogate at position 1"):
        await bench.send({"type": "websocket.send", "text": "a\udc00"})
    with pytest.raises(ProtocolError, match=r"the server .* a lone surrogate at position 0"):
        await bench.hear({"type": "websocket.receive", "text": "\ud800"})
    assert bench.server.offered == []
    assert traffic_of(bench) == (0, 0, 0, 0)


async def test_a_lone_surrogate_passes_lenient_and_counts_three(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    await bench.send({"type": "websocket.send", "text": "a\udc00"})
    await bench.hear({"type": "websocket.receive", "text": "\ud800"})
    assert traffic_of(bench) == (1, 3, 1, 4)


contents = st.fixed_dictionaries(
    {},
    optional={
        "text": st.none() | st.text(st.characters(exclude_categories=())),
        "bytes": st.none() | st.binary(),
    },
)
property_of_messages = settings(derandomize=True, database=None, deadline=None, max_examples=200)


@property_of_messages
@given(content=contents, strict=st.booleans())
def test_the_fast_path_receives_as_the_table_does(
    make_bench: Callable[..., Bench], content: dict[str, Any], *, strict: bool
) -> None:
    event = {"type": "websocket.receive", **content}
    fast, slow = make_bench(strict=strict), make_bench(strict=strict)
    for bench in (fast, slow):
        bench.now(bench.open())
    slow.wire.open = False  # so that the table is asked
    results: list[Any] = []
    for bench in (fast, slow):
        bench.server.inbox.append(event)
        try:
            results.append(bench.now(bench.receive()))
        except ProtocolError as error:
            results.append(str(error))
    assert results[0] == results[1]
    assert results[0] is event or isinstance(results[0], str)
    assert fast.connection.traffic == slow.connection.traffic


@property_of_messages
@given(
    content=contents,
    strict=st.booleans(),
    fault=st.sampled_from([None, None, OSError("gone"), RuntimeError("no")]),
)
def test_the_fast_path_sends_as_the_table_does(
    make_bench: Callable[..., Bench],
    content: dict[str, Any],
    fault: Exception | None,
    *,
    strict: bool,
) -> None:
    event = {"type": "websocket.send", **content}
    results: list[Any] = []
    for fast in (True, False):
        bench = make_bench(strict=strict)
        bench.now(bench.open())
        bench.wire.open = fast
        bench.server.fault = fault
        outcome: tuple[Any, ...] = ()
        try:
            bench.now(bench.send(event))
        except Exception as error:  # noqa: BLE001 - what it is, is compared
            outcome = (type(error), str(error), error.__cause__)
        connection = bench.connection
        results.append(
            (
                outcome,
                bench.server.offered,
                connection.traffic,
                connection.close_code,
                connection.connection_state,
            )
        )
    assert results[0] == results[1]


async def test_the_state_is_told_in_four_words(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    states = [bench.connection.connection_state]
    await bench.hear({"type": "websocket.connect"})
    states.append(bench.connection.connection_state)
    await bench.send(ACCEPT)
    states.append(bench.connection.connection_state)
    await bench.send(TEXT)
    states.append(bench.connection.connection_state)
    await bench.hear({"type": "websocket.receive", "text": ""})
    states.append(bench.connection.connection_state)
    await bench.hear({"type": "websocket.disconnect"})
    states.append(bench.connection.connection_state)
    assert states == ["init", "connect", "connect", "connect", "receive", "disconnect"]


@pytest.mark.parametrize("received", ["waiting for connect", "connected", "disconnected"])
@pytest.mark.parametrize("sent", ["unanswered", "accepted", "closed", "denying", "rejected"])
async def test_it_is_open_while_messages_may_flow_both_ways(
    make_bench: Callable[..., Bench], received: str, sent: str
) -> None:
    bench = await make_bench().reach(received, sent)
    assert bench.wire.open == ((received, sent) == ("connected", "accepted"))
    await close(bench.wire, 1000, "", "guard")
    assert not bench.wire.open


@either_way
async def test_the_applications_close_is_how_it_ended(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    for content, code, reason in [
        ({}, 1000, ""),
        ({"code": 4000, "reason": None}, 4000, ""),
        ({"code": 4000, "reason": "enough"}, 4000, "enough"),
    ]:
        bench = await make_bench(strict=strict).open()
        await bench.send({"type": "websocket.close", **content})
        assert bench.ending == (code, reason, "application")
        await bench.hear({"type": "websocket.disconnect", "code": 1005, "reason": "echo"})
        assert bench.ending == (code, reason, "application")


async def test_accepting_before_the_connect_event_is_a_beginning(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench()
    await bench.send(ACCEPT)
    assert bench.connection.connection_state == "connect"
    await bench.send(TEXT)
    await bench.hear({"type": "websocket.connect"})
    await bench.hear({"type": "websocket.receive", "text": "hello"})
    assert bench.connection.connection_state == "receive"


# Events of extensions.


@pytest.mark.parametrize("state", ["unanswered", "accepted", "closed", "denying", "rejected"])
@either_way
async def test_events_of_an_extension_pass_uncounted_and_change_nothing(
    make_bench: Callable[..., Bench], state: str, *, strict: bool
) -> None:
    extensions = ["websocket.http.response", "tls"]
    bench = await make_bench(strict=strict, extensions=extensions).reach("connected", state)
    event = {"type": "tls.renew"}
    await bench.send(event)
    assert bench.server.taken[-1] is event
    assert await bench.hear(event) is event
    assert bench.wire.sent == state
    assert traffic_of(bench) == (0, 0, 0, 0)


async def test_a_scope_may_say_that_it_has_no_extensions(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    bench.connection.scope["extensions"] = None
    await bench.reach("connected", "unanswered")
    with pytest.raises(ProtocolError) as caught:
        await bench.send(START)
    assert caught.value.legal == ("websocket.accept", "websocket.close")
