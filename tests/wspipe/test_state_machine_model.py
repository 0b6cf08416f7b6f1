"""A random walk: the wire stage against a naive model of it, step by step.

The model knows nothing of the table. It is one `if` after the other, read from the specification
and from what the documentation promises, and is asked at each step what must happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from wspipe.exceptions import ClientDisconnected, ProtocolError, WebSocketException

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

EXAMPLES = 300
STEPS = 40
AT_LEAST = 5000

SURROGATE = "\ud800"

# Each event with whether it is well formed.
FROM_SERVER = [
    ({"type": "websocket.connect"}, True),
    ({"type": "websocket.receive", "text": "hello"}, True),
    ({"type": "websocket.receive", "text": "gr\u00fc\u00dfe \U0001f600", "bytes": None}, True),
    ({"type": "websocket.receive", "bytes": b"\x00\xff", "text": None}, True),
    ({"type": "websocket.receive", "text": SURROGATE}, False),
    ({"type": "websocket.receive", "text": "both", "bytes": b"both!"}, False),
    ({"type": "websocket.receive"}, False),
    ({"type": "websocket.disconnect"}, True),
    ({"type": "websocket.disconnect", "code": None, "reason": None}, True),
    ({"type": "websocket.disconnect", "code": 1001, "reason": "away"}, True),
    ({"type": "websocket.disconnect", "code": 1006}, True),
    ({"type": "websocket.disconnect", "code": 1011}, True),
    ({"type": "websocket.disconnect", "code": 1012}, True),
    ({"type": "websocket.disconnect", "code": 4321, "reason": "mine"}, True),
    ({"type": "websocket.disconnect", "code": "1000"}, False),
]
FROM_APPLICATION = [
    ({"type": "websocket.accept"}, True),
    ({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-a", b"1")]}, True),
    ({"type": "websocket.accept", "headers": [(b"X-A", b"1")]}, False),
    ({"type": "websocket.send", "text": "hello"}, True),
    ({"type": "websocket.send", "text": "\u20ac", "bytes": None}, True),
    ({"type": "websocket.send", "bytes": b"\x00\xff"}, True),
    ({"type": "websocket.send", "text": SURROGATE}, False),
    ({"type": "websocket.send", "bytes": bytearray(b"four")}, False),
    ({"type": "websocket.send", "text": None}, False),
    ({"type": "websocket.close"}, True),
    ({"type": "websocket.close", "code": 4000, "reason": "enough"}, True),
    ({"type": "websocket.close", "code": 1005}, False),
    ({"type": "websocket.close", "reason": "x" * 124}, False),
    ({"type": "websocket.http.response.start", "status": 401, "headers": []}, True),
    ({"type": "websocket.http.response.start", "status": 101}, False),
    ({"type": "websocket.http.response.body", "body": b"n", "more_body": True}, True),
    ({"type": "websocket.http.response.body", "body": b"o"}, True),
    ({"type": "websocket.http.response.body", "body": "o"}, False),
]
FROM_NOWHERE = [
    ({"type": "tls"}, True),
    ({"type": "tls.renew", "now": True}, True),
    ({"type": "tlsx"}, True),
    ({"type": "websocket.ping"}, True),
    ({"type": None}, True),
    ({}, True),
    (None, True),
]
ENDS = {"websocket.disconnect", "websocket.close", "websocket.http.response.start"}

FEW_ENDS = [step for step in FROM_SERVER + FROM_APPLICATION if step[0]["type"] not in ENDS]
FEW_ENDS += [({"type": "websocket.disconnect"}, True), ({"type": "websocket.close"}, True)]

any_events = st.sampled_from(FEW_ENDS + FROM_NOWHERE)
picks = st.integers(0, 999)
faults = st.sampled_from([None] * 8 + [OSError("gone"), RuntimeError("out of turn")])
texts = st.text(st.characters(), max_size=20)


class Model:
    """What is known of a conversation, and what follows from the next event."""

    def __init__(self, *, strict: bool, extensions: set[str]) -> None:
        self.strict = strict
        self.extensions = extensions
        self.connected = self.disconnected = False
        self.answer = "none"
        self.evicted: tuple[int, str] | None = None
        self.lost = False
        self.told: tuple[Any, str, Any] | None = None
        self.ended: tuple[Any, str, Any] | None = None
        self.status: int | None = None
        self.counts = [0, 0, 0, 0]

    # What can be read of the connection.

    @property
    def ending(self) -> tuple[Any, str, Any]:
        if self.ended:
            return self.ended
        if self.told:
            return self.told
        return (1006, "", "unknown") if self.lost else (None, "", None)

    @property
    def state(self) -> str:
        if self.disconnected or self.lost or self.answer in {"closed", "rejected"}:
            return "disconnect"
        if not self.connected and self.answer == "none":
            return "init"
        return "receive" if self.counts[0] else "connect"

    # What each side may send.

    def may_server(self) -> set[str]:
        if not self.connected:
            return {"websocket.connect"}
        if self.disconnected or self.answer in {"none", "denying", "rejected"}:
            return {"websocket.disconnect"}
        return {"websocket.receive", "websocket.disconnect"}

    def may_application(self) -> set[str]:
        denial = "websocket.http.response" in self.extensions
        if self.answer == "none":
            start = {"websocket.http.response.start"} if denial else set()
            return {"websocket.accept", "websocket.close"} | start
        if self.answer == "accepted":
            return {"websocket.send", "websocket.close"}
        if self.answer == "denying" and denial:
            return {"websocket.http.response.body"}
        return set()

    def is_extension(self, event: Any) -> bool:
        kind = event["type"]
        return kind in self.extensions or kind.split(".")[0] in self.extensions

    def refuses(self, event: Any, legal: set[str], *, well_formed: bool) -> bool:
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return True
        if self.is_extension(event):
            return False
        return event["type"] not in legal or (self.strict and not well_formed)

    # What follows.

    def server_sent(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "websocket.connect":
            self.connected = True
        elif kind == "websocket.receive":
            self.count(0, event)
        elif kind == "websocket.disconnect":
            self.disconnected = True
            code = event.get("code")
            code = 1005 if code is None else code
            if code in (1000, 1001, 1005, 1010) or (isinstance(code, int) and code >= 3000):
                by = "client"
            else:
                by = "server" if code in (1012, 1013, 1014) else "unknown"
            self.told = self.told or (code, event.get("reason") or "", by)

    def application_sent(self, event: dict[str, Any], fault: Exception | None) -> None:
        kind = event["type"]
        if isinstance(fault, OSError):
            self.lost = True
        if isinstance(fault, RuntimeError) or self.disconnected:
            return
        first = self.answer == "none"
        if kind == "websocket.accept":
            self.answer = "accepted"
        elif kind == "websocket.close":
            self.answer = "rejected" if first else "closed"
        elif kind == "websocket.http.response.start":
            self.answer = "denying"
        elif kind == "websocket.http.response.body" and not event.get("more_body", False):
            self.answer = "rejected"
        if fault:
            return
        if kind == "websocket.send":
            self.count(1, event)
        if kind == "websocket.close":
            self.ended = (event.get("code", 1000), event.get("reason") or "", "application")
        elif kind == "websocket.http.response.body" and self.answer == "rejected":
            self.ended = (None, "", "application")
        if first:
            self.answered(event)

    def middleware_closed(self, code: int, reason: str, fault: Exception | None) -> None:
        first = self.answer == "none"
        self.evicted = (code, reason)
        self.answer = "closed" if self.answer == "accepted" else "rejected"
        if isinstance(fault, OSError):
            self.lost = True
        else:
            self.ended = (code, reason, "the guard")
        if first and not fault:
            self.status = 403

    def answered(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close":
            self.status = 403
        elif kind == "websocket.http.response.start":
            self.status = event["status"]

    def count(self, direction: int, event: dict[str, Any]) -> None:
        data = event.get("bytes")
        if data is None:
            data = (event.get("text") or "").encode("utf-8", "surrogatepass")
        self.counts[direction] += 1
        self.counts[direction + 2] += len(data)


class Walk(RuleBasedStateMachine):
    """One conversation; each rule takes a step in the wire and in the model."""

    make_bench: Callable[..., Bench]
    steps = 0
    refusals = 0

    @initialize(
        strict=st.booleans(),
        denial=st.booleans(),
        tls=st.booleans(),
        patience=st.sampled_from([0, 5, 10, 15, 20]),
        begun=st.sampled_from(["", "connect", "accept", "connect accept", "connect accept"]),
    )
    def begin(self, *, strict: bool, denial: bool, tls: bool, patience: int, begun: str) -> None:
        extensions = ["websocket.http.response"] * denial + ["tls"] * tls
        self.model = Model(strict=strict, extensions=set(extensions))
        self.bench = type(self).make_bench(strict=strict, extensions=extensions)
        self.reached: list[Any] = []
        self.age = 0
        self.patience = patience
        if "connect" in begun:
            self.server_sends(FROM_SERVER[0])
        if "accept" in begun:
            self.application_sends(FROM_APPLICATION[0], None)

    def choose(self, pool: list[tuple[Any, bool]], legal: set[str], pick: int) -> tuple[Any, bool]:
        """Pick an event that is legal and, while the walk is young, ends nothing."""
        kinds = legal if self.age >= self.patience else legal - ENDS
        choices = [step for step in pool if step[0]["type"] in kinds] or pool
        return choices[pick % len(choices)]

    @rule(pick=picks)
    def server_goes_on(self, pick: int) -> None:
        self.server_sends(self.choose(FROM_SERVER, self.model.may_server(), pick))

    @rule(pick=picks, fault=faults)
    def application_goes_on(self, pick: int, fault: Exception | None) -> None:
        step = self.choose(FROM_APPLICATION, self.model.may_application(), pick)
        self.application_sends(step, fault)

    @rule(step=any_events)
    def server_sends(self, step: tuple[Any, bool]) -> None:
        event, well_formed = step
        model, inbox = self.model, self.bench.server.inbox
        inbox.append(event)
        legal = model.may_server()
        if model.evicted:
            code, reason = model.evicted
            disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            assert self.outcome(self.bench.receive()) == disconnect
            assert inbox, "the server was asked although the application is out"
        elif model.strict and model.disconnected:
            refusal = self.outcome(self.bench.receive())
            assert type(refusal) is WebSocketException
            assert refusal.code == (model.ending[0] or 1005)
            assert inbox, "the server was asked although the conversation is over"
        elif model.refuses(event, legal, well_formed=well_formed):
            self.assert_refused(self.outcome(self.bench.receive()), "server", event, legal)
        else:
            assert self.outcome(self.bench.receive()) is event
            model.server_sent(event)
        inbox.clear()
        self.compare()

    @rule(step=any_events, fault=faults)
    def application_sends(self, step: tuple[Any, bool], fault: Exception | None) -> None:
        event, well_formed = step
        model, self.bench.server.fault = self.model, fault
        legal = model.may_application()
        outcome = self.outcome(self.bench.send(event))
        if model.evicted:
            assert isinstance(outcome, ClientDisconnected)
            assert outcome.code == model.evicted[0]
        elif model.disconnected and model.strict:
            assert isinstance(outcome, ClientDisconnected)
            assert outcome.code == (model.ending[0] or 1005)
        elif not model.disconnected and model.refuses(event, legal, well_formed=well_formed):
            self.assert_refused(outcome, "application", event, legal)
        else:
            self.reached.append(event)
            if model.strict and isinstance(fault, OSError):
                assert isinstance(outcome, ClientDisconnected)
                assert (outcome.code, outcome.__cause__) == (1006, fault)
            else:
                assert outcome is fault
            if isinstance(event, dict) and "type" in event:
                model.application_sent(event, fault)
            elif isinstance(fault, OSError):
                model.lost = True
        self.compare()

    @rule(text=texts)
    def both_say(self, text: str) -> None:
        self.server_sends(({"type": "websocket.receive", "text": text}, True))
        self.application_sends(({"type": "websocket.send", "text": text}, True), None)

    @precondition(lambda self: self.age >= self.patience)
    @rule(
        code=st.sampled_from([1000, 1008, 4321, 1005, 1006, 999, 5000]),
        reason=st.sampled_from(["", "policy", "\u00e9" * 100]),
        fault=faults,
    )
    def middleware_closes(self, code: int, reason: str, fault: Exception | None) -> None:
        model, self.bench.server.fault = self.model, fault
        cut = reason[:61]
        over = model.disconnected or model.answer in {"closed", "rejected"}
        denying = model.answer == "denying"
        legal = model.may_application()
        outcome = self.outcome(self.bench.connection.close(code, reason, by="the guard"))
        if over:
            assert outcome is None
        elif code not in {1000, 1008, 4321}:
            self.assert_refused(outcome, "application", {"type": "websocket.close"}, legal)
        else:
            assert outcome is (None if isinstance(fault, OSError) else fault)
            body = {"type": "websocket.http.response.body", "body": b"", "more_body": False}
            close = {"type": "websocket.close", "code": code, "reason": cut}
            self.reached.append(body if denying else close)
            model.middleware_closed(code, cut, fault)
        self.compare()

    def outcome(self, coroutine: Any) -> Any:
        try:
            return self.bench.now(coroutine)
        except Exception as error:  # noqa: BLE001 - what it is, is compared
            return error

    def assert_refused(self, outcome: Any, sender: str, event: Any, legal: set[str]) -> None:
        type(self).refusals += 1
        assert type(outcome) is ProtocolError
        assert outcome.sender == sender
        is_event = isinstance(event, dict) and isinstance(event.get("type"), str)
        assert outcome.event == (event["type"] if is_event else repr(event))
        assert set(outcome.legal) == legal

    def compare(self) -> None:
        type(self).steps += 1
        self.age += 1
        connection, model = self.bench.connection, self.model
        assert self.bench.server.offered == self.reached
        assert connection.connection_state == model.state
        traffic = connection.traffic
        assert [
            traffic.messages_received,
            traffic.messages_sent,
            traffic.bytes_received,
            traffic.bytes_sent,
        ] == model.counts
        ending = (connection.close_code, connection.close_reason, connection.closed_by)
        assert ending == model.ending
        assert connection.handshake_status == model.status


def test_thousands_of_steps_agree_with_the_model(make_bench: Callable[..., Bench]) -> None:
    class CountedWalk(Walk):
        pass

    CountedWalk.make_bench = staticmethod(make_bench)
    run_state_machine_as_test(
        CountedWalk,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
        ),
    )
    assert CountedWalk.steps > AT_LEAST
    assert AT_LEAST < CountedWalk.refusals * 4 < CountedWalk.steps * 4


@pytest.mark.parametrize("strict", [False, True])
def test_the_model_itself_knows_an_ordinary_conversation(*, strict: bool) -> None:
    model = Model(strict=strict, extensions=set())
    assert (model.state, model.ending) == ("init", (None, "", None))
    model.server_sent({"type": "websocket.connect"})
    assert model.may_application() == {"websocket.accept", "websocket.close"}
    model.application_sent({"type": "websocket.accept"}, None)
    assert (model.state, model.status) == ("connect", 101)
    model.server_sent({"type": "websocket.receive", "text": "\u20ac"})
    model.application_sent({"type": "websocket.send", "bytes": b"hi"}, None)
    assert (model.state, model.counts) == ("receive", [1, 1, 3, 2])
    model.server_sent({"type": "websocket.disconnect", "code": 1001})
    assert (model.state, model.ending) == ("disconnect", (1001, "", "client"))
