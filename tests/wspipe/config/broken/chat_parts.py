"""What the broken configurations refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wspipe import Composable

if TYPE_CHECKING:
    from decimal import Decimal

HOUSE = 5


def house(connection: Any, receive: Any, send: Any) -> Any:
    """A middleware as it should be."""
    del connection
    return receive, send


def shout(text: str) -> str:
    return text.upper()


async def later(connection: Any, receive: Any, send: Any) -> Any:
    del connection
    return receive, send


async def later_key(connection: Any) -> str:
    del connection
    return "key"


def key(connection: Any) -> str:
    return str(connection)


@dataclass(frozen=True)
class Envelope:
    """An object as it should be."""

    name: str = "e"

    def read(self, event: Any) -> str | None:
        return event.get(self.name)

    def write(self, event: Any, traceparent: str) -> Any:
        return {**event, self.name: traceparent}


class Room:
    """No dataclass."""


@dataclass
class Thawed(Composable):
    """A dataclass that is not frozen."""


@dataclass(frozen=True)
class Plain:
    """A dataclass that cannot be called."""


@dataclass(frozen=True)
class Reserved(Composable):
    """A dataclass with a field that a file could not set."""

    before: str = ""

    def __call__(self, connection: Any, receive: Any, send: Any) -> Any:
        del connection
        return receive, send


@dataclass(frozen=True)
class Typeless(Composable):
    """A dataclass with a field whose type is there for type checkers only."""

    price: Decimal | None = None

    def __call__(self, connection: Any, receive: Any, send: Any) -> Any:
        del connection
        return receive, send


@dataclass(frozen=True)
class Mute(Composable):
    """A dataclass that fails as soon as it is made."""

    def __post_init__(self) -> None:
        raise RuntimeError

    def __call__(self, connection: Any, receive: Any, send: Any) -> Any:
        del connection
        return receive, send


class Locked:
    """An object that quotes what it refuses."""

    def __init__(self, key: str) -> None:
        raise ValueError(f"no lock takes the key {key!r}")


class Moody:
    @property
    def now(self) -> Any:
        raise RuntimeError("not now")


moody = Moody()
