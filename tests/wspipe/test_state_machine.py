"""The table of the state machine against the ASGI specification, written down a second time."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from wspipe.exceptions import ClientDisconnected, ProtocolError, WebSocketException
from wspipe.judgement import Situation, judge
from wspipe.state_machine import (
    LENIENT_RULES,
    LENIENT_TRANSITIONS,
    RULES,
    TRANSITIONS,
    legal_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.wspipe.conftest import Bench
    from wspipe.state_machine import Rule

EVENTS: dict[str, dict[str, Any]] = {
    "connect": {"type": "websocket.connect"},
    "receive": {"type": "websocket.receive", "text": "hello"},
    "disconnect": {"type": "websocket.disconnect", "code": 1001},
    "accept": {"type": "websocket.accept"},
    "send": {"type": "websocket.send", "bytes": b"hello"},
    "close": {"type": "websocket.close", "code": 1000},
    "deny": {"type": "websocket.http.response.start", "status": 403},
    "body": {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
}
NAMES = {str(event["type"]): name for name, event in EVENTS.items()}

# Received so far, answered so far: what the server may send, what the application may send.
LEGAL = {
    ("waiting for connect", "unanswered"): ("connect", "accept close deny"),
    ("waiting for connect", "accepted"): ("connect", "send close"),
    ("waiting for connect", "closed"): ("connect", ""),
    ("waiting for connect", "denying"): ("connect", "body"),
    ("waiting for connect", "rejected"): ("connect", ""),
    ("connected", "unanswered"): ("disconnect", "accept close deny"),
    ("connected", "accepted"): ("receive disconnect", "send close"),
    ("connected", "closed"): ("receive disconnect", ""),
    ("connected", "denying"): ("disconnect", "body"),
    ("connected", "rejected"): ("disconnect", ""),
    ("disconnected", "unanswered"): ("disconnect", "accept close deny"),
    ("disconnected", "accepted"): ("disconnect", "send close"),
    ("disconnected", "closed"): ("disconnect", ""),
    ("disconnected", "denying"): ("disconnect", "body"),
    ("disconnected", "rejected"): ("disconnect", ""),
}
# What passes where not strict: a server that never sends the connect event, as some test clients.
ANSWERS = ("unanswered", "accepted", "closed", "denying", "rejected")
UNANNOUNCED = "connected without a connect event"
LENIENT = LEGAL.copy()
for answer in ANSWERS:
    LENIENT["waiting for connect", answer] = (
        "connect receive disconnect",
        LEGAL["waiting for connect", answer][1],
    )
    LENIENT[UNANNOUNCED, answer] = ("receive disconnect", LEGAL["connected", answer][1])

SENDERS = ("server", "application")


def steps_of(table: dict[tuple[str, str], tuple[str, str]]) -> set[tuple[str, str, str, str]]:
    return {
        (sender, name, *state)
        for state, sides in table.items()
        for sender, names in zip(SENDERS, sides, strict=True)
        for name in names.split()
    }


def every_step(table: Iterable[tuple[str, str]]) -> set[tuple[str, str, str, str]]:
    return {(sender, name, *state) for sender, name, state in product(SENDERS, EVENTS, table)}


LEGAL_STEPS = steps_of(LEGAL)
LENIENT_STEPS = steps_of(LENIENT)
ILLEGAL_STEPS = sorted(every_step(LEGAL) - LEGAL_STEPS)
REFUSED_STEPS = sorted(every_step(LENIENT) - LENIENT_STEPS)
DENIAL_STEPS = sorted(step for step in LEGAL_STEPS if step[1] in {"deny", "body"})

DENIAL = ("websocket.http.response",)


def follow(name: str, received: str, sent: str) -> str:
    """Say where an event leads: the next state of its sender's side."""
    if name == "close":
        return "closed" if sent == "accepted" else "rejected"
    if name == "receive":
        return "connected" if received == "connected" else UNANNOUNCED
    return {
        "connect": "connected",
        "disconnect": "disconnected",
        "accept": "accepted",
        "send": "accepted",
        "deny": "denying",
        "body": "denying",
    }[name]


def legal_types(sender: str, received: str, sent: str) -> set[str]:
    """Give what a refusal lists: what the specification allows, in lenient mode too."""
    state = ("connected" if received == UNANNOUNCED else received, sent)
    return {EVENTS[name]["type"] for name in LEGAL[state][SENDERS.index(sender)].split()}


def row_name(rule: Rule) -> str:
    return f"{rule.sender}-{NAMES[rule.event]}-{rule.then}"


@pytest.mark.parametrize("rule", RULES, ids=row_name)
@pytest.mark.parametrize("strict", [False, True])
def test_a_row_passes_its_event_in_each_of_its_states(rule: Rule, *, strict: bool) -> None:
    assert_passes_everywhere(rule, LEGAL_STEPS, strict=strict)


@pytest.mark.parametrize("rule", LENIENT_RULES, ids=row_name)
def test_a_lenient_row_passes_its_event_in_each_of_its_states(rule: Rule) -> None:
    assert_passes_everywhere(rule, LENIENT_STEPS, strict=False)


def assert_passes_everywhere(rule: Rule, steps: set[Any], *, strict: bool) -> None:
    name = NAMES[rule.event]
    states = list(product(rule.received, rule.sent))
    assert states
    for received, sent in states:
        assert (rule.sender, name, received, sent) in steps
        situation = Situation(received, sent, DENIAL)
        then = judge(rule.sender, EVENTS[name], situation, strict=strict)
        assert then == rule.then == follow(name, received, sent)


