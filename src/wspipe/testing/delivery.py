"""What became of the messages of a conversation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from wspipe.state_machine import DISCONNECT, RECEIVE, SEND
from wspipe.testing.rules import Finding, Standard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wspipe.testing.scene import Scene
    from wspipe.types import Event

Direction: TypeAlias = Literal["in", "out"]
"""Whose messages: those of the client come in, those of the application go out."""

_TOKEN = re.compile(r"(in|out)-(\d+)")


def tokens(event: Event, direction: Direction) -> list[str]:
    """Give the tokens of a direction that a message carries, as far as they can be recognised.

    Args:
        event: A message.
        direction: Which tokens.
    """
    payloads = (event.get("text"), event.get("bytes"))
    texts = (each.decode("latin-1") if isinstance(each, bytes) else each for each in payloads)
    found = (_TOKEN.finditer(each) for each in texts if isinstance(each, str))
    return [token[0] for each in found for token in each if token[1] == direction]


def messages_received(scene: Scene) -> list[Event]:
    """Give the messages that the application received."""
    events = (operation.event for operation in scene.application.operations)
    return [event for event in events if event is not None and event["type"] == RECEIVE]


def messages_taken(scene: Scene) -> list[Event]:
    """Give the messages that the server took."""
    return [event for event in scene.server.taken if event["type"] == SEND]


def find_reordering(scene: Scene, _: Standard) -> Iterator[Finding]:
    """Compare the order of messages on both sides, as far as they carry their tokens."""
    yield from _unordered("in", "the application gets", messages_received(scene))
    if not scene.together:
        yield from _unordered("out", "the server gets", messages_taken(scene))


def _unordered(direction: Direction, who: str, events: Sequence[Event]) -> Iterator[Finding]:
    found = [token for event in events for token in tokens(event, direction)]
    numbers = [int(token.partition("-")[2]) for token in found]
    for position in range(1, len(found)):
        if numbers[position] < numbers[position - 1]:
            yield Finding("order", f"{who} {found[position]!r} after {found[position - 1]!r}")


def find_loss(scene: Scene, standard: Standard) -> Iterator[Finding]:
    """Compare the messages on both sides, where none may be lost or doubled."""
    if standard.lossless:
        yield from _lost_inward(scene)
        yield from _lost_outward(scene)


def _lost_inward(scene: Scene) -> Iterator[Finding]:
    handed = [event for event in scene.server.handed if event["type"] == RECEIVE]
    received = messages_received(scene)
    events = (operation.event for operation in scene.application.operations)
    heard_of_end = any(event is not None and event["type"] == DISCONNECT for event in events)
    whole = heard_of_end and not scene.evicted
    needed = handed if whole else handed[: len(received)]
    if problem := _difference(handed, needed, received, "in"):
        yield Finding("lossless", f"of the client's messages the application gets {problem}")


def _lost_outward(scene: Scene) -> Iterator[Finding]:
    steps = scene.conversation.steps
    sent: list[Event] = []
    needed: list[Event] = []
    for operation in scene.application.operations:
        event = steps[operation.index].event
        if operation.kind == "send" and event is not None and event["type"] == SEND:
            sent.append(event)
            needed += [event] * operation.succeeded
    if scene.server.left or scene.server.disconnected or scene.evicted or scene.was_cancelled:
        needed = []
    if problem := _difference(sent, needed, messages_taken(scene), "out"):
        yield Finding("lossless", f"of the application's messages the server gets {problem}")


def _difference(
    sent: Sequence[Event], needed: Sequence[Event], got: Sequence[Event], direction: Direction
) -> str | None:
    """Say what is lost or doubled, if anything.

    Args:
        sent: What may arrive, once each.
        needed: What has to.
        got: What arrived.
        direction: Whose messages they are.
    """
    found = [token for event in got for token in tokens(event, direction)]
    for token in found:
        if found.count(token) > 1:
            return f"{token!r} {found.count(token)} times"
    count = f"{len(got)} of {len(sent)}"
    if all(tokens(event, direction) for event in got):
        for token in (token for event in needed for token in tokens(event, direction)):
            if token not in found:
                return f"{count}: {token!r} is lost"
    if len(got) > len(sent):
        return f"{count}: it adds some"
    return None if len(needed) <= len(got) <= len(sent) else count
