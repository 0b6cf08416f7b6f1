"""The trials that a middleware is put to, each with one conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, cast

from wspipe.testing.cancellation import Cancellation, Victim
from wspipe.testing.clock import FakeClock
from wspipe.testing.conversation import is_sent
from wspipe.testing.delivery import messages_taken, tokens
from wspipe.testing.rules import Finding
from wspipe.testing.scene import CLIENTS, Scene
from wspipe.testing.stage import perform
from wspipe.testing.verdict import judge, judge_end, name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wspipe.testing.conversation import Conversation, Messages
    from wspipe.testing.rules import Standard
    from wspipe.testing.stage import Aftermath
    from wspipe.types import Event, Middleware

VICTIMS: Final[tuple[Victim, ...]] = ("application", "operation")

MOST_AWAITS: Final = 60
"""At how many awaits of a conversation somebody is cancelled at most."""

_START: Final = 1000.0
"""When the clock starts, so that no time is mistaken for none at all."""

_TURNS: Final = 20_000
"""After how many turns of the event loop a middleware that polls is given up."""


@dataclass(frozen=True)
class Trials:
    """Puts new objects of a middleware to the test.

    Args:
        make: Makes one.
        messages: Made the messages of the conversations.
        standard: What is expected.
        clock: Whose time it is; by default one of its own for each trial.
    """

    make: Callable[[], Middleware]
    messages: Messages
    standard: Standard
    clock: FakeClock | None = None

    def alone(self, conversation: Conversation) -> Finding | None:
        """Play a conversation, and see that nothing is left."""
        scene = Scene(conversation)
        aftermath = self._perform([scene])
        return self._judge(scene, aftermath)

    def isolation(self, conversation: Conversation) -> Finding | None:
        """Play it for some clients at once and for one afterwards, and compare with each alone."""
        scenes = [self._scene(conversation, client) for client in CLIENTS[:4]]
        *at_once, afterwards = scenes
        aftermath = self._perform(at_once, [afterwards])
        if aftermath.stuck:
            return judge_end(aftermath)
        exact = self._is_steady(conversation)
        for scene in scenes:
            alone = self._scene(conversation, scene.client)
            self._perform([alone])
            if contrast := compare(log(alone, exact=exact), log(scene, exact=exact)):
                when = "after others" if scene is afterwards else "at the same time as others"
                return Finding("isolation", f"{scene.client}'s connection, {when}: {contrast}")
        return judge_end(aftermath)

    def concurrency(self, conversation: Conversation) -> Finding | None:
        """Send at once what the application sends one by one."""
        pairs = zip(conversation.steps, conversation.steps[1:], strict=False)
        if not any(is_sent(one) and is_sent(next_one) for one, next_one in pairs):
            return None
        one_by_one, at_once = Scene(conversation), Scene(conversation, together=True)
        self._perform([one_by_one])
        aftermath = self._perform([at_once])
        if finding := self._judge(at_once, aftermath):
            return replace(finding, rule="concurrency")
        if not all(operation.succeeded for operation in one_by_one.application.operations):
            return None  # there, it stops, and here it has sent already
        exact = self._is_steady(conversation)
        before, after = (
            sorted(describe(event, exact=exact) for event in messages_taken(scene))
            for scene in (one_by_one, at_once)
        )
        contrast = compare(before, after)
        return Finding("concurrency", f"sent at once, {contrast}") if contrast else None

    def cancellation(self, conversation: Conversation) -> Finding | None:
        """Cancel it at each await, for one client after another, and see what the next find."""
        expected = self._logs_without(conversation)
        for victim in VICTIMS:
            for at in range(1, MOST_AWAITS + 1):
                cancelled = [
                    self._scene(conversation, client, Cancellation(victim, at))
                    for client in CLIENTS[:-1]
                ]
                later = [self._scene(conversation, client) for client in (CLIENTS[-1], CLIENTS[0])]
                aftermath = self._perform(*([scene] for scene in (*cancelled, *later)))
                cancellation = cast("Cancellation", cancelled[0].cancellation)
                if not cancellation.happened:
                    break
                finding = self._judge(cancelled[0], aftermath)
                problem = finding.detail if finding else _contrast(later, expected)
                if problem is not None:
                    return Finding("cancellation", f"{cancellation}: {problem}")
        return None

    def _logs_without(self, conversation: Conversation) -> list[list[list[str]]]:
        """Give the logs to expect of a new client, and of one that may have been there before."""
        new = self._scene(conversation, CLIENTS[-1])
        first, again = Scene(conversation), Scene(conversation)
        self._perform([new])
        self._perform([first], [again])
        return [[log(new, exact=False)], [log(scene, exact=False) for scene in (first, again)]]

    def _scene(
        self, conversation: Conversation, client: str, cancellation: Cancellation | None = None
    ) -> Scene:
        if client != CLIENTS[0]:
            conversation = conversation.told_by(client, self.messages)
        return Scene(conversation, client, cancellation=cancellation)

    def _is_steady(self, conversation: Conversation) -> bool:
        """Tell whether the same gives the same, down to the contents of the events."""
        first, second = Scene(conversation), Scene(conversation)
        for scene in (first, second):
            self._perform([scene])
        return log(first, exact=True) == log(second, exact=True)

    def _perform(self, *acts: Sequence[Scene]) -> Aftermath:
        return perform(self.clock or FakeClock(start=_START, turns=_TURNS), self.make, *acts)

    def _judge(self, scene: Scene, aftermath: Aftermath) -> Finding | None:
        if aftermath.stuck:
            return judge_end(aftermath)
        return judge(scene, self.standard) or judge_end(aftermath)


def _contrast(scenes: Sequence[Scene], expected: Sequence[Sequence[list[str]]]) -> str | None:
    """Say where a scene differs from all that is to be expected, if anywhere."""
    for scene, logs in zip(scenes, expected, strict=True):
        contrasts = [compare(each, log(scene, exact=False)) for each in logs]
        if all(contrasts):
            return f"{scene.client}'s connection, an hour later: {contrasts[0]}"
    return None


def describe(event: Event, *, exact: bool) -> str:
    """Put an event into words.

    Args:
        event: The event.
        exact: Whether to tell all of it, or only what is the same each time.
    """
    if exact:
        return repr(event)
    known = (*tokens(event, "in"), *tokens(event, "out"), event.get("code"), event.get("status"))
    return " ".join(str(each) for each in (event["type"], *known) if each is not None)


def log(scene: Scene, *, exact: bool) -> list[str]:
    """Tell what both sides saw of a scene, line by line.

    Args:
        scene: It has been played.
        exact: As for `describe`.
    """
    lines = [f"the server gets {describe(event, exact=exact)}" for event in scene.server.taken]
    for operation in scene.application.operations:
        if operation.raised is not None and scene.hung is not None:
            lines.append(f"{name(scene, operation)}, waits for ever")
        elif operation.raised is not None:
            lines.append(f"{name(scene, operation)}, raises {operation.raised.kind.__name__}")
        elif operation.event is not None:
            lines.append(f"the application gets {describe(operation.event, exact=exact)}")
    if scene.raised is not None and scene.hung is None:
        lines.append(f"it ends with {scene.raised.kind.__name__}")
    return lines


def compare(expected: Sequence[str], seen: Sequence[str]) -> str | None:
    """Say where two logs differ first, if anywhere."""
    for alone, here in zip_longest(expected, seen, fillvalue="no more"):
        if alone != here:
            return f"{here}; otherwise: {alone}"
    return None
