"""What was decided, counted: for the metrics, and on each connection for its log line and span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from wspipe_middlewares.names import RATE_LIMIT_KEY

if TYPE_CHECKING:
    from wspipe import ASGIConnection

Decision: TypeAlias = Literal[
    "admitted", "delayed", "dropped", "closed", "rejected", "raised", "handled"
]
"""What became of a message, or of a connection at its handshake.

- `admitted`: it passed at once;
- `delayed`: it passed later;
- `dropped`: it did not pass;
- `closed`: the connection was closed;
- `rejected`: the handshake was denied;
- `raised`: the handler got an exception;
- `handled`: the user's function decided.
"""


@dataclass(slots=True)
class Decisions:
    """How often each decision was made."""

    admitted: int = 0
    delayed: int = 0
    dropped: int = 0
    closed: int = 0
    rejected: int = 0
    raised: int = 0
    handled: int = 0

    def note(self, decision: Decision, connection: ASGIConnection) -> None:
        """Count a decision other than `admitted`, here and on its connection."""
        setattr(self, decision, getattr(self, decision) + 1)
        noted: dict[str, int] = connection.scope.setdefault(RATE_LIMIT_KEY, {})
        noted[decision] = noted.get(decision, 0) + 1


DECISIONS: tuple[Decision, ...] = get_args(Decision)
"""Every decision."""
