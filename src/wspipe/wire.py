"""The wire stage: the one place that checks the conversation, counts it and knows how it ended."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from wspipe.exceptions import ClientDisconnected, WebSocketDisconnect, WebSocketException
from wspipe.judgement import Situation, judge
from wspipe.payload import truncate_reason
from wspipe.state_machine import (
    ACCEPT,
    ACCEPTED,
    CLOSE,
    CLOSED,
    CONNECTED,
    DENIAL_BODY,
    DENIAL_START,
    DENYING,
    DISCONNECT,
    DISCONNECTED,
    RECEIVE,
    REJECTED,
    SEND,
    UNANSWERED,
    WAITING,
    Sender,
)
from wspipe.tally import disconnect_code, message_size, utf8_size, who_closed

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe.connection import ASGIConnection
    from wspipe.exceptions import ConnectionRejected
    from wspipe.types import Event, Receive, Send


class Wire:
    """The state of one conversation.

    `receive_end` and `send_end` are the server's, looked up at each event, so that they may be
    bound after the pipeline was composed. `open` is true while messages may flow both ways: for
    them the table needs no look-up.
    """

    __slots__ = (
        "_connection",
        "_evicted",
        "blame",
        "ending",
        "handshake_callbacks",
        "loss",
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
        self.receive_end = receive
        self.send_end = send
        self.received: str = WAITING
        self.sent: str = UNANSWERED
        self.open = False
        self.strict = strict
        self.traffic = connection.traffic
        self.ending = connection.ending
        self.blame: object = "application"
        self.handshake_callbacks: list[Callable[[Event], None]] = []
        self._connection = connection
        self.loss: OSError | None = None
        self._evicted: Event | None = None

    @property
    def over(self) -> bool:
        """Whether either side has ended the conversation."""
        return self.received == DISCONNECTED or self.sent in {CLOSED, REJECTED}

    @property
    def evicted(self) -> bool:
        """Whether `connection.close(by=...)` took the connection from the application."""
        return self._evicted is not None

    # The first lines of `receive` and `send` serve a text message on an open connection, the
    # common case. Everything else goes by the table, in `take` and `_give`.

    async def receive(self) -> Event:
        """Take the server's next event, checked and counted."""
        if not self.open:
            self.check_receivable()
            if self._evicted is not None:
                return dict(self._evicted)
        event = await self.receive_end()
        text: Any
        try:
            text = event["text"] if event["type"] == "websocket.receive" else None
        except (KeyError, TypeError):
            text = None
        if text.__class__ is str and self.open and ("bytes" not in event or event["bytes"] is None):
            traffic = self.traffic
            traffic.messages_received += 1
            traffic.bytes_received += len(text) if text.isascii() else utf8_size(text)
            return event
        return self.take(event)

    async def send(self, event: Event) -> None:
        """Hand an event to the server, checked; count it once the server has taken it."""
        text: Any
        try:
            text = event["text"] if event["type"] == "websocket.send" else None
        except (KeyError, TypeError):
            text = None
        if text.__class__ is str and self.open and ("bytes" not in event or event["bytes"] is None):
            size = len(text) if text.isascii() else self.text_size(text)
            try:
                await self.send_end(event)
            except OSError as error:
                self.lose(error)
                raise
            traffic = self.traffic
            traffic.messages_sent += 1
            traffic.bytes_sent += size
        else:
            await self._give(event)

    def check_receivable(self) -> None:
        """Refuse to receive once the disconnect was delivered, when strict."""
        if self.strict and self.received == DISCONNECTED:
            raise WebSocketException(
                detail="receive() after websocket.disconnect: the conversation is over",
                code=self.ending.code or 1005,
            )

    def take(self, event: Event) -> Event:
        """Check and count an event from the server by the table."""
        if self._evicted is not None:
            return dict(self._evicted)
        then = self._judge("server", event)
        if then is None:
            return event
        self.received = then
        self._update_open()
        kind = event["type"]
        if kind == RECEIVE:
            self.traffic.messages_received += 1
            self.traffic.bytes_received += message_size(event)
        elif kind == DISCONNECT:
            code = disconnect_code(event)
            self.ending.record(code, event.get("reason") or "", who_closed(code))
        return event

    def text_size(self, text: str) -> int:
        """Count the bytes of a text to send; refuse one that has no UTF-8 form, when strict."""
        try:
            return len(text.encode())
        except UnicodeEncodeError:
            self._judge("application", {"type": SEND, "text": text})
            return utf8_size(text)

    async def _give(self, event: Event) -> None:
        self._check_sendable()
        if self.received == DISCONNECTED or (then := self._judge("application", event)) is None:
            await self.send_end(event)
            return
        if event["type"] == DENIAL_BODY and not event.get("more_body", False):
            then = REJECTED
        # The state moves before the server takes the event, so that another task's send is refused
        # meanwhile, and moves back where the server refuses the event.
        before, self.sent = self.sent, then
        self._update_open()
        if event["type"] == CLOSE:
            self.ending.record(event.get("code", 1000), event.get("reason") or "", self.blame)
        elif then == REJECTED:
            self.ending.record(None, "", self.blame)
        try:
            await self.send_end(event)
        except Exception as error:
            self._not_given(error, before, then)
            raise
        if event["type"] == SEND:
            self.traffic.messages_sent += 1
            self.traffic.bytes_sent += message_size(event)
        elif before == UNANSWERED:
            self._answered(event)

    def _check_sendable(self) -> None:
        if self._evicted is not None:
            raise ClientDisconnected(
                detail="send() after a middleware closed the connection",
                code=self._evicted["code"],
            )
        if self.strict and self.received == DISCONNECTED:
            raise ClientDisconnected(
                detail="send() after websocket.disconnect: the conversation is over",
                code=self.ending.code or 1005,
            )

    def _not_given(self, error: Exception, before: str, then: str) -> None:
        if then in {CLOSED, REJECTED}:
            self.ending.forget()
        if isinstance(error, OSError):
            self.lose(error)
        elif self.sent == then:
            self.sent = before
            self._update_open()

    async def close(self, code: int, reason: str, by: object) -> None:
        """Close from the middle: the server gets the close, the application a disconnect.

        Does nothing where the conversation is over.
        """
        if self.over:
            return
        reason = truncate_reason(reason)
        event: Event = {"type": CLOSE, "code": code, "reason": reason}
        before = self.sent
        if before == DENYING:
            event = {"type": DENIAL_BODY, "body": b"", "more_body": False}
        else:
            self._judge("application", event, strict=True)
        self._evicted = {"type": DISCONNECT, "code": code, "reason": reason}
        self.sent = CLOSED if before == ACCEPTED else REJECTED
        self._update_open()
        self.ending.record(code, reason, by)
        try:
            await self.send_end(event)
        except OSError as error:
            self.ending.forget()
            self._note_loss(error)
            return
        if before == UNANSWERED:
            self._answered(event)

    async def reject(self, rejection: ConnectionRejected) -> None:
        """Deny the connection for a middleware whose `admit` said so."""
        if self.received == WAITING:
            await self.receive()
        self.blame = rejection.by or self.blame
        with suppress(ClientDisconnected, OSError):
            for event in rejection.events(self._connection.scope):
                await self.send(event)

    def plan_end(self, code: int | None, by: object, *, status: int | None = None) -> None:
        """Note how the conversation is going to end unless a stage ends it first.

        So the exit callbacks, which run before, already read the truth.

        Args:
            code: The close code, `None` where the server will choose.
            by: Who ends it.
            status: The HTTP status that is going to answer the handshake, where none did.
        """
        if not self.over:
            if self.sent == UNANSWERED:
                self._connection.handshake_status = status
            self.ending.record(code, "", by, final=False)

    def lose(self, error: OSError) -> None:
        """Note that the server could not send because the client is gone.

        The code may still be corrected by the disconnect event that follows.

        Raises:
            ClientDisconnected: When strict, in place of the server's own error.
        """
        self._note_loss(error)
        if self.strict:
            raise ClientDisconnected(detail=f"the client is gone: {error}", code=1006) from error

    def reports_end(self, error: BaseException) -> bool:
        """Tell whether an exception of the application only reports that the client is gone.

        That is our own `WebSocketDisconnect`, the server's error of a failed send, a framework's
        exception that carries the close code (1006 is what Starlette makes of a failed send), and a
        group of nothing else.
        """
        if self.received != DISCONNECTED and not self.evicted and self.loss is None:
            return False
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return all(map(self.reports_end, group.exceptions))
        return (
            isinstance(error, WebSocketDisconnect)
            or error is self.loss
            or getattr(error, "code", None) in (self.ending.code or 1005, 1006)
        )

    def _note_loss(self, error: OSError) -> None:
        self.loss = error
        self.ending.record(1006, "", "unknown", final=False)

    def _judge(self, sender: Sender, event: Event, *, strict: bool = False) -> str | None:
        extensions = self._connection.scope.get("extensions") or ()
        situation = Situation(self.received, self.sent, extensions)
        return judge(sender, event, situation, strict=strict or self.strict)

    def _update_open(self) -> None:
        self.open = self.received == CONNECTED and self.sent == ACCEPTED and self._evicted is None

    def _answered(self, event: Event) -> None:
        statuses = {ACCEPT: 101, CLOSE: 403, DENIAL_START: event.get("status")}
        self._connection.handshake_status = statuses[event["type"]]
        for callback in self.handshake_callbacks:
            callback(event)
