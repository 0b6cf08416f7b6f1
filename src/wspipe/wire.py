"""The wire stage: the one place that checks the conversation, counts it and knows how it ended."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, cast

from anyio.lowlevel import checkpoint

from wspipe.exceptions import (
    ClientDisconnected,
    ProtocolError,
    WebSocketDisconnect,
    WebSocketException,
    WSPipeException,
)
from wspipe.judgement import Situation, check_content, judge, kind_of
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

_logger = logging.getLogger("wspipe")


class Wire:
    """The state of one conversation.

    `receive_end` and `send_end` are the server's, looked up at each event, so that they may be
    bound after the pipeline was composed. `open` is true while messages may flow both ways: for
    them the table needs no look-up.
    """

    __slots__ = (
        "_connection",
        "_delivered",
        "_evicted",
        "_evicted_by",
        "_losses",
        "answered",
        "blame",
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
        self.bind_receive(receive)
        self.send_end = send
        self.received: str = WAITING
        self.sent: str = UNANSWERED
        self.answered = False
        self.open = False
        self.strict = strict
        self.traffic = connection.traffic
        self.ending = connection.ending
        self.blame: object = "application"
        self.handshake_callbacks: list[Callable[[Event], None]] = []
        self._connection = connection
        self._evicted: Event | None = None
        self._evicted_by: object = None
        self._delivered: Event | None = None
        self._losses: tuple[OSError, ...] = ()

    def bind_receive(self, receive: Receive) -> None:
        """Take the server's receive."""
        self.receive_end = receive
        if type(getattr(receive, "__self__", None)).__module__ == "granian._granian":
            from wspipe.interruption import InterruptibleReceive  # noqa: PLC0415 - see there

            self.receive_end = InterruptibleReceive(receive)

    @property
    def over(self) -> bool:
        """Whether either side has ended the conversation."""
        return self.received == DISCONNECTED or self.sent in {CLOSED, REJECTED}

    @property
    def lost(self) -> bool:
        """Whether a send has failed because the client is gone."""
        return bool(self._losses)

    @property
    def evicted(self) -> bool:
        """Whether `connection.close(by=...)` took the connection from the application."""
        return self._evicted is not None

    # The first lines of `receive` and `send` serve a text message on an open connection, the
    # common case. Everything else goes by the table, in `take` and `_give`.

    async def receive(self) -> Event:
        """Take the server's next event, checked and counted."""
        if not self.open:
            if self._evicted is not None:
                await checkpoint()  # for an application that receives on and on
                return dict(self._evicted)
            self.check_receivable()
        event = await self.receive_end()
        text: Any
        try:
            text = event["text"] if event["type"] == "websocket.receive" else None
        except (KeyError, TypeError):
            text = None
        if text.__class__ is str and self.open and ("bytes" not in event or event["bytes"] is None):
            size = len(text) if text.isascii() else self.text_size("server", event)
            traffic = self.traffic
            traffic.messages_received += 1
            traffic.bytes_received += size
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
            size = len(text) if text.isascii() else self.text_size("application", event)
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
            if kind_of(event) == DISCONNECT:
                self.received = DISCONNECTED
                self._note_disconnect(event)
            return dict(self._evicted)
        then = self._judge("server", event)
        if then is None:
            return event
        self.received = then
        self._update_open()
        if event["type"] == RECEIVE:
            self.traffic.messages_received += 1
            self.traffic.bytes_received += message_size(event)
        elif event["type"] == DISCONNECT:
            self._note_disconnect(event)
        return event

    def text_size(self, sender: Sender, event: Event) -> int:
        """Count the bytes of a message's text; refuse one that has no UTF-8 form, when strict."""
        try:
            return len(event["text"].encode())
        except UnicodeEncodeError:
            self._judge(sender, event)
            return utf8_size(event["text"])

    async def _give(self, event: Event) -> None:
        self._check_sendable()
        # After the disconnect, and for an event of an extension, the table has nothing to say: the
        # server answers as it would without us.
        then = None if self.received == DISCONNECTED else self._judge("application", event)
        try:
            if then is None:
                await self.send_end(event)
                return
            ending: tuple[object, object, object] | None = None
            if event["type"] == CLOSE:
                ending = event.get("code", 1000), event.get("reason") or "", self.blame
            elif event["type"] == DENIAL_BODY and not event.get("more_body", False):
                then, ending = REJECTED, (None, "", self.blame)
            await self._hand_over(event, then, ending)
        except OSError as error:
            self.lose(error)
            raise
        if event["type"] == SEND:
            self.traffic.messages_sent += 1
            self.traffic.bytes_sent += message_size(event)

    async def _hand_over(
        self, event: Event, then: str, ending: tuple[object, object, object] | None
    ) -> None:
        """Let the server take an event that moves the application's side.

        The side moves first, so that another task's send is refused meanwhile, and moves back where
        the server does not take the event, a cancellation included.
        """
        before, self.sent = self.sent, then
        self._update_open()
        if ending is not None:
            self.ending.record(*ending)
        try:
            await self.send_end(event)
        except BaseException as error:
            if ending is not None:
                self._restore_ending()
            if self.sent == then and not isinstance(error, OSError):
                self.sent = before
                self._update_open()
            raise
        if not self.answered and event["type"] in {ACCEPT, CLOSE, DENIAL_START}:
            self._note_answer(event)

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

    async def close(self, code: int, reason: str, by: object) -> None:
        """Close from the middle: the server gets the close, the application a disconnect.

        Does nothing where the conversation is over.
        """
        if self.over:
            return
        if self._evicted is not None and self._evicted_by is not None:
            # An earlier close was given up before the server took it: it is the one that counts.
            code, reason, by = self._evicted["code"], self._evicted["reason"], self._evicted_by
        reason = truncate_reason(reason)
        event: Event = {"type": CLOSE, "code": code, "reason": reason}
        check_content("application", event, self._situation)
        then = CLOSED if self.sent == ACCEPTED else REJECTED
        if self.sent == DENYING:
            event = {"type": DENIAL_BODY, "body": b"", "more_body": False}
        self._evicted = {"type": DISCONNECT, "code": code, "reason": reason}
        self._tell_receive("interrupt")
        try:
            await self._hand_over(event, then, (code, reason, by))
        except OSError as error:
            self._note_loss(error)
        except BaseException as error:
            # The application is out all the same. A cancellation came before the server took the
            # close, so whoever ends the conversation sends it again.
            if not isinstance(error, Exception):
                self._evicted_by = by
                self.ending.forget()
                self.ending.record(code, reason, by)
            raise
        finally:
            self._tell_receive("resume")

    def _tell_receive(self, method: Literal["interrupt", "resume"]) -> None:
        # What waits in a receive is in the way of a close on some servers. Around this wire may be
        # another, of a pipeline further out.
        outer = getattr(self.receive_end, "__self__", None)
        end = outer.receive_end if isinstance(outer, Wire) else self.receive_end
        tell = getattr(end, method, None)
        if tell is not None:
            tell()

    async def reject(self, rejection: ConnectionRejected) -> None:
        """Deny the connection for a middleware whose `admit` said so; close it where accepted."""
        if self.received == WAITING:
            await self.receive()
        if self.over:
            return
        by = self.blame if rejection.by is None else rejection.by
        if self.sent != UNANSWERED:
            await self.close(rejection.code, rejection.reason, by)
            return
        self.blame = by
        with suppress(OSError):
            for event in rejection.events(self._connection.scope):
                check_content("application", event, self._situation)
                await self.send(event)

    def plan_end(self, code: int | None, by: object, *, status: int | None = None) -> None:
        """Note how the conversation is going to end unless a stage ends it first.

        So the exit callbacks, which run before, already read the truth.

        Args:
            code: The close code, `None` where the server will choose.
            by: Who ends it.
            status: The HTTP status that is going to answer the handshake, where none did.
        """
        if not self.over and not self.lost and not self.evicted:
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
        if self.strict and not isinstance(error, WebSocketDisconnect):
            raise ClientDisconnected(detail=f"the client is gone: {error}", code=1006) from error

    def reports_end(self, error: BaseException) -> bool:
        """Tell whether an exception of the application only reports that the client is gone.

        That is our own `WebSocketDisconnect`, the server's error of a failed send, a framework's
        disconnect exception that carries the close code (1006 is what Starlette makes of a failed
        send), and a group of nothing else.
        """
        if self._delivered is None and self._evicted is None and not self._losses:
            return False
        if isinstance(error, BaseExceptionGroup):
            group = cast("BaseExceptionGroup[BaseException]", error)
            return all(map(self.reports_end, group.exceptions))
        if isinstance(error, WSPipeException):
            return isinstance(error, WebSocketDisconnect) and not isinstance(error, ProtocolError)
        if any(error is loss for loss in self._losses):
            return True
        told = [event["code"] for event in (self._delivered, self._evicted) if event is not None]
        named = "Disconnect" in type(error).__name__
        return named and getattr(error, "code", None) in [*told, 1006]

    def _note_loss(self, error: OSError) -> None:
        # The last few are enough to recognise; an application may go on sending for ever.
        self._losses = (*self._losses[-7:], error)
        code = error.code if isinstance(error, WebSocketDisconnect) else 1006
        self.ending.record(code, "", "unknown", final=False)

    def _note_disconnect(self, event: Event) -> None:
        code, reason = disconnect_code(event), event.get("reason") or ""
        self._delivered = {"code": code, "reason": reason}
        self.ending.record(code, reason, who_closed(code))

    def _restore_ending(self) -> None:
        """Go back to what is known besides a close that failed."""
        self.ending.forget()
        if self._delivered is not None:
            code = self._delivered["code"]
            self.ending.record(code, self._delivered["reason"], who_closed(code))
        elif self._losses:
            self.ending.record(1006, "", "unknown", final=False)

    def _judge(self, sender: Sender, event: Event) -> str | None:
        return judge(sender, event, self._situation, strict=self.strict)

    @property
    def _situation(self) -> Situation:
        extensions = self._connection.scope.get("extensions") or ()
        return Situation(self.received, self.sent, extensions)

    def _update_open(self) -> None:
        self.open = (
            self.received == CONNECTED
            and self.sent == ACCEPTED
            and self.answered
            and self._evicted is None
        )

    def _note_answer(self, event: Event) -> None:
        statuses = {ACCEPT: 101, CLOSE: 403, DENIAL_START: event.get("status")}
        self._connection.handshake_status = statuses[event["type"]]
        self.answered = True
        self._update_open()
        for callback in self.handshake_callbacks:
            try:
                callback(event)
            except Exception:
                # An observer that fails is no reason to fail an accept that has happened.
                _logger.exception("a handshake callback failed")
