"""The application of a conversation, played by a script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from wspipe.connection import ASGIConnection
from wspipe.pipeline import Pipeline
from wspipe.state_machine import DISCONNECT, UNANSWERED
from wspipe.testing.conversation import PAUSE, Step, is_sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from wspipe.testing.cancellation import Cancellation
    from wspipe.testing.conversation import Conversation
    from wspipe.testing.server import ScriptedServer
    from wspipe.types import Event, Receive, Scope, Send


T = TypeVar("T")

Turn: TypeAlias = list[tuple[int, Step]]
"""What the application does next: a step, with its position, or several at once."""


class ScriptedFailure(Exception):
    """What the scripted application raises."""


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception, without what it holds."""

    kind: type[BaseException]
    text: str

    @classmethod
    def of(cls, error: BaseException) -> Raised:
        """Take down an exception."""
        return cls(type(error), str(error))

    def is_a(self, *kinds: type[BaseException]) -> bool:
        """Tell whether it is of one of these types."""
        return issubclass(self.kind, kinds)

    def __str__(self) -> str:
        return f"{self.kind.__name__}: {self.text}" if self.text else self.kind.__name__


@dataclass(slots=True)
class Operation:
    """A receive or a send of the application, and what came of it.

    Attributes:
        index: Its step in the conversation, counted from 0.
        kind: Which of the two.
        event: What was received.
        raised: What it raised.
        over: Whether it came to an end.
        at_end: Whether the conversation was at an end for the server by then.
    """

    index: int
    kind: Literal["receive", "send"]
    event: Event | None = None
    raised: Raised | None = None
    over: bool = False
    at_end: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether it came to its end, and raised nothing."""
        return self.over and self.raised is None


class ScriptedApplication:
    """Does what a conversation says, through a strict wire of its own.

    It stops where it receives a disconnect, and lets through what a receive or a send raises.
    A receive that is cancelled alone is tried again, and what is sent is not sent again; after an
    answer that is cancelled it stops, because it cannot know whether the server has it. The connect
    event is received without a cancellation of that alone, for nobody does so.

    Args:
        conversation: The script; where that is illegal, there is no wire to refuse it.
        server: Is told how far the application is.
        together: Whether messages that are sent one after the other are sent at once.
        cancellation: Who is cancelled, if anybody.

    Attributes:
        operations: What it did.
        answer: The state of its side of the conversation, as it sees it.
    """

    def __init__(
        self,
        conversation: Conversation,
        server: ScriptedServer,
        *,
        together: bool,
        cancellation: Cancellation | None,
    ) -> None:
        self.conversation = conversation
        self.server = server
        self.together = together
        self.cancellation = cancellation
        self.operations: list[Operation] = []
        self.answer: str = UNANSWERED

    @property
    def is_sending(self) -> bool:
        """Whether a send of its own is under way."""
        return any(each.kind == "send" and not each.over for each in self.operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Play it."""
        inner: ASGIConnection = ASGIConnection(scope)
        if self.conversation.illegal is None:
            receive, send = Pipeline().with_wire(strict=True)(inner, receive, send)
        try:
            await self._act(receive, send)
        finally:
            self.server.advance(len(self.conversation))
            if self.cancellation is not None:
                self.cancellation.over = True
            if inner.has_wire:
                self.answer = inner.wire.sent
        if self.conversation.steps[-1].action == "raise":
            raise ScriptedFailure

    async def _act(self, receive: Receive, send: Send) -> None:
        for turn in self._turns():
            index, step = turn[0]
            self.server.advance(index)
            if step.action == "wait":
                await asyncio.sleep(PAUSE)
            elif step.action == "receive":
                event = await self._receive(index, receive)
                if event["type"] == DISCONNECT:
                    return
            elif len(turn) > 1:
                await self._send_together(turn, send)
            else:
                event = cast("Event", step.event)
                operation = await self._operate(index, "send", partial(send, dict(event)))
                if operation.raised is not None and not step.is_message:
                    return

    async def _receive(self, index: int, receive: Receive) -> Event:
        while True:
            operation = await self._operate(index, "receive", receive)
            if operation.raised is None:
                return cast("Event", operation.event)

    async def _send_together(self, turn: Turn, send: Send) -> None:
        sends = [
            self._operate(index, "send", partial(send, dict(cast("Event", step.event))))
            for index, step in turn
        ]
        for result in await asyncio.gather(*sends, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def _operate(
        self, index: int, kind: Literal["receive", "send"], call: Callable[[], Awaitable[Any]]
    ) -> Operation:
        """Receive or send; give what came of it, where it was not cancelled alone."""
        operation = Operation(index, kind)
        self.operations.append(operation)
        cancellation = self.cancellation
        before = cancellation is not None and cancellation.happened
        try:
            if cancellation is None or cancellation.victim != "operation" or not self.server.handed:
                operation.event = await call()
            else:
                operation.event = await _alone(cancellation.around("operation", call()))
        except _CancelledAlone:
            operation.raised = Raised(asyncio.CancelledError, "")
        except BaseException as error:
            operation.raised = Raised.of(error)
            raise
        finally:
            operation.over, operation.at_end = True, self.server.over
            if cancellation is not None and cancellation.happened and not before:
                cancellation.step = index
        return operation

    def _turns(self) -> Iterator[Turn]:
        """Give its steps in order, one by one, save for messages to be sent together."""
        turn: Turn = []
        for index, step in enumerate(self.conversation):
            mine = step.by == "application" and step.action in {"receive", "event"}
            if turn and not (self.together and is_sent(step) and is_sent(turn[-1][1])):
                yield turn
                turn = []
            if mine or step.action == "wait":
                turn.append((index, step))


class _CancelledAlone(Exception):
    """What was awaited was cancelled, and not who awaited it."""


async def _alone(awaitable: Awaitable[T]) -> T:
    """Await in a task of its own, as `asyncio.wait_for` does in some versions of Python."""
    task = asyncio.ensure_future(awaitable)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    if task.cancelled():
        raise _CancelledAlone
    return task.result()
