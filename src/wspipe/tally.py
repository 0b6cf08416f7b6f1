"""What passed over a connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from wspipe.types import Event

_is_ascii = str.isascii


@dataclass(slots=True)
class Traffic:
    """Messages and bytes of one connection, as they passed the server.

    Text counts in bytes of UTF-8, as it travels (RFC 6455 section 5.6). What the client sent
    before it knew that a middleware has closed is discarded and does not count.

    No count ever goes down, also where another thread reads it.

    Args:
        text_received: Text messages that the client sent.
        text_sent: Text messages that went to it.
        binary_received: Binary messages that the client sent.
        binary_sent: Binary messages that went to it.
        text_bytes_received: Bytes of the text messages that the client sent.
        text_bytes_sent: Bytes of those that went to it.
        binary_bytes_received: Bytes of the binary messages that the client sent.
        binary_bytes_sent: Bytes of those that went to it.
    """

    text_received: int = 0
    text_sent: int = 0
    binary_received: int = 0
    binary_sent: int = 0
    text_bytes_received: int = 0
    text_bytes_sent: int = 0
    binary_bytes_received: int = 0
    binary_bytes_sent: int = 0

    def add(self, other: Traffic) -> None:
        """Count what passed over another connection too.

        Args:
            other: What that has counted.
        """
        self.text_received += other.text_received
        self.text_sent += other.text_sent
        self.binary_received += other.binary_received
        self.binary_sent += other.binary_sent
        self.text_bytes_received += other.text_bytes_received
        self.text_bytes_sent += other.text_bytes_sent
        self.binary_bytes_received += other.binary_bytes_received
        self.binary_bytes_sent += other.binary_bytes_sent

    @property
    def messages_received(self) -> int:
        """Messages that the client sent."""
        return self.text_received + self.binary_received

    @property
    def messages_sent(self) -> int:
        """Messages that the application sent."""
        return self.text_sent + self.binary_sent

    @property
    def bytes_received(self) -> int:
        """Bytes of the messages that the client sent."""
        return self.text_bytes_received + self.binary_bytes_received

    @property
    def bytes_sent(self) -> int:
        """Bytes of the messages that the application sent."""
        return self.text_bytes_sent + self.binary_bytes_sent


def utf8_size(text: str) -> int:
    """Count the bytes of a text in UTF-8; a lone surrogate counts 3."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def encoded_size(text: str) -> int | None:
    """Count the bytes of a text in UTF-8; `None` for a lone surrogate, which has no such form."""
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


def message_size(event: Event) -> int:
    """Count the bytes of a message as the tally does; 0 where it carries nothing countable.

    Args:
        event: A `websocket.receive` or `websocket.send`.
    """
    data = event.get("bytes")
    if data is None:
        data = event.get("text")
    if isinstance(data, str):
        return utf8_size(data)
    if isinstance(data, bytes | bytearray | memoryview):
        return memoryview(cast("bytes", data)).nbytes
    return 0


def plain_size(event: Event, kind: str) -> int | None:
    """Count the bytes of a message that is well formed beyond doubt.

    Args:
        event: Any event, or what should be one.
        kind: The type that it should have.

    Returns:
        The bytes; `None` for whatever needs a closer look.
    """
    try:
        if event["type"] != kind:
            return None
        if "bytes" in event and event["bytes"] is not None:
            data = event["bytes"]
            return len(data) if type(data) is bytes and event.get("text") is None else None
        text = event["text"]
        return len(text) if _is_ascii(text) else encoded_size(text)
    except (AttributeError, KeyError, TypeError):
        return None
