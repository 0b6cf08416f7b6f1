"""A walk through the table of the state machine, from one legal step to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from wspipe.state_machine import (
    ACCEPT,
    ACCEPTED,
    CLOSE,
    CONNECT,
    CONNECTED,
    DENIAL_BODY,
    DENIAL_START,
    DISCONNECT,
    RECEIVE,
    REJECTED,
    RULES,
    SEND,
    TRANSITIONS,
    UNANSWERED,
    WAITING,
    Sender,
    legal_events,
)
from wspipe.testing.conversation import (
    RECEIVES,
    WAIT,
    Messages,
    Step,
    check_messages,
    event,
    message,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_APP: Final = "application"

_EVENTS: Final[dict[str, tuple[Step, ...]]] = {
    CONNECT: (event("server", CONNECT),),
    DISCONNECT: (
        event("server", DISCONNECT, code=1001, reason="away"),
        event("server", DISCONNECT, code=1006),
        event("server", DISCONNECT, code=1005, reason=None),
    ),
    ACCEPT: (event(_APP, ACCEPT), event(_APP, ACCEPT, headers=[(b"x-one", b"1")])),
    CLOSE: (
        event(_APP, CLOSE, code=1000),
        event(_APP, CLOSE),
        event(_APP, CLOSE, code=4000, reason="done"),
    ),
    DENIAL_START: (event(_APP, DENIAL_START, status=403, headers=[]),),
    DENIAL_BODY: (
        event(_APP, DENIAL_BODY, body=b"no"),
        event(_APP, DENIAL_BODY, body=b"n", more_body=True),
    ),
}
"""What each event but a message may look like, the simplest first. What ASGI lets a side leave out
is left out in some."""

_MALFORMED: Final = {
    ACCEPT: event(_APP, ACCEPT, headers=[(b"X-Upper-Case", b"1")]),
    SEND: event(_APP, SEND),
    CLOSE: event(_APP, CLOSE, code=1005),
    DENIAL_START: event(_APP, DENIAL_START, status=101),
    RECEIVE: event("server", RECEIVE, text="both", bytes=b"both"),
    DISCONNECT: event("server", DISCONNECT, code="1001"),
}
"""Events of a legal type with an illegal content."""

_WEIGHTS: Final = {ACCEPT: 8, RECEIVE: 4, SEND: 4}
"""How often what makes a conversation long is among the choices; the rest is there once."""


@dataclass
class Walk:
    """A walk so far.

    Attributes:
        messages: Gives the payloads.
        denial: Whether the server has the denial response extension.
        steps: The steps.
        told: The state of the server's side, once the application has read all.
        sent: The state of the application's side.
        unread: How many events the application has not read.
        left: Whether the client has left.
    """

    messages: Messages
    denial: bool
    steps: list[Step] = field(default_factory=list[Step])
    told: str = WAITING
    sent: str = UNANSWERED
    unread: int = 0
    left: bool = False

    def __post_init__(self) -> None:
        """Refuse messages that are none."""
        check_messages(self.messages)

    def add(self, step: Step) -> None:
        """Go a step on."""
        self.steps.append(step)
        if step.action == "receive":
            self.unread -= 1
        if step.event is None:
            return
        kind = step.event["type"]
        then = TRANSITIONS[step.by, kind, self.told, self.sent]
        if step.by == "server":
            self.told = then
            self.unread += 1
            self.left = kind == DISCONNECT
        else:
            last_part = kind == DENIAL_BODY and not step.event.get("more_body")
            self.sent = REJECTED if last_part else then

    def connect(self) -> None:
        """Begin."""
        self.add(_EVENTS[CONNECT][0])

    def read(self) -> None:
        """Have the application receive all that there is."""
        while self.unread:
            self.add(RECEIVES)

    def follow(self, step: Step) -> bool:
        """Go a step of another walk, if it is legal here; a message gets the number it has here."""
        if step.is_message and step.event is not None:
            forms = self.forms(step.event["type"])
            step = forms[min(step.choice, len(forms) - 1)]
        if not any(step in forms for forms in self.legal_steps(leave=True)):
            return False
        self.add(step)
        return True

    def forbids(self, step: Step) -> bool:
        """Tell whether a step is illegal here, and would be noticed."""
        alike = any(step.event == other.event for other in self.illegal_steps(step.by))
        return alike and (step.by == "application" or not self.unread)

    @staticmethod
    def plain_form(step: Step) -> Step:
        """Give the simplest form of a step."""
        if step.is_message:
            return replace(step, choice=0)
        return _EVENTS[step.event["type"]][0] if step.event is not None else step

    def legal_steps(self, *, leave: bool) -> list[Sequence[Step]]:
        """List the kinds of steps that may follow, and for each kind its forms."""
        if self.left and not self.unread:
            return []
        found: list[Sequence[Step]] = []
        if self.unread:
            found += [(RECEIVES,)] * 2
        for sender in (_APP, "server"):
            for kind in legal_events(sender, self.told, self.sent, denial=self.denial):
                if kind != DISCONNECT or (leave and not self.left):
                    found += [self.forms(kind)] * _WEIGHTS.get(kind, 1)
        if self.sent == ACCEPTED and self.told == CONNECTED:
            found.append((WAIT,))
        return found

    def illegal_steps(self, sender: Sender) -> Sequence[Step]:
        """List what a side may not do."""
        legal = legal_events(sender, self.told, self.sent, denial=self.denial)
        kinds = dict.fromkeys(rule.event for rule in RULES if rule.sender == sender)
        malformed = [step for kind, step in _MALFORMED.items() if kind in legal]
        return [self.forms(kind)[0] for kind in kinds if kind not in legal] + malformed

    def forms(self, kind: str) -> Sequence[Step]:
        """List the forms of an event."""
        if kind in _EVENTS:
            return _EVENTS[kind]
        by: Sender = "server" if kind == RECEIVE else _APP
        number = 1 + sum(step.is_message and step.by == by for step in self.steps)
        token = f"{'in' if by == 'server' else 'out'}-{number}"
        choices = range(2 * len(self.messages(token)))
        return [message(by, token, choice, self.messages) for choice in choices]
