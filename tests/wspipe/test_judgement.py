"""What `judge` makes of things that are no events, of extension events and of malformed ones."""

from __future__ import annotations

import re
from collections import UserDict
from typing import Any

import pytest

from wspipe.exceptions import ProtocolError, WebSocketDisconnect, WebSocketException
from wspipe.judgement import Situation, judge
from wspipe.state_machine import (
    ACCEPTED,
    CLOSED,
    CONNECTED,
    DENYING,
    DISCONNECTED,
    REJECTED,
    UNANSWERED,
    WAITING,
)

OPEN = Situation(CONNECTED, ACCEPTED, ())
SITUATIONS = [
    (received, sent)
    for received in (WAITING, CONNECTED, DISCONNECTED)
    for sent in (UNANSWERED, ACCEPTED, CLOSED, DENYING, REJECTED)
]
MALFORMED = {"type": "websocket.send", "text": "a", "bytes": b"a"}


@pytest.mark.parametrize(
    "thing",
    [
        None,
        5,
        "websocket.send",
        b"websocket.send",
        [],
        ["websocket.send"],
        {},
        {"text": "no type"},
        {"type": None},
        {"type": b"websocket.send"},
        {"type": ["websocket.send"]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("sender", ["server", "application"])
@pytest.mark.parametrize("strict", [False, True])
def test_what_is_no_event_is_refused(sender: Any, thing: Any, *, strict: bool) -> None:
    with pytest.raises(ProtocolError, match="which is no event: a dict with a 'type'") as caught:
        judge(sender, thing, OPEN, strict=strict)
    assert caught.value.event == repr(thing)
    assert caught.value.sender == sender
    assert repr(thing) in str(caught.value)
    assert caught.value.legal


def test_any_mapping_with_a_type_is_an_event() -> None:
    event = UserDict({"type": "websocket.send", "text": "hello"})
    assert judge("application", event, OPEN, strict=True) == ACCEPTED


@pytest.mark.parametrize("kind", ["tls", "tls.renew", "tls.renew.now"])
@pytest.mark.parametrize(("received", "sent"), SITUATIONS)
@pytest.mark.parametrize("sender", ["server", "application"])
def test_an_event_of_an_offered_extension_passes_everywhere(
    sender: Any, kind: str, received: str, sent: str
) -> None:
    situation = Situation(received, sent, ("other", "tls"))
    assert judge(sender, {"type": kind, "any": object()}, situation, strict=True) is None


@pytest.mark.parametrize("kind", ["tls", "tls.renew", "otherwise", "websocket.ping", "", "."])
@pytest.mark.parametrize("sender", ["server", "application"])
def test_an_unknown_event_that_no_extension_offers_is_refused(sender: Any, kind: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        judge(sender, {"type": kind}, Situation(CONNECTED, ACCEPTED, ("other",)), strict=False)
    assert caught.value.event == kind
    assert f"the {sender} sent {kind!r}" in str(caught.value)


@pytest.mark.parametrize("extension", ["websocket", "websocket.accept", "websocket.receive"])
def test_an_extension_does_not_free_an_event_of_the_table(extension: str) -> None:
    situation = Situation(CONNECTED, ACCEPTED, (extension,))
    with pytest.raises(ProtocolError, match=r"'websocket\.accept'"):
        judge("application", {"type": "websocket.accept"}, situation, strict=False)
    with pytest.raises(ProtocolError, match=r"'websocket\.receive'"):
        judge("application", {"type": "websocket.receive", "text": ""}, situation, strict=False)


def test_only_strict_looks_at_the_content() -> None:
    assert judge("application", MALFORMED, OPEN, strict=False) == ACCEPTED
    with pytest.raises(ProtocolError) as caught:
        judge("application", MALFORMED, OPEN, strict=True)
    assert str(caught.value) == (
        "the application sent a malformed 'websocket.send': exactly one of 'text' and 'bytes' must "
        "be given, not both; legal from it here: websocket.send, websocket.close"
    )


def test_that_an_event_is_illegal_comes_before_that_it_is_malformed() -> None:
    with pytest.raises(ProtocolError, match=r"connected and the application's unanswered"):
        judge("application", MALFORMED, Situation(CONNECTED, UNANSWERED, ()), strict=True)


def test_the_connect_event_has_no_content_to_check() -> None:
    event = {"type": "websocket.connect", "whatever": 5}
    assert judge("server", event, Situation(WAITING, UNANSWERED, ()), strict=True) == CONNECTED


def test_a_refusal_tells_everything() -> None:
    situation = Situation(CONNECTED, UNANSWERED, ("websocket.http.response",))
    with pytest.raises(WebSocketException) as caught:
        judge("application", {"type": "websocket.send", "text": "early"}, situation, strict=True)
    error = caught.value
    assert isinstance(error, ProtocolError)
    assert (error.sender, error.event) == ("application", "websocket.send")
    assert error.state == "connected, unanswered"
    assert error.legal == (
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.start",
    )
    assert error.code == 1011
    assert str(error) == error.detail
    assert str(error) == (
        "the application sent 'websocket.send' while the server's side was connected and the "
        "application's unanswered; legal from it here: websocket.accept, websocket.close, "
        "websocket.http.response.start"
    )


def test_a_refusal_says_when_nothing_is_legal() -> None:
    with pytest.raises(ProtocolError, match=re.escape("legal from it here: nothing")) as caught:
        judge(
            "application",
            {"type": "websocket.close"},
            Situation(CONNECTED, CLOSED, ()),
            strict=True,
        )
    assert caught.value.legal == ()


@pytest.mark.parametrize("sent", [CLOSED, REJECTED])
def test_what_the_application_sends_after_its_end_is_a_disconnect_as_well(sent: str) -> None:
    event = {"type": "websocket.send", "text": "late"}
    with pytest.raises(WebSocketDisconnect) as caught:
        judge("application", event, Situation(CONNECTED, sent, ()), strict=False)
    assert isinstance(caught.value, ProtocolError)


@pytest.mark.parametrize(
    ("sender", "sent"), [("application", UNANSWERED), ("application", DENYING), ("server", CLOSED)]
)
def test_no_other_refusal_is_a_disconnect(sender: Any, sent: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        judge(sender, {"type": "websocket.send"}, Situation(CONNECTED, sent, ()), strict=False)
    assert not isinstance(caught.value, WebSocketDisconnect)


def test_a_refusal_does_not_carry_a_whole_payload() -> None:
    thing = "x" * 100_000
    with pytest.raises(ProtocolError) as caught:
        judge("application", thing, OPEN, strict=False)
    assert len(str(caught.value)) < 500
    assert caught.value.event == f"{repr(thing)[:200]}\u2026"
