"""What waits for one client: messages in order, within bounds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wspipe import message_size

if TYPE_CHECKING:
    from collections.abc import Hashable

    from wspipe import Event
    from wspipe_middlewares.send_queue import SendQueue


@dataclass(slots=True, eq=False)
class Message:
    """A message that waits.

    Attributes:
        event: The event.
        size: Its bytes.
        since: When it came, or the first that it replaces, in seconds.
        key: What replaces it has the same; `None` for nothing.
    """

    event: Event
    size: int
    since: float
    key: Hashable = None


class Backlog:
    """The messages that wait for one client.

    Args:
        config: The bounds.
    """

    __slots__ = ("_by_key", "_config", "_messages", "_size")

    def __init__(self, config: SendQueue) -> None:
        self._config = config
        self._messages: deque[Message] = deque()
        self._by_key: dict[Hashable, Message] = {}
        self._size = 0

    def __len__(self) -> int:
        """Count the messages."""
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Whether the next message might not fit."""
        config = self._config
        return len(self._messages) >= config.max_messages or 2 * self._size >= config.max_bytes

    @property
    def oldest(self) -> Message | None:
        """The first to go."""
        return self._messages[0] if self._messages else None

    def put(self, event: Event, key: Hashable, now: float) -> bool:
        """Add a message, or replace the one with its key.

        Args:
            event: The message.
            key: Its key, `None` for none.
            now: The time, in seconds.

        Returns:
            Whether all is within the bounds, after messages were dropped where that is the policy.
        """
        message = None if key is None else self._by_key.get(key)
        size = message_size(event)
        if size > self._config.max_bytes:
            return self._drops  # alone, and none of those that wait for its sake
        if message is None:
            message = Message(event, size, now, key)
            self._messages.append(message)
            if key is not None:
                self._by_key[key] = message
        else:
            self._size -= message.size
            message.event, message.size = event, size
        self._size += size
        return self._fits() or self._drop()

    def take(self) -> Message:
        """Remove the first message, and give it."""
        message = self._messages.popleft()
        self._forget(message)
        return message

    def drop_older_than(self, moment: float) -> None:
        """Discard what came before a moment, in seconds."""
        while self._messages and self._messages[0].since <= moment:
            self.take()

    def clear(self) -> None:
        """Discard everything."""
        self._messages.clear()
        self._by_key.clear()
        self._size = 0

    @property
    def _drops(self) -> bool:
        return self._config.on_overflow in {"drop_oldest", "drop_newest"}

    def _fits(self) -> bool:
        config = self._config
        return len(self._messages) <= config.max_messages and self._size <= config.max_bytes

    def _drop(self) -> bool:
        if not self._drops:
            return False
        while not self._fits():
            if self._config.on_overflow == "drop_oldest":
                self.take()
            else:
                self._forget(self._messages.pop())
        return True

    def _forget(self, message: Message) -> None:
        self._size -= message.size
        if message.key is not None:
            self._by_key.pop(message.key, None)
