"""The wire stage: the one place that checks the conversation, counts it and knows how it ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from anyio import Event as Signal
from anyio.lowlevel import checkpoint

from wspipe.ending import Eviction, is_loss
from wspipe.exceptions import ClientDisconnected, WebSocketDisconnect, WebSocketException
from wspipe.judgement import Situation, judge, kind_of
from wspipe.state_machine import (
    ACCEPT,
    ACCEPTED,
    CLOSE,
    CLOSED,
    CONNECT,
    CONNECTED,
    DENIAL_BODY,
    DENIAL_START,
    DISCONNECT,
    DISCONNECTED,
    RECEIVE,
    REJECTED,
    SEND,
    UNANSWERED,
    WAITING,
    Sender,
)
from wspipe.tally import message_size, plain_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.connection import ASGIConnection
    from wspipe.ending import Ending
    from wspipe.interruption import InterruptibleReceive
    from wspipe.tally import Traffic
    from wspipe.types import Event, Receive, Send

INTERRUPTIBLE: Final = "wspipe.interruptible_receive"
"""Where the scope has Granian's receive, for the pipelines that lie further in."""

_is_ascii = str.isascii
_logger = logging.getLogger("wspipe")


class Wire:
    """The state of one conversation.

    `receive_end` and `send_end` are the server's, looked up at each event, so that they may be
    bound after the pipeline was composed. `open` is true while messages may flow both ways: for
    them the table needs no look-up. `direct_receive` and `direct_send` are the server's while the
    conversation is open, for whoever has said that no stage stands between, and that it checks and
    counts by itself: see `let_pass`.

    An answer is an event that moves the application's side, such as an accept or a close. The
    server gets one at a time. `sent` moves when it gets one, so that what no longer fits is refused
    meanwhile, and moves back where the server does not take it, unless the client is gone.
    `refusal` is what the server last raised for one. `closing` counts those who are closing from
    the middle: see `wspipe.closing`.
    """

    __slots__ = (
        "_bare_receive",
        "_bare_send",
        "_settled",
        "answered",
        "answering",
        "blame",
        "closing",
        "connection",
        "direct_receive",
        "direct_send",
        "ending",
        "handshake_callbacks",
        "interruptible",
        "open",
        "receive_end",
        "received",
        "refusal",
        "send_end",
        "sent",
        "strict",
        "traffic",
    )

    def __init__(
        self, connection: ASGIConnection[Any, Any], receive: Receive, send: Send, *, strict: bool
    ) -> None:
        self.received: str = WAITING
        self.sent: str = UNANSWERED
        self.answering: bool = False
        self.answered: bool = False
        self.closing: int = 0
        self.strict: bool = strict
        self.connection: ASGIConnection = connection
        self.traffic: Traffic = connection.traffic
        self.ending: Ending = connection.ending
        self.blame: object = "application"
        self.handshake_callbacks: list[Callable[[Event], None]] = []
        self.refusal: BaseException | None = None
        self.interruptible: InterruptibleReceive | None = None
        self._settled: Signal | None = None
        self._bare_receive = False
        self._bare_send = False
        self.send_end: Send = send
        self.bind_receive(receive)

    def bind_receive(self, receive: Receive) -> None:
        """Take the server's receive."""
        self.receive_end: Receive = receive
        if type(getattr(receive, "__self__", None)).__module__ == "granian._granian":
            self._wrap_receive()
            self.connection.scope[INTERRUPTIBLE] = self.interruptible
        elif self.interruptible is not None:
            self._wrap_receive()
        self._update_open()

    def allow_interruption(self) -> None:
        """Prepare for `interruptible.interrupt`, which a receive has to be wrapped for."""
        if self.interruptible is None:
            self._wrap_receive()
            self._update_open()

    def _wrap_receive(self) -> None:
        from wspipe.interruption import InterruptibleReceive  # noqa: PLC0415 - it needs asyncio

        self.interruptible = self.receive_end = InterruptibleReceive(self.receive_end)

    def bind_send(self, send: Send) -> None:
        """Take the server's send."""
        self.send_end = send
        self._update_open()

    def let_pass(self, *, receive: bool, send: bool) -> None:
        """Say for each direction whether the wire may be passed by."""
        self._bare_receive = receive
        self._bare_send = send
        self._update_open()

    @property
    def over(self) -> bool:
        """Whether either side has ended the conversation, or is about to."""
        return self.received == DISCONNECTED or self.sent in {CLOSED, REJECTED}

    @property
    def ended(self) -> bool:
        """Whether the conversation is over and nothing can undo that any more."""
        return self.received == DISCONNECTED or (self.over and not self.answering)

    @property
    def evicted(self) -> bool:
        """Whether `connection.close(by=...)` took the connection from the application."""
        return self.ending.eviction is not None

    @property
    def situation(self) -> Situation:
        """Where the conversation is."""
        extensions = self.connection.scope.get("extensions") or ()
        return Situation(self.received, self.sent, extensions)

    async def receive(self) -> Event:
        """Take the server's next event, checked and counted."""
        if not self.open:
            if self.ending.eviction is not None:
                await checkpoint()  # for an application that receives on and on
                if self.received == WAITING:
                    # It has to have this before a disconnect, and the server need not be asked.
                    self.received = CONNECTED
                    return {"type": CONNECT}
                return self.ending.eviction.event
            if self.strict and self.received == DISCONNECTED:
                raise WebSocketException(
                    detail="receive() after websocket.disconnect: the conversation is over",
                    code=self.ending.code or 1005,
                )
        event = await self.receive_end()
        # What `take` does, for what comes most, without its calls.
        try:
            if (
                self.open
                and event["type"] == "websocket.receive"
                and ("bytes" not in event or event["bytes"] is None)
                and _is_ascii(text := event["text"])
            ):
                traffic = self.traffic
                traffic.text_received += 1
                traffic.text_bytes_received += len(text)
                return event
        except (KeyError, TypeError):
            pass
        return self.take(event)

    def take(self, event: Event) -> Event:
        """Check and count an event from the server; give what the application is to have."""
        size = plain_size(event, RECEIVE) if self.open else None
        if size is None:
            if self.ending.eviction is not None and self.received != WAITING:
                if kind_of(event) == DISCONNECT:
                    self._note_disconnect(event)
                return self.ending.eviction.event
            then = self._judge("server", event)
            if then is None:
                return event
            self.received = then
            self._update_open()
            if event["type"] == DISCONNECT:
                self._note_disconnect(event)
            if event["type"] != RECEIVE:
                return event
            size = message_size(event)
        traffic = self.traffic
        if "bytes" in event and event["bytes"] is not None:
            traffic.binary_received += 1
            traffic.binary_bytes_received += size
        else:
            traffic.text_received += 1
            traffic.text_bytes_received += size
        return event

    async def send(self, event: Event) -> None:
        """Hand an event to the server, checked; count it once the server has taken it."""
        size = plain_size(event, SEND) if self.open else None
        if size is None:
            then = await self._judge_in_turn(event)
            if then is not None and then != self.sent:
                await self._answer_for_the_application(event, then)
                return
            if then is not None and event["type"] == SEND:
                size = message_size(event)
        try:
            await self.send_end(event)
        except Exception as error:
            self.fail(error)
            raise
        if size is not None:
            traffic = self.traffic
            if "bytes" in event and event["bytes"] is not None:
                traffic.binary_sent += 1
                traffic.binary_bytes_sent += size
            else:
                traffic.text_sent += 1
                traffic.text_bytes_sent += size

    async def _judge_in_turn(self, event: Event) -> str | None:
        """Judge an event; an answer again, once one that is on its way is settled."""
        while True:
            self._check_sendable()
            then = self._next_state(event)
            if not self.answering or then in {None, self.sent}:
                return then
            await self.settle()

    async def _answer_for_the_application(self, event: Event, then: str) -> None:
        ending = None
        if then in {CLOSED, REJECTED}:
            code = event.get("code", 1000) if event["type"] == CLOSE else None
            ending = code, event.get("reason") or "", self.blame
        try:
            await self.answer(event, then, ending)
        except Exception as error:
            self.fail(error)
            raise

    def _next_state(self, event: Event) -> str | None:
        # After the disconnect, and for an event of an extension, the table has nothing to say: the
        # server answers as it would without us.
        if self.received == DISCONNECTED:
            return None
        then = self._judge("application", event)
        if event["type"] == DENIAL_BODY and not event.get("more_body", False):
            return REJECTED
        return then

    def _check_sendable(self) -> None:
        if self.ending.eviction is not None:
            raise self.ending.eviction.error
        if self.strict and self.received == DISCONNECTED:
            raise ClientDisconnected(
                detail="send() after websocket.disconnect: the conversation is over",
                code=self.ending.code or 1005,
            )

    def fail(self, error: Exception) -> None:
        """Take note of a send that failed.

        Raises:
            ClientDisconnected: When strict, in place of the server's own error, where the client
                is gone or a middleware has closed.
        """
        eviction = self.ending.eviction
        if eviction is None and not is_loss(error):
            return
        self.ending.note_failure(error)
        if not self.strict or isinstance(error, WebSocketDisconnect):
            return
        if eviction is not None:
            raise eviction.error from error
        raise ClientDisconnected(detail=f"the client is gone: {error}", code=1006) from error

    async def settle(self) -> None:
        """Wait until the server has dealt with the answer that it is being given, if any."""
        while self.answering:
            if self._settled is None:
                self._settled = Signal()
            await self._settled.wait()

    async def answer(
        self, event: Event, then: str, ending: tuple[object, object, object] | None = None
    ) -> None:
        """Let the server take an answer.

        Args:
            event: The answer; no other may be on its way.
            then: The state of the application's side after it.
            ending: Code, reason and author of the end that it makes.
        """
        before, self.sent, self.answering = self.sent, then, True
        self._update_open()
        if ending is not None:
            self.ending.record(*ending)
        try:
            await self.send_end(event)
        except BaseException as error:
            if isinstance(error, Exception) and is_loss(error):
                self.ending.note_failure(error)
            else:
                self.sent, self.refusal = before, error
            if ending is not None:
                self.ending.withdraw()
            raise
        finally:
            self.answering = False
            self._update_open()
            if self._settled is not None:
                self._settled.set()
                self._settled = None
        if before == UNANSWERED:
            self._note_handshake(event)

    def evict(self, code: int, reason: str, by: object) -> Eviction:
        """Take the connection from the application; give the eviction that stands."""
        eviction = self.ending.evict(Eviction(code, reason, by))
        self._update_open()
        return eviction

    def _note_disconnect(self, event: Event) -> None:
        self.received = DISCONNECTED
        self.ending.note_disconnect(event)

    def _judge(self, sender: Sender, event: Event) -> str | None:
        return judge(sender, event, self.situation, strict=self.strict)

    def _update_open(self) -> None:
        self.open: bool = (
            self.received == CONNECTED
            and self.sent == ACCEPTED
            and self.answered
            and self.ending.eviction is None
        )
        self.direct_receive: Receive | None = (
            self.receive_end if self.open and self._bare_receive else None
        )
        self.direct_send: Send | None = self.send_end if self.open and self._bare_send else None

    def _note_handshake(self, event: Event) -> None:
        statuses = {ACCEPT: 101, CLOSE: 403, DENIAL_START: event.get("status")}
        self.connection.handshake_status = statuses[event["type"]]
        self.answered = True
        self._update_open()
        for callback in self.handshake_callbacks:
            try:
                callback(event)
            except Exception:
                # An observer that fails is no reason to fail an accept that has happened.
                _logger.exception("a handshake callback failed")
