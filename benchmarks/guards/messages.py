"""What each guard costs per message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.in_process.raw import echo_text
from benchmarks.in_process.server import TEXT, Session
from wspipe import PipelineMiddleware, on_receive, on_send
from wspipe_middlewares import (
    AuthDeadline,
    ConnectionLimit,
    Drain,
    MessageSizeLimit,
    OriginCheck,
    Recovery,
    SendQueue,
    Timeouts,
)

if TYPE_CHECKING:
    from wspipe import ASGIConnection, Event, Middleware


def same(event: Event, _: ASGIConnection) -> Event:
    """Pass on."""
    return event


PIPELINES: dict[str, Middleware | None] = {
    "empty pipeline": None,
    "on_receive | on_send": on_receive(same) | on_send(same),
    "OriginCheck": OriginCheck(missing="allow"),
    "ConnectionLimit": ConnectionLimit(1000),
    "MessageSizeLimit": MessageSizeLimit(),
    "MessageSizeLimit, sent too": MessageSizeLimit(text_sent=2**20, binary_sent=2**20),
    "Timeouts, idle": Timeouts(idle=60, lifetime=3600),
    "Timeouts, handling, send": Timeouts(idle=60, handling=30, send=30),
    "AuthDeadline": AuthDeadline(within=None),
    "Recovery": Recovery(),
    "Drain": Drain(),
    "SendQueue": SendQueue(),
}


async def time_echo(pipeline: Middleware | None, count: int) -> float:
    """Time an echo, in nanoseconds a message, the connection's beginning and end included."""
    session = Session(TEXT, count)
    await session.serve(PipelineMiddleware(echo_text, pipeline))
    return session.whole / count


async def time_raw(count: int) -> float:
    """Time the same on raw ASGI."""
    session = Session(TEXT, count)
    await session.serve(echo_text)
    return session.whole / count
