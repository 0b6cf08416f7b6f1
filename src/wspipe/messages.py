"""What a message is: its mode, what it carries, and one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Literal, Self, TypeAlias, TypeVar, overload

from wspipe.ending import disconnect_code
from wspipe.exceptions import (
    ImproperlyConfiguredException,
    WebSocketDisconnect,
    WebSocketException,
)
from wspipe.state_machine import DISCONNECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe.types import Event

T = TypeVar("T")

Mode: TypeAlias = Literal["text", "binary"]
"""The kind of a message's frame."""


def key_of(mode: Mode) -> Literal["text", "bytes"]:
    """Give the key under which an event has its payload.

    Raises:
        ImproperlyConfiguredException: There is no such mode.
    """
    if mode == "text":
        return "text"
    if mode == "binary":
        return "bytes"
    raise ImproperlyConfiguredException(detail=f"mode is 'text' or 'binary', not {mode!r}")


@overload
def content_of(event: Event, key: Literal["text"]) -> str: ...
@overload
def content_of(event: Event, key: Literal["bytes"]) -> bytes: ...
@overload
def content_of(event: Event, key: Literal["text", "bytes"]) -> str | bytes: ...


def content_of(event: Event, key: Literal["text", "bytes"]) -> str | bytes:
    """Give what a message carries.

    Args:
        event: A receive or disconnect event.
        key: What it should carry.

    Raises:
        WebSocketDisconnect: It is a disconnect; with its code.
        WebSocketException: It is a message of the other kind (code 1003).
    """
    if event["type"] == DISCONNECT:
        code, reason = disconnect_code(event), event.get("reason")
        raise WebSocketDisconnect(
            detail=f"the conversation is over: {code} {reason or ''}".rstrip(), code=code
        )
    data: str | bytes | None = event.get(key)
    if data is None:
        other = "a binary" if key == "text" else "a text"
        expected = "text" if key == "text" else "binary"
        raise WebSocketException(
            detail=f"{other} frame came where {expected} was expected", code=1003
        )
    return data


class Messages(Generic[T]):
    """Messages until the end. Not a generator, which would have to be closed after a `break`."""

    __slots__ = ("_receive",)

    def __init__(self, receive: Callable[[], Awaitable[T]]) -> None:
        self._receive = receive

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._receive()
        except WebSocketDisconnect:
            raise StopAsyncIteration from None
