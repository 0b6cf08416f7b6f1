"""One conversation, played with a middleware between a scripted server and application."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Final, cast

from wspipe.exceptions import ProtocolError, SentAfterClose
from wspipe.middleware import PipelineMiddleware
from wspipe.pipeline import Pipeline, StateValidation
from wspipe.state_machine import SEND, UNANSWERED, WAITING
from wspipe.testing.application import Raised, ScriptedApplication
from wspipe.testing.client import websocket_scope
from wspipe.testing.loop import place
from wspipe.testing.server import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe.connection import ASGIConnection
    from wspipe.testing.cancellation import Cancellation
    from wspipe.testing.conversation import Conversation
    from wspipe.types import Event, Middleware, Receive, Scope, Send

CLIENTS: Final = ("ann", "bob", "cyd", "dan", "eve")
"""The users of the clients."""

PATIENCE: Final = 3600.0
"""Seconds of virtual time after which a conversation is given up."""


class Scene:
    """Plays a conversation once, by the real runner.

    Args:
        conversation: The script.
        client: Whose it is: each of `CLIENTS` has a user and an address.
        together: Whether messages that the application sends one after the other are sent at once,
            to a server that takes its time.
        cancellation: Who is cancelled, and when.

    Attributes:
        violations: What the middleware sent to the server that is illegal.
        losses: How many messages failed, while the application was sending, for want of a client.
        raised: What the runner raised.
        received: The state of the server's side, as the wire has it.
        sent: The state of the application's side, as the wire has it.
        evicted: Whether a middleware closed the connection.
        hung: Where it waited when it was given up.
        connection: Gives the connection, if it is still there.
    """

    def __init__(
        self,
        conversation: Conversation,
        client: str = CLIENTS[0],
        *,
        together: bool = False,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.conversation = conversation
        self.client = client
        self.together = together
        self.cancellation = cancellation
        self.server: ScriptedServer = ScriptedServer(conversation, self._cancel, uneven=together)
        self.application: ScriptedApplication = ScriptedApplication(
            conversation, self.server, together=together, cancellation=cancellation
        )
        self.violations: list[str] = []
        self.losses = 0
        self.raised: Raised | None = None
        self.received: str = WAITING
        self.sent: str = UNANSWERED
        self.evicted: bool = False
        self.hung: str | None = None
        self.connection: Callable[[], ASGIConnection | None] = lambda: None
        self._connection: ASGIConnection | None = None
        self._cancelled_by_script = False
        self._task: asyncio.Task[None] | None = None

    @property
    def was_cancelled(self) -> bool:
        """Whether the application was cancelled, by its script or otherwise."""
        return self._cancelled_by_script or (
            self.cancellation is not None
            and self.cancellation.victim == "application"
            and self.cancellation.happened
        )

    async def play(self, middleware: Middleware) -> None:
        """Play it.

        Args:
            middleware: Stands in between.
        """
        stages = Pipeline(StateValidation(strict=True), self._watch, middleware)
        scope = websocket_scope(extensions=self.conversation.extensions)
        scope["user"] = self.client
        scope["client"] = (f"192.0.2.{1 + CLIENTS.index(self.client)}", 50000)
        self._task = asyncio.create_task(
            self._run(PipelineMiddleware(self.application, stages), scope)
        )
        await asyncio.wait({self._task}, timeout=PATIENCE)
        if not self._task.done():
            self.hung = place(self._task)
            self._task.cancel()
            # A middleware may swallow that, so it is not waited for either.
            await asyncio.wait({self._task}, timeout=PATIENCE)
        self._take_stock()

    def _cancel(self) -> None:
        self._cancelled_by_script = True
        cast("asyncio.Task[None]", self._task).cancel()

    async def _run(self, runner: PipelineMiddleware, scope: Scope) -> None:
        running: Awaitable[None] = runner(scope, self.server.receive, self.server.send)
        if self.cancellation is not None:
            running = self.cancellation.around("application", running)
        try:
            await running
        except BaseException as error:  # noqa: BLE001 - what it means is judged later
            self.raised = Raised.of(error)
        self.server.ended = True

    def _watch(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Stand between the wire and the middleware, who may swallow what the wire raises."""
        self._connection = connection

        async def watched_send(event: Event) -> None:
            try:
                await send(event)
            except SentAfterClose as error:
                # The end may come at any moment. Who has caught that has sent nothing.
                if event["type"] != SEND:
                    self.violations.append(error.detail)
                raise
            except ProtocolError as error:
                self.violations.append(error.detail)
                raise
            except OSError:
                self.losses += event["type"] == SEND and self.application.is_sending
                raise

        return receive, watched_send

    def _take_stock(self) -> None:
        """Note what the connection tells, and let it go."""
        connection = cast("ASGIConnection", self._connection)
        self._connection = None
        wire = connection.wire
        self.received = wire.received
        self.sent = wire.sent
        self.evicted = wire.evicted
        self.connection = weakref.ref(connection)
