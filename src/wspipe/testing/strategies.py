"""Strategies for hypothesis: conversations that the ASGI specification allows, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from hypothesis import strategies as st

from wspipe.testing.conversation import Conversation, Messages, plain_messages
from wspipe.testing.generation import (
    MAX_STEPS,
    Choose,
    illegal_conversation,
    legal_conversation,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


@st.composite
def conversations(
    draw: st.DrawFn,
    *,
    messages: Messages = plain_messages,
    max_steps: int = MAX_STEPS,
) -> Conversation:
    """Generate conversations in which each step is legal.

    They have every ending: the client leaves or vanishes, also while the application still sends;
    the application closes, denies, returns or raises; the server cancels it.

    Args:
        draw: Given by hypothesis.
        messages: Gives the payloads to choose from for a message, each with the given token in it,
            such as `in-1` for the first from the client and `out-1` for the first from the
            application. By default they are the token itself, as text and as bytes.
        max_steps: How many steps there are at most before the one or two of the end.
    """
    return legal_conversation(_choice(draw), messages, max_steps)


@st.composite
def illegal_conversations(
    draw: st.DrawFn,
    *,
    messages: Messages = plain_messages,
    max_steps: int = MAX_STEPS,
) -> Conversation:
    """Generate conversations of which one step, the last event, is illegal: `Conversation.illegal`.

    It is an event that may not come in this state, or one that is malformed, from either side.

    Args:
        draw: Given by hypothesis.
        messages: As for `conversations`.
        max_steps: How many legal steps come before it at most.
    """
    return illegal_conversation(_choice(draw), messages, max_steps)


def _choice(draw: st.DrawFn) -> Choose:
    def choose(options: Sequence[T], /) -> T:
        return draw(st.sampled_from(options))

    return choose
