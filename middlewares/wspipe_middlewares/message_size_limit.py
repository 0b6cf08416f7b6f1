"""`MessageSizeLimit`: how large a message may be, received and sent, text and binary."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from sys import maxsize
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from wspipe import (
    ASGIConnection,
    Composable,
    Event,
    Receive,
    Send,
    SteppedReceive,
    WebSocketException,
    message_size,
)
from wspipe_middlewares.options import check_count, refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable

__all__ = ["MessageSizeLimit", "MessageTooBig"]

_PLAIN: Final = frozenset({str, bytes})
_ROOM: Final = 65_536
"""Bytes that a limit leaves at least to the messages by which it is measured."""


class MessageTooBig(WebSocketException):
    """The application sent a message that is over the limit, and nothing of it went out.

    Its close code is 1009, message too big (RFC 6455 section 7.4.1).

    Args:
        kind: `text` or `binary`.
        size: The bytes of the message, of text in UTF-8.
        limit: The bytes that it may have.

    Attributes:
        kind: `text` or `binary`.
        size: The bytes of the message, of text in UTF-8.
        limit: The bytes that it may have.
    """

    def __init__(self, kind: Literal["text", "binary"], size: int, limit: int) -> None:
        detail = (
            f"a {kind} message of {size} bytes was sent, more than the {limit} that it may have"
        )
        super().__init__(detail=detail, code=1009)
        self.kind = kind
        self.size = size
        self.limit = limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSizeLimit(Composable):
    """Limit how large a message may be.

    One from the client that is too large closes the connection with 1009, message too big (RFC 6455
    section 7.4.1), and the application does not get it. One from the application raises
    `MessageTooBig` from its send, and nothing of it goes out. The connection can be used on;
    `websocket_app` closes it with 1009 where the handler lets the exception through.

    When a message gets here, the server has read all of it. So give the server a limit too.

    # Order

    Put it before whatever reads messages, and after what is to count those that are too large.

    Args:
        text_received: Bytes in UTF-8 that a text message from the client may have, `None` for any
            number.
        binary_received: Bytes that a binary message from the client may have, `None` for any
            number.
        text_sent: Bytes in UTF-8 that a text message from the application may have, `None` for any
            number.
        binary_sent: Bytes that a binary message from the application may have, `None` for any
            number.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    text_received: int | None = 1_048_576
    binary_received: int | None = 1_048_576
    text_sent: int | None = None
    binary_sent: int | None = None
    _received: _Bounds | None = field(init=False, repr=False, compare=False)
    _sent: _Bounds | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        limits = self._limits
        for option, limit in limits.items():
            check_count(option, limit)
        if not limits:
            raise refusal("text_received", None, "a number of bytes where there is no other limit")
        received = _Bounds.of(self.text_received, self.binary_received)
        object.__setattr__(self, "_received", received)
        object.__setattr__(self, "_sent", _Bounds.of(self.text_sent, self.binary_sent))

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Wrap each direction that has a limit."""
        if self._received is not None:
            receive = self._limited_receive(connection, receive, self._received)
        if self._sent is not None:
            send = _limited_send(send, self._sent)
        return receive, send

    def _limited_receive(
        self, connection: ASGIConnection, receive: Receive, bounds: _Bounds
    ) -> Receive:
        surely, closing = bounds.surely, False

        def within_limit(event: Event) -> Awaitable[None] | Event | None:
            nonlocal closing
            data: Any = event.get("bytes") or event.get("text")
            if (type(data) in _PLAIN and len(data) <= surely) or bounds.allow(event):
                # The disconnect is next, save for what stages before this one have in hand.
                return None if closing and connection.evicted else event
            closing = True
            kind, limit = bounds.of_kind(event)
            return connection.close(1009, f"{kind} message of more than {limit} bytes", by=self)

        return SteppedReceive(receive, within_limit)

    @property
    def _limits(self) -> dict[str, int]:
        options = ((each.name, getattr(self, each.name)) for each in fields(self) if each.init)
        return {name: limit for name, limit in options if limit is not None}

    def rehearsal(self) -> MessageSizeLimit:
        """Give a copy to be measured, with limits that are not in the way."""
        roomy: dict[str, Any] = {name: max(limit, _ROOM) for name, limit in self._limits.items()}
        return replace(self, **roomy)


def _limited_send(send: Send, bounds: _Bounds) -> Send:
    surely = bounds.surely

    def send_within_limit(event: Event) -> Awaitable[None]:
        data: Any = event.get("bytes") or event.get("text")
        if (type(data) in _PLAIN and len(data) <= surely) or bounds.allow(event):
            return send(event)
        kind, limit = bounds.of_kind(event)
        raise MessageTooBig(kind, message_size(event), limit)

    return send_within_limit


class _Bounds(NamedTuple):
    """How many bytes the messages of one direction may have."""

    text: int
    binary: int

    @classmethod
    def of(cls, text: int | None, binary: int | None) -> _Bounds | None:
        """Give the bounds, `None` where there is none."""
        if text is None and binary is None:
            return None
        return cls(maxsize if text is None else text, maxsize if binary is None else binary)

    @property
    def surely(self) -> int:
        """How long a text or bytes may be to need no closer look."""
        return min(self.text // 4, self.binary)  # no character has more bytes (RFC 3629 section 3)

    def allow(self, event: Event) -> bool:
        """Tell whether an event is no message that is too large."""
        kind, limit = self.of_kind(event)
        text: Any = event.get("text")
        if kind == "text" and isinstance(text, str) and len(text) > limit:
            return False  # it would only be longer in UTF-8
        return message_size(event) <= limit

    def of_kind(self, event: Event) -> tuple[Literal["text", "binary"], int]:
        """Tell of which kind a message is, and what bound it has."""
        return ("text", self.text) if event.get("bytes") is None else ("binary", self.binary)
