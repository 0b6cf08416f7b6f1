"""The trial of memory: a long connection, and what it keeps of each message."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from wspipe.middleware import PipelineMiddleware
from wspipe.state_machine import ACCEPT, CONNECT, DISCONNECT, Sender
from wspipe.testing.client import websocket_scope
from wspipe.testing.conversation import RECEIVES, RETURN, Conversation, event, message
from wspipe.testing.loop import NeverEnds
from wspipe.testing.rules import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.testing.clock import FakeClock
    from wspipe.testing.conversation import Messages
    from wspipe.types import Event, Middleware, Receive, Scope, Send

WINDOW: Final = 256
"""Rounds between two looks at the memory."""

WINDOWS: Final = 4

LEAST: Final = 4 * WINDOW
"""Bytes by which each window has to grow to count; an item of a list takes 8."""


def keeps_messages(
    clock: FakeClock, make: Callable[[], Middleware], messages: Messages
) -> tuple[Finding, Conversation] | None:
    """Send many messages over one connection: the client's, the application's, and both in turn.

    Args:
        clock: Runs it.
        make: Makes the middleware.
        messages: Gives the payloads.

    Returns:
        What is wrong, and one round of the conversation that shows it.
    """
    for inward, outward in ((True, False), (False, True), (True, True)):
        connection = _LongConnection(messages, inward=inward, outward=outward)
        try:
            kept = connection.measure(clock, make())
        except NeverEnds:
            detail = f"after {connection.rounds} messages or so it waits for ever"
            return Finding("hang", detail), connection.one_round()
        if kept:
            rounds = WINDOW * WINDOWS
            detail = (
                f"its last steps, {rounds} times over, leave about {kept} bytes behind each time"
            )
            return Finding("memory", detail), connection.one_round()
    return None


class _LongConnection:
    """A server and an application that exchange messages, and keep none.

    Args:
        messages: Gives the payloads.
        inward: Whether the client sends.
        outward: Whether the application does.
    """

    def __init__(self, messages: Messages, *, inward: bool, outward: bool) -> None:
        self.messages = messages
        self.inward = inward
        self.outward = outward
        self.handed = self.rounds = 0
        self.sizes: list[int] = []

    def measure(self, clock: FakeClock, middleware: Middleware) -> int:
        """Give the bytes that a round leaves behind, 0 where it is nothing to speak of."""
        traced = tracemalloc.is_tracing()
        if not traced:
            tracemalloc.start()
        try:
            clock.run(self._run, middleware)
        finally:
            if not traced:
                tracemalloc.stop()
        pairs = zip(self.sizes, self.sizes[1:], strict=False)
        growth = min((after - before for before, after in pairs), default=0)
        # Where a middleware has closed before, there is nothing to tell.
        return growth // WINDOW if len(self.sizes) == WINDOWS and growth >= LEAST else 0

    async def _run(self, middleware: Middleware) -> None:
        async def app(_: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": ACCEPT})
            while self.rounds < WINDOW * WINDOWS:
                self.rounds += 1
                if self.inward and (await receive())["type"] == DISCONNECT:
                    return
                if self.outward:
                    await send(self._message("application", self.rounds))
                if not self.rounds % WINDOW:
                    gc.collect()
                    self.sizes.append(tracemalloc.get_traced_memory()[0])

        runner = PipelineMiddleware(app, middleware)
        await runner.pipeline.startup()
        with suppress(Exception):  # which the other trials have looked into
            await runner(websocket_scope(), self._receive, self._send)
        await runner.pipeline.shutdown()

    async def _receive(self) -> Event:
        await asyncio.sleep(0)
        self.handed += 1
        if self.handed == 1:
            return {"type": CONNECT}
        if self.inward and self.handed <= 1 + WINDOW * WINDOWS:
            return self._message("server", self.handed - 1)
        return {"type": DISCONNECT, "code": 1001}

    async def _send(self, _: Event) -> None:
        await asyncio.sleep(0)

    def _message(self, by: Sender, number: int) -> Event:
        token = f"{'in' if by == 'server' else 'out'}-{number}"
        choice = number % (2 * len(self.messages(token)))
        return cast("Event", message(by, token, choice, self.messages).event)

    def one_round(self) -> Conversation:
        """Give the conversation with one round of messages."""
        steps = [event("server", CONNECT), RECEIVES]
        steps.append(event("application", ACCEPT))
        if self.inward:
            steps.append(message("server", "in-1", 0, self.messages))
            steps.append(RECEIVES)
        if self.outward:
            steps.append(message("application", "out-1", 0, self.messages))
        return Conversation((*steps, RETURN))
