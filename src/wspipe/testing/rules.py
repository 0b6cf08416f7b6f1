"""The rules that `check_middleware` goes by, and what it says where one is broken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RULES: Final = {
    "legality": "either side gets only events that are legal there",
    "errors": "it raises only what it is meant to raise",
    "disconnect": "the application hears of the end when it is there, and not before",
    "answers": "the server gets the accept, the close and the denial of the application",
    "hang": "no receive and no send waits for what cannot come",
    "order": "messages keep their order",
    "lossless": "no message is lost, doubled or added",
    "release": "nothing is left of a connection that has ended",
    "isolation": "a connection knows nothing of the others",
    "concurrency": "sends at the same time give what sends one by one give",
    "cancellation": "whoever is cancelled at an await leaves all as it was",
    "memory": "nothing is kept for each message",
}
"""The rules, by their names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a middleware did that breaks a rule.

    Attributes:
        rule: The name of the rule.
        detail: What happened.
    """

    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Standard:
    """What is expected of a middleware beyond the rules that hold for all.

    Attributes:
        lossless: Whether no message may be lost or doubled.
        raises: What its receive and send may raise besides `WSPipeException` and `OSError`.
    """

    lossless: bool
    raises: tuple[type[Exception], ...]
