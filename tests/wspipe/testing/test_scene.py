"""What a scripted server and application do, and what is noted of it."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

from tests.wspipe.testing import broken
from wspipe import Pipeline
from wspipe.testing import Conversation, FakeClock, check_middleware, trials
from wspipe.testing.conversation import RECEIVES, RETURN, event, message, plain_messages
from wspipe.testing.scene import Scene
from wspipe.testing.stage import perform

if TYPE_CHECKING:
    import pytest

CONVERSATION = Conversation(
    (
        event("server", "websocket.connect"),
        RECEIVES,
        event("application", "websocket.accept"),
        message("server", "in-1", 0, plain_messages),
        RECEIVES,
        RETURN,
    )
)


def test_an_empty_pipeline_changes_nothing() -> None:
    scene = Scene(CONVERSATION)
    perform(FakeClock(), Pipeline, [scene])
    assert scene.server.taken == [{"type": "websocket.accept"}]
    assert [operation.event for operation in scene.application.operations] == [
        {"type": "websocket.connect"},
        None,
        {"type": "websocket.receive", "text": "in-1"},
    ]
    assert scene.raised is None


def test_a_client_that_is_not_answered_leaves_after_ten_minutes() -> None:
    scene, clock = Scene(CONVERSATION), FakeClock()
    perform(clock, broken.DropsAccept, [scene])
    assert scene.server.taken == []
    last = scene.application.operations[-1].event
    assert last == {"type": "websocket.disconnect", "code": 1001, "reason": ""}


def test_what_is_logged_by_others_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    aftermath = perform(FakeClock(), broken.Warns, [Scene(CONVERSATION)])
    assert caplog.messages == ["somebody connects"]
    assert aftermath.failures == []


def test_memory_may_be_traced_already() -> None:
    tracemalloc.start()
    try:
        check_middleware(Pipeline, examples=1)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_not_every_await_of_a_long_conversation_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trials, "MOST_AWAITS", 1)
    check_middleware(Pipeline, examples=8)
