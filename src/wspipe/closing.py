"""Ending a conversation from the middle of the pipeline, or from the runner outside of it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from anyio import move_on_after

from wspipe.ending import is_loss
from wspipe.judgement import check_content
from wspipe.payload import truncate_reason
from wspipe.state_machine import (
    ACCEPTED,
    CLOSE,
    CLOSED,
    DENIAL_BODY,
    DENYING,
    REJECTED,
    UNANSWERED,
    WAITING,
)
from wspipe.wire import INTERRUPTIBLE

if TYPE_CHECKING:
    from wspipe.ending import Eviction
    from wspipe.exceptions import ConnectionRejected
    from wspipe.interruption import InterruptibleReceive
    from wspipe.types import Event
    from wspipe.wire import Wire

CLOSE_TIMEOUT: Final = 5.0
"""Seconds that a server has to take a close that wspipe sends by itself."""

CONNECT_TIMEOUT: Final = 1.0
"""Seconds that a server has to give the connect event before a connection is denied without it."""


async def close(wire: Wire, code: int, reason: str, by: object) -> None:
    """Close from the middle: the server gets the close, the application a disconnect.

    Does nothing where the conversation has ended. Where it is just being ended, waits for what
    comes of that, and closes where it comes to nothing. From an accept or a denial that is on its
    way the application is out at once; the close follows it.

    Args:
        wire: The conversation.
        code: The close code.
        reason: The reason, cut to fit.
        by: Who closes.

    Raises:
        ProtocolError: The code may not be sent.
    """
    if wire.ended:
        return
    reason = truncate_reason(reason)
    event: Event = {"type": CLOSE, "code": code, "reason": reason}
    check_content("application", event, wire.situation)
    wire.closing += 1
    # What waits in a receive is in the way of a close on Granian.
    interruptible: InterruptibleReceive | None = wire.connection.scope.get(INTERRUPTIBLE)
    if interruptible is not None:
        interruptible.interrupt(hold=True)
    try:
        await _close_in_turn(wire, code, reason, by)
    finally:
        wire.closing -= 1
        if not wire.closing and interruptible is not None:
            interruptible.resume()


async def _close_in_turn(wire: Wire, code: int, reason: str, by: object) -> None:
    if not wire.over:
        wire.evict(code, reason, by)
    try:
        await wire.settle()
    except BaseException:
        # Given up. It counts all the same, should what is on its way come to nothing.
        wire.evict(code, reason, by)
        raise
    if not wire.over:
        # The eviction that stands: an earlier one whose close did not get through, or this.
        await _send_close(wire, wire.evict(code, reason, by))


async def _send_close(wire: Wire, eviction: Eviction) -> None:
    event: Event = {"type": CLOSE, "code": eviction.code, "reason": eviction.reason}
    if wire.sent == DENYING:
        event = {"type": DENIAL_BODY, "body": b"", "more_body": False}
    then = CLOSED if wire.sent == ACCEPTED else REJECTED
    try:
        await wire.answer(event, then, (eviction.code, eviction.reason, eviction.by))
    except Exception as error:
        if is_loss(error):
            return  # which the wire has noted
        eviction.refused = True
        wire.ending.withdraw()
        raise


async def await_close(wire: Wire) -> None:
    """Wait until the server has dealt with a close from the middle, if one is on its way.

    An application that hears of it returns, and what its runner returns to is the server, which
    then closes in its own way.
    """
    if wire.closing:
        with move_on_after(CLOSE_TIMEOUT):
            await wire.settle()


async def reject(wire: Wire, rejection: ConnectionRejected) -> None:
    """Deny the connection for a middleware whose `admit` said so; close it where accepted.

    Args:
        wire: The conversation; it is given its connect event first.
        rejection: How to deny.

    Raises:
        ProtocolError: The rejection makes no sense, such as one with status 101.
    """
    if wire.received == WAITING:
        # Some test clients, such as Quart's, never send it.
        with move_on_after(CONNECT_TIMEOUT):
            await wire.receive()
    if wire.over:
        return
    by = wire.blame if rejection.by is None else rejection.by
    if wire.sent != UNANSWERED:
        await close(wire, rejection.code, rejection.reason, by)
        return
    wire.blame = by
    with suppress(OSError):
        for event in rejection.events(wire.connection.scope):
            check_content("application", event, wire.situation)
            await wire.send(event)


def plan_end(wire: Wire, code: int | None, by: object, *, status: int | None = None) -> None:
    """Note how the conversation is going to end unless a stage ends it first.

    So the exit callbacks, which run before, already read the truth.

    Args:
        wire: The conversation.
        code: The close code, `None` where the server will choose.
        by: Who ends it.
        status: The HTTP status that is going to answer the handshake, where none did.
    """
    if not wire.over and not wire.ending.lost and not wire.evicted:
        if wire.sent == UNANSWERED:
            wire.connection.handshake_status = status
        wire.ending.record(code, "", by, final=False)
