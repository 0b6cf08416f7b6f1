"""The wire stage: the one place that checks the conversation, counts it and knows how it ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from anyio import Event as Signal
from anyio.lowlevel import checkpoint

from wspipe.ending import Eviction
from wspipe.exceptions import ClientDisconnected, WebSocketDisconnect, WebSocketException
from wspipe.judgement import Situation, judge, kind_of
from wspipe.state_machine import (
    ACCEPT,
    ACCEPTED,
    CLOSE,
    CLOSED,
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
    from wspipe.types import Event, Receive, Send

_logger = logging.getLogger("wspipe")


class Wire:
    """The state of one conversation.

    `receive_end` and `send_end` are the server's, looked up at each event, so that they may be
    bound after the pipeline was composed. `open` is true while messages may flow both ways: for
    them the table needs no look-up. `direct_receive` and `direct_send` are the server's while the
    conversation is open, for whoever has said with `bare_receive` and `bare_send` that no stage
    stands between, and that it checks and counts by itself.

    An answer is an event that moves the application's side, such as an accept or a close. The
    server gets one at a time. `sent` moves when it gets one, so that what no longer fits is refused
    meanwhile, and moves back where the server does not take it.
    """

    __slots__ = (
        "_settled",
        "answered",
        "answering",
        "bare_receive",
        "bare_send",
        "blame",
        "connection",
        "direct_receive",
        "direct_send",
        "ending",
        "handshake_callbacks",
        "open",
        "receive_end",
        "received",
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
        self.answering = False
        self.answered = False
        self.bare_receive = False
        self.bare_send = False
        self.strict = strict
        self.connection = connection
        self.traffic = connection.traffic
        self.ending: Ending = connection.ending
        self.blame: object = "application"
        self.handshake_callbacks: list[Callable[[Event], None]] = []
        self._settled: Signal | None = None
        self.send_end = send
        self.bind_receive(receive)

    def bind_receive(self, receive: Receive) -> None:
        """Take the server's receive."""
        self.receive_end = receive
        if type(getattr(receive, "__self__", None)).__module__ == "granian._granian":
            from wspipe.interruption import InterruptibleReceive  # noqa: PLC0415 - see there

            self.receive_end = InterruptibleReceive(receive)
        self.update_open()

    def bind_send(self, send: Send) -> None:
        """Take the server's send."""
        self.send_end = send
        self.update_open()

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
                return self.ending.eviction.event
            if self.strict and self.received == DISCONNECTED:
                raise WebSocketException(
                    detail="receive() after websocket.disconnect: the conversation is over",
                    code=self.ending.code or 1005,
                )
        return self.take(await self.receive_end())

    def take(self, event: Event) -> Event:
        """Check and count an event from the server; give what the application is to have."""
        size = plain_size(event, RECEIVE) if self.open else None
        if size is None:
            if self.ending.eviction is not None:
                if kind_of(event) == DISCONNECT:
                    self._note_disconnect(event)
                return self.ending.eviction.event
            then = self._judge("server", event)
            if then is None:
                return event
            self.received = then
            self.update_open()
            if event["type"] == DISCONNECT:
                self._note_disconnect(event)
            if event["type"] != RECEIVE:
                return event
            size = message_size(event)
        traffic = self.traffic
        traffic.messages_received += 1
        traffic.bytes_received += size
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
            traffic.messages_sent += 1
            traffic.bytes_sent += size

    async def _judge_in_turn(self, event: Event) -> str | None:
        """Judge an event; one that is an answer again, once another answer is settled."""
        self._check_sendable()
        then = self._next_state(event)
        while self.answering and then not in {None, self.sent}:
            await self.settle()
            self._check_sendable()
            then = self._next_state(event)
        return then

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
            raise ClientDisconnected(
                detail="send() after a middleware closed the connection",
                code=self.ending.eviction.code,
            )
        if self.strict and self.received == DISCONNECTED:
            raise ClientDisconnected(
                detail="send() after websocket.disconnect: the conversation is over",
                code=self.ending.code or 1005,
            )

    def fail(self, error: Exception) -> None:
        """Take note of a send that failed.

        Raises:
            ClientDisconnected: When strict, in place of the server's own error, where it only says
                that the conversation is over.
        """
        if self.ending.eviction is None and not isinstance(error, OSError):
            return
        self.ending.note_failure(error)
        if self.strict and not isinstance(error, WebSocketDisconnect):
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
        self.update_open()
        if ending is not None:
            self.ending.record(*ending)
        try:
            await self.send_end(event)
        except BaseException as error:
            if isinstance(error, OSError):
                self.ending.note_failure(error)
            else:
                self.sent = before
            if ending is not None:
                self.ending.withdraw()
            raise
        finally:
            self.answering = False
            self.update_open()
            if self._settled is not None:
                self._settled.set()
                self._settled = None
        if not self.answered and event["type"] in {ACCEPT, CLOSE, DENIAL_START}:
            self._note_handshake(event)

    def evict(self, code: int, reason: str, by: object) -> Eviction:
        """Take the connection from the application; give the eviction that stands."""
        eviction = self.ending.evict(Eviction(code, reason, by))
        self.update_open()
        return eviction

    def _note_disconnect(self, event: Event) -> None:
        self.received = DISCONNECTED
        self.ending.note_disconnect(event)

    def _judge(self, sender: Sender, event: Event) -> str | None:
        return judge(sender, event, self.situation, strict=self.strict)

    def update_open(self) -> None:
        """Set `open`, after a change of what it depends on."""
        self.open = (
            self.received == CONNECTED
            and self.sent == ACCEPTED
            and self.answered
            and self.ending.eviction is None
        )
        self.direct_receive = self.receive_end if self.open and self.bare_receive else None
        self.direct_send = self.send_end if self.open and self.bare_send else None

    def _note_handshake(self, event: Event) -> None:
        statuses = {ACCEPT: 101, CLOSE: 403, DENIAL_START: event.get("status")}
        self.connection.handshake_status = statuses[event["type"]]
        self.answered = True
        self.update_open()
        for callback in self.handshake_callbacks:
            try:
                callback(event)
            except Exception:
                # An observer that fails is no reason to fail an accept that has happened.
                _logger.exception("a handshake callback failed")
