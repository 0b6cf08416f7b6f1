"""The judgement on one event: is it legal here, and well formed?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from wspipe.exceptions import ProtocolError, SentAfterClose
from wspipe.payload import CHECKS
from wspipe.state_machine import (
    CLOSED,
    DENIAL_EXTENSION,
    EVENTS,
    LENIENT_TRANSITIONS,
    REJECTED,
    TRANSITIONS,
    Sender,
    legal_events,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from wspipe.types import Event


class Situation(NamedTuple):
    """Where a conversation is: the states of both sides, and what the server offers besides."""

    received: str
    sent: str
    extensions: Collection[str]


def shorten(text: str, limit: int) -> str:
    """Cut a text, with an ellipsis, so that an error does not carry a whole payload."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def kind_of(event: Any) -> str | None:
    """Give the type of an event, or `None` where it is no event."""
    try:
        kind = event["type"]
    except (KeyError, TypeError):
        return None
    return kind if isinstance(kind, str) else None


def judge(sender: Sender, event: Event, situation: Situation, *, strict: bool) -> str | None:
    """Decide on an event by the table, and by its content when strict.

    Args:
        sender: Who sent it.
        event: The event.
        situation: Where the conversation is.
        strict: Whether to check the content.

    Returns:
        The sender's next state, or `None` for an event that belongs to an extension which the
        server offers and the table does not know: such an event passes unchecked.

    Raises:
        ProtocolError: The event is illegal here, malformed, or not an event at all.
    """
    received, sent, extensions = situation
    kind = kind_of(event)
    if kind is None:
        given = shorten(repr(event), 200)
        problem = f"sent {given}, which is no event: a dict with a 'type'"
        raise _refusal(sender, given, situation, problem)
    transitions = TRANSITIONS if strict else LENIENT_TRANSITIONS
    then = transitions.get((sender, kind, received, sent))
    if then is None and kind not in EVENTS and _is_of_extension(kind, extensions):
        return None
    if then is None or (kind.startswith(DENIAL_EXTENSION) and DENIAL_EXTENSION not in extensions):
        problem = (
            f"sent {kind!r} while the server's side was {received} and the application's {sent}"
        )
        raise _refusal(sender, kind, situation, problem)
    if strict:
        check_content(sender, event, situation)
    return then


def check_content(sender: Sender, event: Event, situation: Situation) -> None:
    """Check what an event carries.

    Args:
        sender: Who sent it.
        event: The event, of a type that the table knows.
        situation: Where the conversation is.

    Raises:
        ProtocolError: The event is malformed.
    """
    kind = event["type"]
    if kind in CHECKS and (fault := CHECKS[kind](event)):
        raise _refusal(sender, kind, situation, f"sent a malformed {kind!r}: {fault}")


def _is_of_extension(kind: str, extensions: Collection[str]) -> bool:
    return any(kind == name or kind.startswith(f"{name}.") for name in extensions)


def _refusal(sender: Sender, kind: str, situation: Situation, problem: str) -> ProtocolError:
    received, sent, extensions = situation
    legal = legal_events(sender, received, sent, denial=DENIAL_EXTENSION in extensions)
    over = sender == "application" and sent in {CLOSED, REJECTED}
    return (SentAfterClose if over else ProtocolError)(
        detail=f"the {sender} {problem}; legal from it here: {', '.join(legal) or 'nothing'}",
        event=kind,
        sender=sender,
        state=f"{received}, {sent}",
        legal=legal,
    )
