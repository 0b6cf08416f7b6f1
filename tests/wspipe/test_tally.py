"""What passed over a connection: how messages are counted."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe.tally import Traffic, message_size, utf8_size


@pytest.mark.parametrize(
    ("event", "size"),
    [
        ({"text": ""}, 0),
        ({"text": "hello"}, 5),
        ({"text": "h\u00e9llo", "bytes": None}, 6),
        ({"text": "\u20ac"}, 3),
        ({"text": "\U0001f600"}, 4),
        ({"text": "\ud800"}, 3),
        ({"bytes": b""}, 0),
        ({"bytes": b"\xff\x00", "text": None}, 2),
        ({"bytes": bytearray(b"abc")}, 3),
        ({"bytes": memoryview(b"abcd")}, 4),
        ({"bytes": memoryview(b"abcdefgh").cast("I")}, 8),
        ({"bytes": "text in the wrong place"}, 23),
        ({"bytes": b"both", "text": "given"}, 4),
        ({}, 0),
        ({"text": None, "bytes": None}, 0),
        ({"text": 5}, 0),
    ],
)
def test_a_message_counts_its_bytes_on_the_wire(event: dict[str, Any], size: int) -> None:
    assert message_size({"type": "websocket.send", **event}) == size


@settings(derandomize=True, database=None, deadline=None)
@given(st.text())
def test_text_counts_in_bytes_of_utf8(text: str) -> None:
    assert utf8_size(text) == len(text.encode())


@settings(derandomize=True, database=None, deadline=None)
@given(st.text(st.characters(categories=["Cs"])))
def test_a_lone_surrogate_counts_three(text: str) -> None:
    assert utf8_size(text) == 3 * len(text)


def test_nothing_has_passed_at_first() -> None:
    assert asdict(Traffic()) == dict.fromkeys(asdict(Traffic()), 0)


def test_the_whole_is_text_and_binary_together() -> None:
    traffic = Traffic(*(10**power for power in range(8)))
    assert traffic.messages_received == traffic.text_received + traffic.binary_received == 101
    assert traffic.messages_sent == traffic.text_sent + traffic.binary_sent == 1010
    received = traffic.text_bytes_received + traffic.binary_bytes_received
    assert traffic.bytes_received == received == 1010000
    assert traffic.bytes_sent == traffic.text_bytes_sent + traffic.binary_bytes_sent == 10100000
