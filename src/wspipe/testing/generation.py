"""Conversations that are made step by step, as whoever chooses has it: chance, or hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from wspipe.testing.conversation import CANCEL, RAISE, RECEIVES, RETURN, Conversation, Messages
from wspipe.testing.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe.state_machine import Sender
    from wspipe.testing.conversation import Step

T = TypeVar("T")

MAX_STEPS: Final = 14
"""How many steps there are by default before the end."""

_GOES_ON: Final = (False, *[True] * 15)
_GOES_ON_ALONE: Final = (False, True, True, True)
"""Whether there is a further step; and where the client has left."""


class Choose(Protocol):
    """Chooses one of some things, the first where that is the simplest."""

    def __call__(self, options: Sequence[T], /) -> T:
        """Give one of them."""
        ...


def legal_conversation(
    choose: Choose, messages: Messages, max_steps: int = MAX_STEPS
) -> Conversation:
    """Make a conversation in which each step is legal.

    Args:
        choose: Chooses at each turn.
        messages: Gives the payloads.
        max_steps: How many steps there are at most before the one or two of the end.
    """
    walk = _walk(choose, messages, max_steps, leave=True)
    ends: list[tuple[Step, ...]] = [(RETURN,), (RAISE,)]
    if not walk.left:
        # It has read all there is, and waits for more.
        ends.append((*(RECEIVES,) * (walk.unread + 1), CANCEL))
    return Conversation((*walk.steps, *choose(ends)), walk.denial)


def illegal_conversation(
    choose: Choose, messages: Messages, max_steps: int = MAX_STEPS
) -> Conversation:
    """Make a conversation of which one step, the last event, is illegal.

    Args:
        choose: Chooses at each turn.
        messages: Gives the payloads.
        max_steps: How many legal steps come before it at most.
    """
    walk = _walk(choose, messages, max_steps, leave=False)
    senders: tuple[Sender, ...] = ("application", "server")
    sender = choose(senders)
    if sender == "server":
        walk.read()
    wrong = choose(walk.illegal_steps(sender))
    position = len(walk.steps)
    walk.steps.append(wrong)
    if sender == "server":
        walk.steps.append(RECEIVES)
    walk.steps.append(RETURN)
    return Conversation(tuple(walk.steps), walk.denial, position)


def _walk(choose: Choose, messages: Messages, max_steps: int, *, leave: bool) -> Walk:
    walk = Walk(messages, denial=choose((True, False)))
    walk.connect()
    while len(walk.steps) < max_steps and choose(_GOES_ON_ALONE if walk.left else _GOES_ON):
        kinds = walk.legal_steps(leave=leave)
        if not kinds:
            break
        step = choose(choose(kinds))
        walk.add(step)
        if step.by == "server" and not walk.left and choose((False, True)):
            walk.read()
    return walk
