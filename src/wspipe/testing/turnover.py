"""The trial of turnover: many short connections, and what each leaves behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import suppress
from itertools import pairwise
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
    growth = min((after - before for before, after in pairwise(blocks)), default=0)
    if 2 * growth < WINDOW:
        return None
    count = round(growth / WINDOW, 1)
    detail = f"each such connection leaves about {count} blocks of memory behind when it has ended"
    return Finding("release", detail), conversation


async def _turn_over(middleware: Middleware, messages: Messages, blocks: list[int]) -> None:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": ACCEPT})
        while (await receive())["type"] != DISCONNECT:
            pass

    async def send(_: Event) -> None:
        await asyncio.sleep(0)

    runner = PipelineMiddleware(app, middleware)
    await runner.pipeline.startup()
    for number in range(WINDOW * WINDOWS):
        events: list[Event] = [
            {"type": DISCONNECT, "code": 1001},
            cast("Event", message("server", f"in-{number}", 0, messages).event),
            {"type": CONNECT},
        ]

        async def receive(events: list[Event] = events) -> Event:
            await asyncio.sleep(0)
            return events.pop() if len(events) > 1 else events[0]

        with suppress(Exception):  # which the other trials have looked into
            await runner(websocket_scope(), receive, send)
        await asyncio.sleep(100)  # what is kept for a while may be let go
        if number % WINDOW == WINDOW - 1:
            gc.collect()
            # These are of small objects, whenever they were made: what is traced from now on would
            # grow while it takes the place of what was there before.
            blocks.append(sys.getallocatedblocks())
    await runner.pipeline.shutdown()
