"""The queue of one connection, and the task that empties it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio import Event as Signal
from anyio import move_on_after
from anyio.lowlevel import checkpoint

from wspipe import ClientDisconnected
from wspipe_middlewares.background import BackgroundTask
from wspipe_middlewares.closing import close
from wspipe_middlewares.send_queue.backlog import Backlog
from wspipe_middlewares.timer import shared_timer

if TYPE_CHECKING:
    from types import TracebackType

    from wspipe import ASGIConnection, Event, Send
    from wspipe_middlewares.send_queue import SendQueue
    from wspipe_middlewares.send_queue.backlog import Message
    from wspipe_middlewares.timer import Alarm, Task, Timer

LAST_SECONDS: Final = 4.0
"""How long what waits may still take when the connection ends; the exit stack gives 5 seconds."""

TURNS: Final = 100
"""How many turns of the event loop a server may need to take a message that a client reads."""


class QueuedConnection:
    """What belongs to one connection.

    `taken` is the message that the server is just taking, `progressed` whether it has taken one
    since that was last waited for; `failure` is what the server raised, until a send has told it;
    `over` is whether the conversation is about to end.

    Args:
        config: The bounds.
        connection: The connection.
        send: Takes an event towards the server.
    """

    __slots__ = (
        "_emptied",
        "_send",
        "_woken",
        "_writer",
        "backlog",
        "config",
        "connection",
        "failure",
        "moment",
        "over",
        "overflown",
        "progressed",
        "taken",
        "timer",
    )

    def __init__(self, config: SendQueue, connection: ASGIConnection, send: Send) -> None:
        self.config: SendQueue = config
        self.connection: ASGIConnection = connection
        self.backlog: Backlog = Backlog(config)
        self.taken: Message | None = None
        self.failure: Exception | None = None
        self.over: bool = False
        self.overflown: bool = False
        self.progressed: bool = False
        self.timer: Timer | None = None
        self.moment: set[Alarm] | None = None
        self._send = send
        self._writer: BackgroundTask | None = None
        self._woken: Signal | None = None
        self._emptied: Signal | None = None
        connection.allow_interruption()
        connection.exit_stack.push_async_exit(self._end)

    async def send(self, event: Event) -> None:
        """Queue a message; have anything else wait for what is queued.

        Raises:
            ClientDisconnected: The client is too slow, so that the connection is closed.
            Exception: What the server raised for an earlier message.
        """
        if self.backlog.full and self.progressed:
            await self._let_catch_up()
        if self.overflown:
            await self._refuse()
        elif self.over or self.connection.connection_state == "disconnect":
            await self._send(event)  # the wire has the answer
        elif event["type"] == "websocket.send":
            self._tell_failure()
            await self._put(event)
        else:
            await self._send_last(event)

    def _tell_failure(self) -> None:
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    async def _put(self, event: Event) -> None:
        config, timer = self.config, self.timer
        if timer is None:
            timer = self.timer = shared_timer()
        key = None if config.key is None else config.key(event, self.connection)
        now = timer.now()
        if not self.backlog.put(_copy(event), key, now):
            self._overflow()
            BackgroundTask(self._close)
            await self._refuse()
        if self.backlog:
            if self.moment is None:
                timer.at(now + config.max_seconds, self)
            self._wake()
        await checkpoint()  # the writer has its turn, also where one sends on and on

    async def _send_last(self, event: Event) -> None:
        """Send an accept, or what ends the conversation, behind what is queued."""
        if event["type"] == "websocket.accept":
            await self._send(event)
            return
        await self._empty()
        self.over = True  # what is sent from here on would come after it
        try:
            await self._send(event)
        except BaseException:
            self.over = False
            raise

    async def _let_catch_up(self) -> None:
        """Let the writer have some turns, once after each progress that it makes.

        So whoever sends on and on overflows the queue of a client only that does not read.
        """
        self.progressed = False
        for _ in range(TURNS):
            if not self.backlog.full:
                return
            await checkpoint()

    async def _refuse(self) -> None:
        while self.connection.connection_state != "disconnect":
            await checkpoint()
        raise ClientDisconnected(detail="the client is too slow", code=self.config.code)

    def ring(self, now: float) -> Task | None:
        """Look whether a message has waited too long: see `Alarm`."""
        limit = self.config.max_seconds
        if self.config.on_overflow in {"drop_oldest", "drop_newest"}:
            self.backlog.drop_older_than(now - limit)
            oldest = self.backlog.oldest
        else:
            oldest = self.taken or self.backlog.oldest
            if oldest is not None and oldest.since + limit <= now:
                self._overflow()
                return self._close
        if oldest is not None and self.timer is not None:
            self.timer.at(oldest.since + limit, self)
        return None

    def _overflow(self) -> None:
        self.overflown = True
        self.backlog.clear()

    async def _close(self) -> None:
        if self._writer is not None:
            self._writer.cancel()  # the close would wait for what the client does not read
        await close(self.connection, self.config.code, self.config.reason, self.config)

    def _wake(self) -> None:
        if self._writer is None or self._writer.is_over:
            self._writer = BackgroundTask(self._write)
        elif self._woken is not None:
            self._woken.set()

    async def _write(self) -> None:
        while True:
            while self.backlog:
                await self._hand_over(self.backlog.take())
            if self._emptied is not None:
                self._emptied.set()
                self._emptied = None
            self._woken = Signal()
            await self._woken.wait()
            self._woken = None

    async def _hand_over(self, message: Message) -> None:
        self.taken = message
        try:
            await self._send(message.event)
        except Exception as error:  # noqa: BLE001 - the next send tells it
            self.failure = error
            if self.connection.connection_state == "disconnect":
                self.backlog.clear()
        finally:
            self.taken = None
            self.progressed = True

    async def _empty(self) -> None:
        """Wait until the server has taken everything; after a while, discard the rest."""
        writer = self._writer
        if writer is None or (not self.backlog and self.taken is None):
            return
        self._emptied = self._emptied or Signal()
        with move_on_after(LAST_SECONDS):
            await self._emptied.wait()
            return
        self.backlog.clear()
        writer.cancel()

    async def _end(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> bool:
        connection = self.connection
        # What is no Exception is the cancellation, by which the server stops the application.
        goes_on = connection.connection_state != "disconnect"
        if goes_on and (error is None or isinstance(error, Exception)):
            await self._empty()
        self.over = True
        if self._writer is None or self.timer is None:
            return False
        self.timer.cancel(self)
        self._writer.cancel()
        await self._writer.ended()
        if self.failure is not None and not connection.is_reported_by(self.failure):
            raise self.failure
        return False


def _copy(event: Event) -> Event:
    """Keep what the application may change after its send has returned."""
    copy = dict(event)
    if isinstance(copy.get("bytes"), bytearray | memoryview):
        copy["bytes"] = bytes(copy["bytes"])
    return copy
