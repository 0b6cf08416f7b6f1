"""The server's side of a conversation, played by a script."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from wspipe.state_machine import ACCEPT, CLOSE, DENIAL_BODY, DISCONNECT, RECEIVE
from wspipe.testing.conversation import PAUSE

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.testing.conversation import Conversation, Step
    from wspipe.types import Event

PATIENCE: Final = 600.0
"""Seconds of virtual time after which a client that is not answered leaves."""

_LEAVES: Final[Event] = {"type": DISCONNECT, "code": 1001, "reason": ""}


class ScriptedServer:
    """Gives the events of a conversation as its turn comes, and keeps what it is sent.

    It does as servers do: a message comes only once it has taken the accept, a send fails once the
    client has left, and after a close there is a disconnect. Where the script has no more, the
    client leaves; so it does where the script cannot go on. Both receive and send suspend once
    before they do anything.

    Args:
        conversation: The script.
        cancel: Cancels the application.
        uneven: Whether some sends take longer than the ones that follow them.

    Attributes:
        position: The step that the application is at; it says so by `advance`.
        taken: The events that it took.
        handed: The events that it handed out.
        ended: Whether the application has ended, after which nothing may be sent.
        late: What was sent all the same.
    """

    def __init__(
        self, conversation: Conversation, cancel: Callable[[], None], *, uneven: bool = False
    ) -> None:
        self.conversation = conversation
        self.position: int = 0
        self.taken: list[Event] = []
        self.handed: list[Event] = []
        self.ended = False
        self.late: list[Event] = []
        self._cancel = cancel
        self._uneven = uneven
        self._next = 0
        self._sends = 0
        self._accepted = False
        self._close: Event | None = None
        self._given_up = False
        self._moved = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def left(self) -> bool:
        """Whether the client has left by now."""
        steps = self.conversation.steps[: self.position]
        return any(step.event is not None and step.event["type"] == DISCONNECT for step in steps)

    @property
    def closed(self) -> bool:
        """Whether it took a close, or all of a denial."""
        return self._close is not None

    @property
    def disconnected(self) -> bool:
        """Whether it handed out a disconnect."""
        return any(event["type"] == DISCONNECT for event in self.handed)

    @property
    def over(self) -> bool:
        """Whether it is at an end: closed, or left."""
        return self.closed or self.left or self.disconnected

    def advance(self, position: int) -> None:
        """Take note that the application has come to a step."""
        self.position = position
        self._moved.set()

    async def receive(self) -> Event:
        """Give the next event."""
        await asyncio.sleep(0)
        async with self._turn:
            event = await self._next_event()
            self.handed.append(event)
        return dict(event)

    async def send(self, event: Event) -> None:
        """Take an event.

        Raises:
            OSError: The client has left.
        """
        self._sends += 1
        for _ in range(1 + 3 * (self._sends % 3) if self._uneven else 1):
            await asyncio.sleep(0)
        if self.ended:
            self.late.append(event)
        if self.left:
            raise OSError("the client has left")
        self.taken.append(dict(event))
        if event["type"] == ACCEPT:
            self._accepted = True
        elif event["type"] == CLOSE or (
            event["type"] == DENIAL_BODY and not event.get("more_body", False)
        ):
            self._close = event
        self._moved.set()

    async def _next_event(self) -> Event:
        steps = self.conversation.steps
        while self._next < len(steps):
            index, step = self._next, steps[self._next]
            if step.by == "server":
                while not self._may_come(index, step):
                    if self.closed or self._given_up or self.position == len(steps):
                        return self._farewell()
                    await self._wait_for_move()
                if step.action == "wait":
                    await asyncio.sleep(PAUSE)
                elif step.action == "cancel":
                    self._cancel()
                    await asyncio.Event().wait()
            self._next = index + 1
            if step.by == "server" and step.event is not None:
                return step.event
        return self._farewell()

    async def _wait_for_move(self) -> None:
        """Wait for the application to go on, for as long as a client would."""
        self._moved.clear()
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._give_up)
        try:
            await self._moved.wait()
        finally:
            timer.cancel()

    def _give_up(self) -> None:
        self._given_up = True
        self._moved.set()

    def _may_come(self, index: int, step: Step) -> bool:
        """Tell whether the application has done all that comes before a step."""
        if step.event is not None and step.event["type"] == RECEIVE and not self._accepted:
            return self.conversation.illegal is not None
        earlier = enumerate(self.conversation.steps[:index])
        done = [i for i, step in earlier if step.by == "application" and step.action != "receive"]
        if step.action == "cancel":
            return self.position >= index - 1
        return not done or self.position > done[-1]

    def _farewell(self) -> Event:
        if self._close is None:
            return _LEAVES
        return {"type": DISCONNECT, "code": self._close.get("code", 1006), "reason": ""}