def test_the_rows_together_are_the_specification() -> None:
    steps = [
        (rule.sender, NAMES[rule.event], received, sent)
        for rule in RULES
        for received, sent in product(rule.received, rule.sent)
    ]
    assert set(steps) == LEGAL_STEPS
    assert len(steps) == len(LEGAL_STEPS), "two rows speak of the same step"


@pytest.mark.parametrize(
    ("table", "steps"), [(TRANSITIONS, LEGAL_STEPS), (LENIENT_TRANSITIONS, LENIENT_STEPS)]
)
def test_the_look_up_has_what_the_rows_have(table: Any, steps: set[Any]) -> None:
    found = {
        (sender, NAMES[event], received, sent): then
        for (sender, event, received, sent), then in table.items()
    }
    assert found == {step: follow(*step[1:]) for step in steps}


def assert_refused(sender: Any, name: str, received: str, sent: str, *, strict: bool) -> None:
    event = EVENTS[name]
    with pytest.raises(ProtocolError) as caught:
        judge(sender, event, Situation(received, sent, DENIAL), strict=strict)
    error = caught.value
    assert (error.sender, error.event) == (sender, event["type"])
    assert error.state == f"{received}, {sent}"
    assert set(error.legal) == legal_types(sender, received, sent)
    assert f"the {sender} sent {event['type']!r}" in str(error)
    sides = f"the server's side was {received} and the application's {sent}"
    assert sides in str(error)
    assert str(error).endswith(f"legal from it here: {', '.join(error.legal) or 'nothing'}")


@pytest.mark.parametrize(("sender", "name", "received", "sent"), ILLEGAL_STEPS)
def test_what_is_in_no_row_is_refused(sender: Any, name: str, received: str, sent: str) -> None:
    assert_refused(sender, name, received, sent, strict=True)


@pytest.mark.parametrize(("sender", "name", "received", "sent"), REFUSED_STEPS)
def test_lenient_refuses_what_is_in_no_row_of_either_table(
    sender: Any, name: str, received: str, sent: str
) -> None:
    assert_refused(sender, name, received, sent, strict=False)


@pytest.mark.parametrize(("sender", "name", "received", "sent"), DENIAL_STEPS)
def test_a_denial_needs_the_extension(sender: Any, name: str, received: str, sent: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        judge(sender, EVENTS[name], Situation(received, sent, ("tls",)), strict=False)
    assert set(caught.value.legal) == legal_types(sender, received, sent) - {
        EVENTS["deny"]["type"],
        EVENTS["body"]["type"],
    }


@pytest.mark.parametrize(("received", "sent"), LENIENT)
@pytest.mark.parametrize("sender", SENDERS)
def test_the_legal_events_are_listed_once_each(sender: Any, received: str, sent: str) -> None:
    denial = legal_events(sender, received, sent, denial=True)
    assert sorted(denial) == sorted(legal_types(sender, received, sent))
    plain = legal_events(sender, received, sent, denial=False)
    assert plain == tuple(kind for kind in denial if NAMES[kind] not in {"deny", "body"})


STATES = [(*state, True) for state in LEGAL] + [(*state, False) for state in LENIENT]


@pytest.mark.anyio
@pytest.mark.parametrize(("received", "sent", "strict"), STATES)
async def test_the_wire_judges_the_application_by_the_table(
    make_bench: Callable[..., Bench], received: str, sent: str, *, strict: bool
) -> None:
    for name, event in EVENTS.items():
        bench = await make_bench(strict=strict).reach(received, sent)
        before = len(bench.server.offered)
        if received == "disconnected":
            # The one thing that the table leaves open: see test_wire_loss.py.
            if strict:
                with pytest.raises(ClientDisconnected):
                    await bench.send(event)
            else:
                await bench.send(event)
        elif ("application", name, received, sent) in LENIENT_STEPS:
            await bench.send(event)
            assert bench.server.offered[before:] == [event]
            assert (bench.wire.received, bench.wire.sent) == (
                received,
                follow(name, received, sent),
            )
        else:
            with pytest.raises(ProtocolError, match=f"the application sent '{event['type']}'"):
                await bench.send(event)
            assert bench.server.offered[before:] == []
            assert (bench.wire.received, bench.wire.sent) == (received, sent)


@pytest.mark.anyio
@pytest.mark.parametrize(("received", "sent", "strict"), STATES)
async def test_the_wire_judges_the_server_by_the_table(
    make_bench: Callable[..., Bench], received: str, sent: str, *, strict: bool
) -> None:
    for name, event in EVENTS.items():
        bench = await make_bench(strict=strict).reach(received, sent)
        if strict and received == "disconnected":
            # The server is not even asked: see test_wire_loss.py.
            with pytest.raises(WebSocketException, match="the conversation is over"):
                await bench.hear(event)
        elif ("server", name, received, sent) in (LEGAL_STEPS if strict else LENIENT_STEPS):
            assert await bench.hear(event) is event
            assert (bench.wire.received, bench.wire.sent) == (follow(name, received, sent), sent)
        else:
            with pytest.raises(ProtocolError, match=f"the server sent '{event['type']}'"):
                await bench.hear(event)
            assert (bench.wire.received, bench.wire.sent) == (received, sent)
