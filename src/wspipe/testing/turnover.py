"""The trial of turnover: many short connections, and what each leaves behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from itertools import count, islice, pairwise
from typing import TYPE_CHECKING, Final, cast

from wspipe.middleware import PipelineMiddleware
from wspipe.state_machine import ACCEPT, CONNECT, DISCONNECT
from wspipe.testing.client import websocket_scope
from wspipe.testing.conversation import RECEIVES, RETURN, Conversation, event, message
from wspipe.testing.loop import NeverEnds
from wspipe.testing.rules import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.testing.clock import FakeClock
    from wspipe.testing.conversation import Messages
    from wspipe.types import Event, Middleware, Receive, Scope, Send

WINDOW: Final = 32
"""Connections between two looks at the memory."""

WINDOWS: Final = 5
WINDOWS_IN_DOUBT: Final = 25
"""What grows for so long is a leak; a cache or a buffer that fills up is not."""


def keeps_connections(
    clock: FakeClock, make: Callable[[], Middleware], messages: Messages
) -> tuple[Finding, Conversation] | None:
    """Have a client come and go again and again, each time with one message.

    Args:
        clock: Runs it.
        make: Makes the middleware, one for all the connections.
        messages: Gives the payloads.

    Returns:
        What is wrong, and the conversation that shows it.
    """
    conversation = Conversation(
        (
            event("server", CONNECT),
            RECEIVES,
            event("application", ACCEPT),
            message("server", "in-1", 0, messages),
            RECEIVES,
            event("server", DISCONNECT, code=1001),
            RECEIVES,
            RETURN,
        )
    )
    blocks: list[int] = []
    with suppress(NeverEnds):  # which the other trials tell better
        clock.run(_turn_over, make(), messages, blocks)
    growth = _growth(blocks)
    if not _is_a_leak(growth):
        return None
    left = round(growth / WINDOW, 1)
    detail = f"each such connection leaves about {left} blocks of memory behind when it has ended"
    return Finding("release", detail), conversation


def _growth(blocks: list[int]) -> int:
    return min((after - before for before, after in pairwise(blocks)), default=0)


def _is_a_leak(growth: int) -> bool:
    return 2 * growth >= WINDOW


async def _turn_over(middleware: Middleware, messages: Messages, blocks: list[int]) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": ACCEPT})
        while (await receive())["type"] != DISCONNECT:
            pass

    runner = PipelineMiddleware(app, middleware)
    await runner.pipeline.startup()
    tokens = (f"in-{number}" for number in count())
    while len(blocks) < WINDOWS or (_is_a_leak(_growth(blocks)) and len(blocks) < WINDOWS_IN_DOUBT):
        for token in islice(tokens, WINDOW):
            step = message("server", token, 0, messages)
            await _come_and_go(runner, cast("Event", step.event))
            await asyncio.sleep(100)  # what is kept for a while may be let go
        gc.collect()
        # These are of small objects, whenever they were made: what is traced from now on would
        # grow while it takes the place of what was there before.
        blocks.append(sys.getallocatedblocks())
    await runner.pipeline.shutdown()


async def _come_and_go(runner: PipelineMiddleware, received: Event) -> None:
    events: list[Event] = [{"type": DISCONNECT, "code": 1001}, received, {"type": CONNECT}]

    async def receive() -> Event:
        await asyncio.sleep(0)
        return events.pop() if len(events) > 1 else events[0]

    async def send(_: Event) -> None:
        await asyncio.sleep(0)

    with suppress(Exception):  # which the other trials have looked into
        await runner(websocket_scope(), receive, send)
