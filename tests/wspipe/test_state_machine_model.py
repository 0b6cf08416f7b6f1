"""A random walk: the wire stage against a naive model of it, step by step.

The model is in wire_support.py. It knows nothing of the engine and is asked at each step what must
happen: what gets through, what is refused and why, and what can be read of the connection then.
"""

from __future__ import annotations

import asyncio
from collections import Counter
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

from wspipe.closing import close
from wspipe.exceptions import (
    ClientDisconnected,
    ProtocolError,
    SentAfterClose,
    WebSocketException,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench
    from tests.wspipe.wire_support import Model

EXAMPLES = 300
STEPS = 40

ANSWERS = ("none", "accepted", "closed", "denying", "rejected")
PLACES = ("announced", "connected", "disconnected", "evicted", "lost")

# Each event with whether it is well formed.
DENY = ({"type": "websocket.http.response.start", "status": 401, "headers": []}, True)
FROM_SERVER = [
    ({"type": "websocket.connect"}, True),
    ({"type": "websocket.receive", "text": "hello"}, True),
    ({"type": "websocket.receive", "text": "gr\u00fc\u00dfe \U0001f600", "bytes": None}, True),
    ({"type": "websocket.receive", "bytes": b"\x00\xff", "text": None}, True),
    ({"type": "websocket.receive", "text": "\ud800"}, False),
    ({"type": "websocket.receive", "text": "both", "bytes": b"both!"}, False),
    ({"type": "websocket.receive"}, False),
    ({"type": "websocket.disconnect"}, True),
    ({"type": "websocket.disconnect", "code": None, "reason": None}, True),
    ({"type": "websocket.disconnect", "code": 1001, "reason": "away"}, True),
    ({"type": "websocket.disconnect", "code": 1006}, True),
    ({"type": "websocket.disconnect", "code": 1012}, True),
    ({"type": "websocket.disconnect", "code": 4321, "reason": "mine"}, True),
    ({"type": "websocket.disconnect", "code": "1000"}, False),
]
FROM_APPLICATION = [
    ({"type": "websocket.accept"}, True),
    ({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-a", b"1")]}, True),
    ({"type": "websocket.accept", "headers": [(b"X-A", b"1")]}, False),
    ({"type": "websocket.send", "text": "\u20ac", "bytes": None}, True),
    ({"type": "websocket.send", "bytes": b"\x00\xff"}, True),
    ({"type": "websocket.send", "text": "\ud800"}, False),
    ({"type": "websocket.send", "bytes": bytearray(b"four")}, False),
    ({"type": "websocket.send", "text": None}, False),
    ({"type": "websocket.close"}, True),
    ({"type": "websocket.close", "code": 4000, "reason": "enough"}, True),
    ({"type": "websocket.close", "code": 1005}, False),
    ({"type": "websocket.close", "reason": "x" * 124}, False),
    ({"type": "websocket.close", "code": "1008", "reason": ["bad"]}, False),
    DENY,
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
ENDS = {"websocket.disconnect", "websocket.close"}

FEW_ENDS = [step for step in FROM_SERVER + FROM_APPLICATION if step[0]["type"] not in ENDS]
FEW_ENDS += [({"type": "websocket.disconnect"}, True), ({"type": "websocket.close"}, True)]

BEGINNINGS = ("", "connect", "accept", "connect accept", "connect accept", "connect deny")

any_events = st.sampled_from(FEW_ENDS + FROM_NOWHERE)
picks = st.integers(0, 999)
faults = st.sampled_from([None] * 8 + [OSError, RuntimeError])
texts = st.text(max_size=20)


class Walk(RuleBasedStateMachine):
    """One conversation; each rule takes a step in the wire and in the model."""

    runner: asyncio.Runner
    make_bench: Callable[..., Bench]
    make_model: Callable[..., Model]
    visits: Counter[str]

    @initialize(
        strict=st.booleans(),
        denial=st.booleans(),
        tls=st.booleans(),
        patience=st.sampled_from([0, 5, 10, 15, 20]),
        begun=st.sampled_from(BEGINNINGS),
    )
    def begin(self, *, strict: bool, denial: bool, tls: bool, patience: int, begun: str) -> None:
        extensions = ["websocket.http.response"] * denial + ["tls"] * tls
        self.model = self.make_model(strict=strict, extensions=set(extensions))
        self.bench = self.make_bench(strict=strict, extensions=extensions)
        self.reached: list[Any] = []
        self.handshakes: list[str] = []
        self.bench.connection.on_handshake(lambda event: self.handshakes.append(event["type"]))
        self.age = 0
        self.patience = patience
        if "connect" in begun:
            self.server_sends(FROM_SERVER[0])
        if "accept" in begun:
            self.application_sends(FROM_APPLICATION[0], None)
        if "deny" in begun:
            self.application_sends(DENY, None)

    def choose(self, pool: list[tuple[Any, bool]], legal: set[str], pick: int) -> tuple[Any, bool]:
        """Pick an event that is legal and, while the walk is young, ends nothing."""
        kinds = legal if self.age >= self.patience else legal - ENDS
        choices = [step for step in pool if step[0]["type"] in kinds] or pool
        return choices[pick % len(choices)]

    @rule(pick=picks)
    def server_goes_on(self, pick: int) -> None:
        self.server_sends(self.choose(FROM_SERVER, self.model.may_server(), pick))

    @rule(pick=picks, fault=faults)
    def application_goes_on(self, pick: int, fault: type[Exception] | None) -> None:
        step = self.choose(FROM_APPLICATION, self.model.may_application(), pick)
        self.application_sends(step, fault)

    @rule(step=any_events)
    def server_sends(self, step: tuple[Any, bool]) -> None:
        event, well_formed = step
        model, inbox = self.model, self.bench.server.inbox
        inbox.append(event)
        legal = model.may_server()
        if model.evicted and not model.connected and not model.disconnected:
            assert self.outcome(self.bench.receive()) == {"type": "websocket.connect"}
            assert inbox, "the server was asked although the application is out"
            model.connected = model.announced = True
        elif model.evicted:
            code, reason = model.evicted
            disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            assert self.outcome(self.bench.receive()) == disconnect
            assert inbox, "the server was asked although the application is out"
        elif model.strict and model.disconnected:
            refusal = self.outcome(self.bench.receive())
            assert type(refusal) is WebSocketException
            assert refusal.code == (model.ending[0] or 1005)
            assert inbox, "the server was asked although the conversation is over"
        elif model.refuses_server(event, well_formed=well_formed):
            self.assert_refused(self.outcome(self.bench.receive()), "server", event, legal)
        else:
            assert self.outcome(self.bench.receive()) is event
            model.server_sent(event)
        inbox.clear()
        self.compare()

    @rule(step=any_events, fault=faults)
    def application_sends(self, step: tuple[Any, bool], fault: type[Exception] | None) -> None:
        event, well_formed = step
        model = self.model
        error = self.bench.server.fault = fault() if fault else None
        legal = model.may_application()
        outcome = self.outcome(self.bench.send(event))
        if model.evicted:
            assert isinstance(outcome, ClientDisconnected)
            assert outcome.code == model.evicted[0]
        elif model.disconnected and model.strict:
            assert isinstance(outcome, ClientDisconnected)
            assert outcome.code == (model.ending[0] or 1005)
        elif not model.disconnected and model.refuses_application(event, well_formed=well_formed):
            self.assert_refused(outcome, "application", event, legal)
        else:
            self.reached.append(event)
            if model.strict and fault is OSError:
                assert isinstance(outcome, ClientDisconnected)
                assert (outcome.code, outcome.__cause__) == (1006, error)
            else:
                assert outcome is error
            model.application_sent(event, error)
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
    def middleware_closes(self, code: int, reason: str, fault: type[Exception] | None) -> None:
        model = self.model
        error = self.bench.server.fault = fault() if fault else None
        cut = reason[:61]
        over = model.disconnected or model.answer in {"closed", "rejected"}
        denying = model.answer == "denying"
        legal = model.may_application()
        outcome = self.outcome(close(self.bench.wire, code, reason, "the guard"))
        if over:
            assert outcome is None
        elif code not in {1000, 1008, 4321}:
            self.assert_refused(outcome, "application", {"type": "websocket.close"}, legal)
        else:
            assert outcome is (None if fault is OSError else error)
            body = {"type": "websocket.http.response.body", "body": b"", "more_body": False}
            whole = {"type": "websocket.close", "code": code, "reason": cut}
            self.reached.append(body if denying else whole)
            model.middleware_closed(code, cut, error)
        self.compare()

    def outcome(self, coroutine: Any) -> Any:
        try:
            return self.runner.run(coroutine)
        except Exception as error:  # noqa: BLE001 - what it is, is compared
            return error

    def assert_refused(self, outcome: Any, sender: str, event: Any, legal: set[str]) -> None:
        self.visits["a refusal"] += 1
        late = sender == "application" and self.model.answer in {"closed", "rejected"}
        assert type(outcome) is (SentAfterClose if late else ProtocolError)
        assert outcome.sender == sender
        is_event = isinstance(event, dict) and isinstance(event.get("type"), str)
        assert outcome.event == (event["type"] if is_event else repr(event))
        assert set(outcome.legal) == legal

    def compare(self) -> None:
        self.age += 1
        connection, model = self.bench.connection, self.model
        self.visits.update(["a step", model.answer])
        self.visits.update(name for name in PLACES if getattr(model, name))
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
        assert self.handshakes == model.handshakes


def test_thousands_of_steps_agree_with_the_model(
    make_bench: Callable[..., Bench], naive_model: Callable[..., Model]
) -> None:
    Walk.make_bench = staticmethod(make_bench)
    Walk.make_model = staticmethod(naive_model)
    visits = Walk.visits = Counter()
    chosen = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=True,
        database=None,
        deadline=None,
    )
    with asyncio.Runner() as Walk.runner:
        run_state_machine_as_test(Walk, settings=chosen)
    assert visits["a step"] > 5000
    assert 1000 < visits["a refusal"] < visits["a step"] * 0.6
    rarely = [place for place in (*PLACES, *ANSWERS) if visits[place] < 50]
    assert not rarely, "the walk hardly gets there"


@pytest.mark.parametrize("strict", [False, True])
def test_the_model_itself_knows_an_ordinary_conversation(
    naive_model: Callable[..., Model], *, strict: bool
) -> None:
    model = naive_model(strict=strict, extensions=set())
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
