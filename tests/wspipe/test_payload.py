"""The content of events: each check of `StateValidation(strict=True)` with good and bad values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe.close_codes import is_sendable_code
from wspipe.exceptions import ProtocolError
from wspipe.payload import CHECKS, MAX_REASON_BYTES, truncate_reason
from wspipe.state_machine import ACCEPTED, CONNECTED, DENYING, UNANSWERED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

RECEIVE = "websocket.receive"
DISCONNECT = "websocket.disconnect"
ACCEPT = "websocket.accept"
SEND = "websocket.send"
CLOSE = "websocket.close"
START = "websocket.http.response.start"
BODY = "websocket.http.response.body"

# RFC 6455 section 7.4.1 and the IANA registry, written out.
SENDABLE = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014}
SENDABLE |= set(range(3000, 5000))

# The state in which the wire would take each event.
WHERE = {
    RECEIVE: (CONNECTED, ACCEPTED),
    DISCONNECT: (CONNECTED, ACCEPTED),
    ACCEPT: (CONNECTED, UNANSWERED),
    SEND: (CONNECTED, ACCEPTED),
    CLOSE: (CONNECTED, ACCEPTED),
    START: (CONNECTED, UNANSWERED),
    BODY: (CONNECTED, DENYING),
}

WELL_FORMED: list[tuple[str, dict[str, Any]]] = [
    *((kind, content) for kind in (RECEIVE, SEND) for content in (
        {"text": "hello"},
        {"text": ""},
        {"text": "h\u00e9llo \U0001f600\0", "bytes": None},
        {"bytes": b"\xff\x00"},
        {"bytes": b"", "text": None},
    )),
    (DISCONNECT, {}),
    (DISCONNECT, {"code": 1000}),
    (DISCONNECT, {"code": 1006, "reason": None}),
    (DISCONNECT, {"code": None, "reason": ""}),
    (DISCONNECT, {"code": 4999, "reason": "x" * 500}),
    (ACCEPT, {}),
    (ACCEPT, {"subprotocol": None, "headers": []}),
    (ACCEPT, {"subprotocol": "v10.STOMP+x"}),
    (ACCEPT, {"subprotocol": "chat", "headers": ((b"x-a", b"1"), [b"x-a", b"2"])}),
    (ACCEPT, {"headers": [(b"!#$%&'*+-.^_`|~09az", b"any \xff\tvalue"), (b"e", b"")]}),
    (CLOSE, {}),
    (CLOSE, {"code": 1000, "reason": None}),
    (CLOSE, {"code": 4999, "reason": ""}),
    (CLOSE, {"reason": "x" * 123}),
    (CLOSE, {"reason": "\u00e9" * 61}),
    (START, {"status": 200}),
    (START, {"status": 599, "headers": [(b"content-type", b"text/plain")]}),
    (BODY, {}),
    (BODY, {"body": b"no", "more_body": False}),
    (BODY, {"body": b"", "more_body": True}),
]  # fmt: skip

ONE_OF = "exactly one of 'text' and 'bytes' must be given"
CODES = (
    "is not a close code that may be sent: 1000 to 1014 without 1004, 1005, 1006, "
    "or 3000 to 4999 (RFC 6455 section 7.4)"
)
PAIR = "must be a pair of bytes, not"
TOKEN = "must be a lower-case HTTP token"  # noqa: S105 - the word of RFC 9110 for a header name
LIST = "'headers' must be a list of pairs of bytes, not"
STATUS = "'status' must be a final HTTP status, 200 to 599, not"

MALFORMED: list[tuple[str, dict[str, Any], str]] = [
    *((kind, content, fault) for kind in (RECEIVE, SEND) for content, fault in (
        ({}, f"{ONE_OF}, not neither"),
        ({"text": None, "bytes": None}, f"{ONE_OF}, not neither"),
        ({"text": "a", "bytes": b"a"}, f"{ONE_OF}, not both"),
        ({"text": "", "bytes": b""}, f"{ONE_OF}, not both"),
        ({"text": b"a"}, "'text' must be str, not bytes"),
        ({"text": 5}, "'text' must be str, not int"),
        ({"bytes": "a"}, "'bytes' must be bytes, not str"),
        ({"bytes": bytearray(b"a")}, "'bytes' must be bytes, not bytearray"),
        ({"bytes": memoryview(b"a")}, "'bytes' must be bytes, not memoryview"),
        ({"text": "ab\ud800"}, "'text' cannot be encoded as UTF-8: a lone surrogate at position 2"),
    )),
    (DISCONNECT, {"code": "1000"}, "'code' must be int, not str"),
    (DISCONNECT, {"code": True}, "'code' must be int, not bool"),
    (DISCONNECT, {"code": 1000.0}, "'code' must be int, not float"),
    (DISCONNECT, {"code": [1000]}, "'code' must be int, not list"),
    (DISCONNECT, {"code": 1000, "reason": b"bye"}, "'reason' must be str or None, not bytes"),
    (ACCEPT, {"subprotocol": b"chat"}, "'subprotocol' must be str or None, not bytes"),
    (ACCEPT, {"subprotocol": ["chat"]}, "'subprotocol' must be str or None, not list"),
    (ACCEPT, {"subprotocol": ""}, "'subprotocol' '' is not an HTTP token (RFC 6455 section 4.1)"),
    (ACCEPT, {"subprotocol": "a, b"}, "'subprotocol' 'a, b' is not an HTTP token"),
    (ACCEPT, {"subprotocol": "a\r\nx: b"}, "'subprotocol' 'a\\r\\nx: b' is not an HTTP token"),
    (ACCEPT, {"subprotocol": "chat\n"}, "'subprotocol' 'chat\\n' is not an HTTP token"),
    (
        ACCEPT,
        {"headers": [(b"sec-websocket-protocol", b"chat")]},
        "header 0: sec-websocket-protocol is set by the 'subprotocol' key, not by a header",
    ),
    (CLOSE, {"code": "1000"}, f"'1000' {CODES}"),
    (CLOSE, {"code": None}, f"None {CODES}"),
    (CLOSE, {"code": True}, f"True {CODES}"),
    (CLOSE, {"code": 1000.0}, f"1000.0 {CODES}"),
    (CLOSE, {"code": 1006}, f"1006 {CODES}"),
    (CLOSE, {"reason": b"bye"}, "'reason' must be str or None, not bytes"),
    (CLOSE, {"reason": "\udfff"}, "'reason' cannot be encoded as UTF-8: a lone surrogate at"),
    (CLOSE, {"reason": "x" * 124}, "'reason' has 124 bytes in UTF-8, at most 123 fit in the frame"),
    (CLOSE, {"reason": "\u00e9" * 62}, "'reason' has 124 bytes in UTF-8, at most 123 fit"),
    (START, {}, f"{STATUS} None"),
    (START, {"status": 199}, f"{STATUS} 199"),
    (START, {"status": 600}, f"{STATUS} 600"),
    (START, {"status": "403"}, f"{STATUS} '403'"),
    (START, {"status": True}, f"{STATUS} True"),
    *((kind, {"status": 403, "headers": headers}, fault) for kind in (ACCEPT, START) for
        headers, fault in (
        (None, f"{LIST} NoneType"),
        (iter([]), f"{LIST} list_iterator"),
        ({b"x-a": b"1"}, f"header 0: {PAIR} b'x-a'"),
        ([(b"x-a", b"1"), (b"x-b",)], f"header 1: {PAIR} (b'x-b',)"),
        ([("x-a", "1")], f"header 0: {PAIR} ('x-a', '1')"),
        ([(b"x-a", "1")], f"header 0: {PAIR} (b'x-a', '1')"),
        ([(b"x-a", b"1", b"2")], f"header 0: {PAIR} (b'x-a', b'1', b'2')"),
        ([b"ab"], f"header 0: {PAIR} b'ab'"),
        ([(b"X-A", b"1")], f"header 0: name b'X-A' {TOKEN}"),
        ([(b"", b"1")], f"header 0: name b'' {TOKEN}"),
        ([(b"x a", b"1")], f"header 0: name b'x a' {TOKEN}"),
        ([(b"x-a\n", b"1")], f"header 0: name b'x-a\\n' {TOKEN}"),
        ([(b":status", b"1")], f"header 0: name b':status' {TOKEN}"),
        ([(b"x-a", b"1\r\nx-b: 2")], "header 0: value of x-a holds CR, LF or NUL"),
        ([(b"x-a", b"1\n")], "header 0: value of x-a holds CR, LF or NUL"),
        ([(b"x-a", b"\0")], "header 0: value of x-a holds CR, LF or NUL"),
    )),
    (BODY, {"body": "no"}, "'body' must be bytes, not str"),
    (BODY, {"body": None}, "'body' must be bytes, not NoneType"),
    (BODY, {"more_body": 1}, "'more_body' must be bool, not int"),
    (BODY, {"more_body": None}, "'more_body' must be bool, not NoneType"),
]  # fmt: skip

each_well_formed = pytest.mark.parametrize(("kind", "content"), WELL_FORMED)
each_malformed = pytest.mark.parametrize(("kind", "content", "fault"), MALFORMED)


@each_well_formed
def test_what_is_well_formed_has_no_fault(kind: str, content: dict[str, Any]) -> None:
    assert CHECKS[kind]({"type": kind, **content}) is None


@each_malformed
def test_a_fault_says_what_is_wrong_and_what_would_be_right(
    kind: str, content: dict[str, Any], fault: str
) -> None:
    found = CHECKS[kind]({"type": kind, **content})
    assert found is not None
    assert found.startswith(fault)


def test_every_event_that_carries_anything_has_its_check() -> None:
    assert set(CHECKS) == set(WHERE)
    assert {kind for kind, _ in WELL_FORMED} == {kind for kind, *_ in MALFORMED} == set(WHERE)


async def pass_on(bench: Bench, event: dict[str, Any]) -> list[Any]:
    """Let the event through the wire, from the side that sends such events; give what came out."""
    before = len(bench.server.offered)
    if event["type"] in {RECEIVE, DISCONNECT}:
        return [await bench.hear(event)]
    await bench.send(event)
    return bench.server.offered[before:]


@pytest.mark.anyio
@each_malformed
async def test_strict_refuses_it_before_it_gets_anywhere(
    make_bench: Callable[..., Bench], kind: str, content: dict[str, Any], fault: str
) -> None:
    bench = await make_bench(strict=True).reach(*WHERE[kind])
    offered = list(bench.server.offered)
    sender = "server" if kind in {RECEIVE, DISCONNECT} else "application"
    story = re.escape(f"the {sender} sent a malformed {kind!r}: {fault}")
    with pytest.raises(ProtocolError, match=f"^{story}") as caught:
        await pass_on(bench, {"type": kind, **content})
    assert caught.value.event == kind
    assert kind in caught.value.legal
    assert bench.server.offered == offered
    assert (bench.wire.received, bench.wire.sent) == WHERE[kind]
    assert bench.connection.close_code is None


@pytest.mark.anyio
@each_malformed
async def test_lenient_lets_it_pass_as_it_is(
    make_bench: Callable[..., Bench],
    kind: str,
    content: dict[str, Any],
    fault: str,  # noqa: ARG001 - of the parametrization
) -> None:
    bench = await make_bench(strict=False).reach(*WHERE[kind])
    event = {"type": kind, **content}
    copy = dict(event)
    (passed,) = await pass_on(bench, event)
    assert passed is event
    assert event == copy


@pytest.mark.anyio
@each_well_formed
async def test_strict_lets_what_is_well_formed_pass_as_it_is(
    make_bench: Callable[..., Bench], kind: str, content: dict[str, Any]
) -> None:
    bench = await make_bench(strict=True).reach(*WHERE[kind])
    event = {"type": kind, **content}
    (passed,) = await pass_on(bench, event)
    assert passed is event


def test_the_close_codes_are_those_of_the_rfc() -> None:
    candidates = range(5101)
    assert {code for code in candidates if is_sendable_code(code)} == SENDABLE
    assert {code for code in candidates if CHECKS[CLOSE]({"code": code}) is None} == SENDABLE


@pytest.mark.parametrize("code", [-1, -1000, 2**31, True, "1000", 1000.0, None, b"1000", [1000]])
def test_what_is_no_close_code_is_not_sendable(code: object) -> None:
    assert not is_sendable_code(code)


property_of_reasons = settings(derandomize=True, database=None, deadline=None, max_examples=300)
reasons = st.text(max_size=150) | st.text("a\u00e9\u20ac\U0001f600", max_size=150)


@property_of_reasons
@given(reasons)
def test_a_cut_reason_fits_and_nothing_more_would(reason: str) -> None:
    cut = truncate_reason(reason)
    assert reason.startswith(cut)
    assert len(cut.encode()) <= MAX_REASON_BYTES
    if cut != reason:
        one_more = reason[: len(cut) + 1]
        assert len(one_more.encode()) > MAX_REASON_BYTES


@property_of_reasons
@given(st.text(st.characters(exclude_categories=()), max_size=150))
def test_a_cut_reason_can_always_be_sent(reason: str) -> None:
    assert CHECKS[CLOSE]({"code": 1000, "reason": truncate_reason(reason)}) is None


@pytest.mark.parametrize(
    ("reason", "cut"),
    [
        ("", ""),
        ("x" * 123, "x" * 123),
        ("x" * 124, "x" * 123),
        ("\u00e9" * 62, "\u00e9" * 61),
        ("x" + "\U0001f600" * 31, "x" + "\U0001f600" * 30),
        ("bad \ud800", "bad ?"),
    ],
)
def test_a_reason_is_cut_at_a_character(reason: str, cut: str) -> None:
    assert truncate_reason(reason) == cut
