"""The connections that a `Drain` has open, and how it closes them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from anyio import CancelScope, Lock, create_task_group, current_time, move_on_after
from anyio import Event as Signal

from wspipe import ConnectionRejected

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from wspipe import ASGIConnection, Event, Receive
    from wspipe_middlewares.drain import Drain

_SPREAD: Final = 0.75
"""The share of the deadline that the moments take; the rest is for the messages handled last."""

_logger = logging.getLogger("wspipe")


@dataclass(frozen=True, slots=True)
class Drained:
    """What became of the connections that were open when a `Drain` was told to drain.

    Attributes:
        closed: How many were closed between two messages, or before their accept.
        interrupted: How many were closed at the deadline, while a message was handled.
        ended: How many ended by themselves meanwhile.
        seconds: How long it took.
    """

    closed: int
    interrupted: int
    ended: int
    seconds: float


@dataclass(slots=True, eq=False)
class _Entry:
    """An open connection.

    `handled` counts the messages that the application was given and has not come back from; `due`
    tells that its moment has come; `interrupted`, that it was closed while `handled`.
    """

    connection: ASGIConnection
    handled: int = 0
    due: bool = False
    interrupted: bool = False


class Connections:
    """What the connections of a `Drain` share: who is open, oldest first, and how it drains."""

    def __init__(self, config: Drain) -> None:
        self.config = config
        self.entries: dict[_Entry, None] = {}
        self.draining: bool = False
        self.until: float = 0.0
        self.closed: int = 0
        self.interrupted: int = 0
        self.ended: int = 0
        self._lock = Lock()
        self._emptied: Signal | None = None
        self._drained: Drained | None = None

    def enter(self, connection: ASGIConnection, receive: Receive) -> Receive:
        """Register a connection until it has ended; give its receive to the application."""
        entry = _Entry(connection)
        self.entries[entry] = None
        connection.exit_stack.callback(self.leave, entry)

        async def noted_receive() -> Event:
            if entry.handled:
                entry.handled -= 1
            try:
                if entry.due:
                    await self._close(entry)
                event = await receive()
                while entry.due and connection.evicted and event["type"] == "websocket.receive":
                    event = await receive()  # a stage had that in hand; the disconnect is next
                if entry.due and event["type"] == "websocket.disconnect":
                    # An application may return at this: the server takes the close first.
                    await self._close(entry, overdue=True)
            except BaseException:
                if entry.handled:
                    # When this caller comes back, it is not the one that handles a message.
                    entry.handled += 1
                raise
            if event["type"] == "websocket.receive":
                entry.handled += 1
            elif event["type"] == "websocket.disconnect":
                self.leave(entry)
            return event

        return noted_receive

    def leave(self, entry: _Entry) -> None:
        """Forget a connection that is over."""
        if entry not in self.entries:
            return
        del self.entries[entry]
        if entry.connection.closed_by is not self.config:
            self.ended += self.draining
        elif entry.interrupted:
            self.interrupted += 1
        else:
            self.closed += 1
        if self._emptied is not None and not self.entries:
            self._emptied.set()

    def refuse(self) -> None:
        """Let nobody in while it drains, and after.

        Raises:
            ConnectionRejected: It drains.
        """
        if not self.draining:
            return
        reason = self.config.reason
        # RFC 9110 section 10.2.3: whole seconds. By then this process is gone.
        wait = max(1, ceil(self.until - current_time()))
        headers = {"content-type": "text/plain; charset=utf-8", "retry-after": str(wait)}
        # RFC 9110 section 15.6.4.
        raise ConnectionRejected(503, headers, f"{reason}\n", self.config.code, reason)

    async def drain(self) -> Drained:
        """Close what is open; see `Drain.drain`."""
        start = current_time()
        until = start + self.config.deadline
        self.draining, self.until = True, max(self.until, until)
        async with self._lock:
            drained = self._drained
            if drained is None:
                await self._close_all(until)
                seconds = current_time() - start
                drained = Drained(self.closed, self.interrupted, self.ended, seconds)
                self._drained = drained
            return drained

    async def _close_all(self, until: float) -> None:
        self._emptied = emptied = Signal()
        if not self.entries:
            return
        async with create_task_group() as tasks:
            with CancelScope(deadline=until):
                await self._close_in_turn(tasks, emptied)
                await emptied.wait()
            for entry in self.entries:
                entry.due = True
                tasks.start_soon(self._close, entry, True)  # noqa: FBT003 - takes no keywords

    async def _close_in_turn(self, tasks: TaskGroup, emptied: Signal) -> None:
        accepted: list[_Entry] = []
        for entry in self.entries:
            if entry.connection.handshake_status is None:
                entry.due = True
                tasks.start_soon(self._close, entry)
            else:
                accepted.append(entry)
        share = _SPREAD * self.config.deadline / max(1, len(accepted))
        moment = current_time()
        for entry in accepted:
            if entry.connection.connection_state == "disconnect":
                self.leave(entry)
            if entry in self.entries:
                entry.due = True
                tasks.start_soon(self._close, entry)
                moment += min(self.config.spacing, share)
                with move_on_after(moment - current_time()):
                    await emptied.wait()

    async def _close(self, entry: _Entry, overdue: bool = False) -> None:  # noqa: FBT001, FBT002
        """Close a connection, unless it handles a message and its time is not over."""
        if entry not in self.entries or (entry.handled and not overdue):
            return
        entry.interrupted = entry.interrupted or entry.handled > 0
        config = self.config
        try:
            # From here to where the application gets no more, nothing is awaited.
            await entry.connection.close(config.code, config.reason, by=config)
        except Exception as error:  # noqa: BLE001 - the others have their turn
            _logger.warning("a server took no close: %r", error)
        self.leave(entry)
