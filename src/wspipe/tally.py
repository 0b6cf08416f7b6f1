"""What passed over a connection, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from wspipe.types import Event

# Who must have sent the close code of a disconnect event. The codes left out are sent by either
# side, or by nobody (1006): for them the event does not tell. Sources: RFC 6455 section 7.4.1 (1005
# is a close frame without a code; 1010 is only for clients) and its IANA registry (1012 to 1014).
_CLIENT_CODES: Final = frozenset({1000, 1001, 1005, 1010, *range(3000, 5000)})
_SERVER_CODES: Final = frozenset({1012, 1013, 1014})


@dataclass(slots=True)
class Traffic:
    """Messages and bytes of one connection, as they passed the server.

    Text counts in bytes of UTF-8, as it travels (RFC 6455 section 5.6).
    """

    messages_received: int = 0
    messages_sent: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0


@dataclass(slots=True)
class Ending:
    """How a conversation ended: the first final record stays, a provisional one gives way."""

    code: int | None = None
    reason: str = ""
    by: object = None
    final: bool = False

    def record(self, code: object, reason: object, by: object, *, final: bool = True) -> None:
        """Note an end, unless a final one is noted.

        Code and reason come from events that may be malformed where not strict; FastAPI, for one,
        gives the errors of its parameters as a list.
        """
        if not self.final:
            self.code = int(code) if isinstance(code, int) else None
            self.reason = reason if isinstance(reason, str) else str(reason)
            self.by, self.final = by, final

    def forget(self) -> None:
        """Take the record back: what was about to end the conversation did not happen."""
        self.code, self.reason, self.by, self.final = None, "", None, False


def who_closed(code: object) -> str:
    """Tell from a disconnect event's code which side closed, or `"unknown"` where it does not."""
    if not isinstance(code, int):
        return "unknown"
    if code in _CLIENT_CODES:
        return "client"
    return "server" if code in _SERVER_CODES else "unknown"


def disconnect_code(event: Event) -> int:
    """Read the code of a disconnect event; without one it is 1005, as ASGI has it."""
    code: int | None = event.get("code")
    return 1005 if code is None else code


def utf8_size(text: str) -> int:
    """Count the bytes of a text in UTF-8; a lone surrogate counts 3."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def message_size(event: Event) -> int:
    """Count the bytes of a message event; 0 where it carries nothing that can be counted."""
    data = event.get("bytes")
    if data is None:
        data = event.get("text")
    if isinstance(data, str):
        return utf8_size(data)
    if isinstance(data, bytes | bytearray | memoryview):
        return memoryview(cast("bytes", data)).nbytes
    return 0
