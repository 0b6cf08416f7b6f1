"""A conversation: what the server's side and the application do, step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.state_machine import (
    ACCEPT,
    CLOSE,
    CONNECT,
    DENIAL_BODY,
    DENIAL_EXTENSION,
    DENIAL_START,
    DISCONNECT,
    RECEIVE,
    SEND,
    Sender,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe.types import Event

Messages: TypeAlias = Callable[[str], Sequence[str | bytes]]
"""Gives the payloads to choose from for a message, each with this token in it."""

Action: TypeAlias = Literal["event", "wait", "cancel", "receive", "raise", "return"]
"""What is done at a step. The server's side has an event for the application, lets time pass, or
cancels the application; the application sends an event, receives one, raises or returns."""

PAUSE: Final = 60.0
"""Seconds that a step of waiting lasts."""


def plain_messages(token: str) -> tuple[str | bytes, ...]:
    """Give a text and a binary message that are nothing but the token."""
    return token, token.encode()


def check_messages(messages: Messages) -> None:
    """Refuse a function that gives something else than payloads.

    Args:
        messages: The function, which is tried with a token.

    Raises:
        ImproperlyConfiguredException: It does.
    """
    given: Any = messages("in-1")
    single = isinstance(given, str | bytes)
    listed = bool(given) and not single and hasattr(given, "__getitem__")
    if not listed or not all(isinstance(each, str | bytes) for each in given):
        raise ImproperlyConfiguredException(
            detail=f"messages gives {given!r} for the token 'in-1'; it must give a list of texts "
            "and bytes, one or more, each with the token in it"
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversation; its `str` is a sentence.

    Attributes:
        by: Whose step it is.
        action: What is done.
        event: The event of an `"event"`.
        token: What the payload of a message carries, by which it is recognised.
        choice: Which of the payloads for the token it is, and in which form: two forms for each,
            without the other key of `text` and `bytes`, and with `None` for it.
    """

    by: Sender
    action: Action
    event: Event | None = None
    token: str | None = None
    choice: int = 0

    @property
    def is_message(self) -> bool:
        """Whether it is a message, from either side."""
        return self.token is not None

    def __str__(self) -> str:
        if self.event is None:
            return _SENTENCES[self.action]
        describe = _DESCRIPTIONS.get((self.by, self.event.get("type", "")))
        if describe is None:
            return f"the {self.by} sends {dict(self.event)!r}"
        return describe(self.event)


@dataclass(frozen=True, slots=True, repr=False)
class Conversation:
    """A sequence of steps, which starts as a client connects and ends as the application does.

    Its `repr` is a numbered list of sentences.

    Attributes:
        steps: The steps, in order.
        denial: Whether the server has the denial response extension.
        illegal: The position in `steps` of the one that the ASGI specification forbids, `None`
            where there is none.
    """

    steps: tuple[Step, ...]
    denial: bool = True
    illegal: int | None = None

    @property
    def illegal_step(self) -> Step | None:
        """The step that the specification forbids, if any."""
        return None if self.illegal is None else self.steps[self.illegal]

    @property
    def extensions(self) -> tuple[str, ...]:
        """The ASGI extensions that the server has."""
        return (DENIAL_EXTENSION,) if self.denial else ()

    def told_by(self, name: str, messages: Messages) -> Conversation:
        """Give the same conversation of another client, whose messages have tokens of their own.

        Args:
            name: What tells the tokens apart.
            messages: Made the messages of this one.
        """
        return replace(self, steps=tuple(_renamed(step, name, messages) for step in self.steps))

    def __iter__(self) -> Iterator[Step]:
        """Go through the steps."""
        return iter(self.steps)

    def __len__(self) -> int:
        """Count the steps."""
        return len(self.steps)

    def __repr__(self) -> str:
        lines = [f"{number:3}. {step}" for number, step in enumerate(self.steps, 1)]
        if self.illegal is not None:
            lines[self.illegal] += "  <- illegal"
        return "\n".join(lines)


RECEIVES: Final = Step("application", "receive")
RAISE: Final = Step("application", "raise")
RETURN: Final = Step("application", "return")
WAIT: Final = Step("server", "wait")
CANCEL: Final = Step("server", "cancel")


def event(by: Sender, kind: str, **content: Any) -> Step:
    """Make the step of an event other than a message."""
    return Step(by, "event", {"type": kind, **content})


def message(by: Sender, token: str, choice: int, messages: Messages) -> Step:
    """Make the step of a message.

    Args:
        by: Who sends it.
        token: What it carries.
        choice: Which payload and form: see `Step`.
        messages: Gives the payloads.
    """
    payload = messages(token)[choice // 2]
    key, other = ("text", "bytes") if isinstance(payload, str) else ("bytes", "text")
    content: Event = {"type": RECEIVE if by == "server" else SEND, key: payload}
    if choice % 2:
        content[other] = None
    return Step(by, "event", content, token, choice)


def is_sent(step: Step) -> bool:
    """Tell whether a step is a message of the application."""
    return step.is_message and step.by == "application"


def _renamed(step: Step, name: str, messages: Messages) -> Step:
    if step.token is None:
        return step
    return message(step.by, f"{name}-{step.token}", step.choice, messages)


_SENTENCES: Final[dict[str, str]] = {
    "wait": "a minute passes",
    "cancel": "the server cancels the application",
    "receive": "the application receives",
    "raise": "the application raises",
    "return": "the application returns",
}


def _of_message(who: str) -> Callable[[Event], str]:
    def describe(event: Event) -> str:
        parts = [f"{key} {event[key]!r}" for key in event if key != "type"]
        return f"{who} sends {' and '.join(parts) or 'an empty event'}"

    return describe


def _of_disconnect(event: Event) -> str:
    code = event.get("code", 1005)
    if code == 1006:
        return "the client vanishes"
    return (
        "the client leaves without a code" if code == 1005 else f"the client leaves with {code!r}"
    )


def _of_accept(event: Event) -> str:
    details = "".join(f", {key} {event[key]!r}" for key in event if key != "type")
    return f"the application accepts{details}"


def _of_close(event: Event) -> str:
    if "code" not in event:
        return "the application closes without a code"
    reason = f" {event['reason']!r}" if "reason" in event else ""
    return f"the application closes with {event['code']}{reason}"


def _of_denial_body(event: Event) -> str:
    more = "a part of" if event.get("more_body") else "the last part of"
    return f"the application sends {more} the denial's body"


_DESCRIPTIONS: Final[dict[tuple[str, str], Callable[[Event], str]]] = {
    ("server", CONNECT): lambda _: "the client connects",
    ("server", RECEIVE): _of_message("the client"),
    ("server", DISCONNECT): _of_disconnect,
    ("application", ACCEPT): _of_accept,
    ("application", SEND): _of_message("the application"),
    ("application", CLOSE): _of_close,
    ("application", DENIAL_START): lambda event: f"the application denies with {event['status']}",
    ("application", DENIAL_BODY): _of_denial_body,
}
