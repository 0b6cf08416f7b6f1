"""Making a conversation as short as it can be, while something still holds for it."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

from wspipe.testing.conversation import RETURN, Conversation, Messages, Step
from wspipe.testing.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def shorten(
    conversation: Conversation, messages: Messages, holds: Callable[[Conversation], bool]
) -> Conversation:
    """Leave out steps, and make others plain, as long as it holds and is as legal as before.

    Of what it gives, no one step and no two can be left out.

    Args:
        conversation: It holds for this one.
        messages: Made its messages.
        holds: What has to hold.
    """
    while True:
        for candidate in _simpler(conversation, messages):
            if holds(candidate):
                conversation = candidate
                break
        else:
            return conversation


def _simpler(conversation: Conversation, messages: Messages) -> Iterator[Conversation]:
    """Give what is shorter or plainer, the shortest first."""
    body, tail = _parts(conversation)
    for left_out in _selections(len(body)):
        kept = [step for index, step in enumerate(body) if index not in left_out]
        yield from _retold(conversation, kept, tail, messages)
    if conversation.illegal is None and tail != (RETURN,):
        yield from _retold(conversation, body, (RETURN,), messages)
    for index, step in enumerate(body):
        plain = Walk.plain_form(step)
        if plain != step:
            yield from _retold(
                conversation, [*body[:index], plain, *body[index + 1 :]], tail, messages
            )


def _parts(conversation: Conversation) -> tuple[Sequence[Step], Sequence[Step]]:
    """Take off what makes the end, or what is illegal."""
    steps = conversation.steps
    end = conversation.illegal
    if end is None:
        end = -2 if steps[-1].action == "cancel" else -1
    return steps[1:end], steps[end:]


def _selections(count: int) -> Iterator[set[int]]:
    """Choose what to leave out of so many: long stretches first, then pairs, then one."""
    length = count
    while length > 2:
        yield from (set(range(start, start + length)) for start in range(count - length + 1))
        length //= 2
    for size in (2, 1):
        yield from map(set, combinations(range(count), size))


def _retold(
    conversation: Conversation, body: Sequence[Step], tail: Sequence[Step], messages: Messages
) -> Iterator[Conversation]:
    """Give the conversation with another body, if that is legal."""
    walk = Walk(messages, denial=conversation.denial)
    walk.connect()
    if not all(map(walk.follow, body)):
        return
    if conversation.illegal is None:
        if len(tail) == 1 or not (walk.unread or walk.left):
            yield replace(conversation, steps=(*walk.steps, *tail))
    elif walk.forbids(tail[0]):
        yield replace(conversation, steps=(*walk.steps, *tail), illegal=len(walk.steps))
