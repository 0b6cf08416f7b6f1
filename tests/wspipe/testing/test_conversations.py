"""Conversations: what is legal is legal, what is not is not, and both can be read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, find, given, settings

import wspipe.testing
from wspipe import ImproperlyConfiguredException, ProtocolError
from wspipe.judgement import Situation, judge
from wspipe.state_machine import DENIAL_BODY, REJECTED, UNANSWERED, WAITING
from wspipe.testing import Conversation, Step, conversations, illegal_conversations
from wspipe.testing.conversation import plain_messages
from wspipe.testing.shortening import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator


def judged(conversation: Conversation) -> Iterator[Step]:
    """Give the steps that the wire's own judgement refuses, as the application would see them."""
    states = {"server": WAITING, "application": UNANSWERED}
    unread: list[Step] = []
    for given_step in conversation:
        step = given_step
        if step.by == "server" and step.event is not None:
            unread.append(step)
            continue
        if step.action == "receive":
            if not unread:
                continue
            step = unread.pop(0)
        if step.event is None:
            continue
        situation = Situation(states["server"], states["application"], conversation.extensions)
        try:
            then = judge(step.by, step.event, situation, strict=True)
        except ProtocolError:
            yield step
        else:
            assert then is not None
            last = step.event["type"] == DENIAL_BODY and not step.event.get("more_body")
            states[step.by] = REJECTED if last else then


@given(conversations())
def test_each_step_of_a_legal_conversation_is_legal(conversation: Conversation) -> None:
    assert list(judged(conversation)) == []
    assert conversation.illegal_step is None
    assert conversation.steps[-1].action in {"return", "raise", "cancel"}


@given(illegal_conversations())
def test_just_the_named_step_of_an_illegal_conversation_is_illegal(
    conversation: Conversation,
) -> None:
    assert list(judged(conversation)) == [conversation.illegal_step]
    assert "<- illegal" in repr(conversation)


@given(conversations())
def test_messages_carry_tokens_of_their_own(conversation: Conversation) -> None:
    for by, direction in (("server", "in"), ("application", "out")):
        tokens = [step.token for step in conversation if step.is_message and step.by == by]
        assert tokens == [f"{direction}-{number}" for number in range(1, len(tokens) + 1)]


@given(conversations(messages=lambda token: [f"<{token}>"]))
def test_messages_are_what_was_asked_for(conversation: Conversation) -> None:
    other = conversation.told_by("bob", lambda token: [f"<{token}>"])
    for step, twin in zip(conversation, other, strict=True):
        if step.is_message:
            assert step.event is not None
            assert twin.event is not None
            assert step.event["text"] == f"<{step.token}>"
            assert twin.event == {**step.event, "text": f"<bob-{step.token}>"}
        else:
            assert step is twin


@pytest.mark.parametrize("action", ["wait", "cancel", "raise", "return"])
def test_there_are_conversations_with_each_action(action: str) -> None:
    found = find(conversations(), lambda each: any(step.action == action for step in each))
    assert found.steps[-1].action in {"return", "raise", "cancel"}


def test_a_conversation_reads_as_a_numbered_list() -> None:
    steps = (
        {"type": "websocket.connect"},
        {"type": "websocket.accept", "headers": [(b"x", b"y")]},
        {"type": "websocket.receive", "bytes": b"in-1", "text": None},
        {"type": "websocket.send", "text": "out-1"},
        {"type": "websocket.send"},
        {"type": "websocket.close", "code": 4000, "reason": "done"},
        {"type": "websocket.close"},
        {"type": "websocket.disconnect", "code": 1005},
        {"type": "websocket.disconnect", "code": 1006},
        {"type": "websocket.disconnect", "code": 1001},
        {"type": "websocket.http.response.start", "status": 403},
        {"type": "websocket.http.response.body", "more_body": True},
        {"type": "websocket.http.response.body"},
        {"type": "something.else", "a": 1},
    )
    server = {"websocket.connect", "websocket.receive", "websocket.disconnect"}
    of_events = [
        Step("server" if event["type"] in server else "application", "event", event)
        for event in steps
    ]
    others = [
        Step("application", "receive"),
        Step("server", "wait"),
        Step("server", "cancel"),
        Step("application", "raise"),
        Step("application", "return"),
    ]
    conversation = Conversation((*of_events, *others), illegal=4)
    assert len(conversation) == 19
    assert repr(conversation) == (
        "  1. the client connects\n"
        "  2. the application accepts, headers [(b'x', b'y')]\n"
        "  3. the client sends bytes b'in-1' and text None\n"
        "  4. the application sends text 'out-1'\n"
        "  5. the application sends an empty event  <- illegal\n"
        "  6. the application closes with 4000 'done'\n"
        "  7. the application closes without a code\n"
        "  8. the client leaves without a code\n"
        "  9. the client vanishes\n"
        " 10. the client leaves with 1001\n"
        " 11. the application denies with 403\n"
        " 12. the application sends a part of the denial's body\n"
        " 13. the application sends the last part of the denial's body\n"
        " 14. the application sends {'type': 'something.else', 'a': 1}\n"
        " 15. the application receives\n"
        " 16. a minute passes\n"
        " 17. the server cancels the application\n"
        " 18. the application raises\n"
        " 19. the application returns"
    )


@settings(
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow], max_examples=30
)
@given(conversations().filter(lambda each: sum(step.is_message for step in each) > 2))
def test_what_is_shortened_is_legal_and_has_what_it_needs(conversation: Conversation) -> None:
    def has_two_messages(candidate: Conversation) -> bool:
        return sum(step.is_message for step in candidate) >= 2

    short = shorten(conversation, plain_messages, has_two_messages)
    assert list(judged(short)) == []
    assert len(short) == len(short.steps) == 5 or short.steps[-1].action == "cancel"
    assert [step.choice for step in short if step.is_message] == [0, 0]


@settings(max_examples=30)
@given(illegal_conversations())
def test_what_is_shortened_stays_illegal_where_it_was(conversation: Conversation) -> None:
    wrong = conversation.illegal_step
    assert wrong is not None

    def has_the_same(candidate: Conversation) -> bool:
        return candidate.illegal_step == wrong

    short = shorten(conversation, plain_messages, has_the_same)
    assert list(judged(short)) == [wrong]
    assert len(short) <= len(conversation)


def test_what_needs_hypothesis_says_so_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(wspipe.testing, "import_module", import_module)
    monkeypatch.delitem(vars(wspipe.testing), "conversations", raising=False)
    message = "wspipe.testing.conversations needs hypothesis: pip install 'wspipe[testing]'"
    with pytest.raises(ImproperlyConfiguredException, match=re.escape(message)):
        _ = wspipe.testing.conversations


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match=r"module 'wspipe.testing' has no attribute 'nothing'"):
        _ = wspipe.testing.nothing  # type: ignore[attr-defined]
