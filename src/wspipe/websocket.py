"""The WebSocket class: what a handler calls to accept, receive, send and close."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, cast, overload

import orjson
from anyio import Lock, get_current_task, sleep

from wspipe.assembly import AssembledConnection
from wspipe.exceptions import ConnectionRejected
from wspipe.headers import HeadersInput, header_list
from wspipe.judgement import kind_of
from wspipe.messages import Messages, Mode, content_of, key_of
from wspipe.payload import truncate_reason
from wspipe.scope import Auth, User
from wspipe.serialization import Serializer, default_serializer, encode_json, not_json
from wspipe.state_machine import ACCEPT, CLOSE, RECEIVE, SEND, UNANSWERED, WAITING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from wspipe.stepping import SteppedReceive
    from wspipe.types import Event

_is_ascii = str.isascii


class WebSocket(AssembledConnection[User, Auth], Generic[User, Auth]):
    """A WebSocket connection for the application: accept, receive, send, close.

    `class ChatSocket(WebSocket[User, Token], pipeline=Logging())` makes a class with a pipeline of
    its own; a subclass inherits it, or replaces it with `pipeline=`.

    Args:
        scope: The ASGI scope.
        receive: Gives the server's next event.
        send: Takes an event to the server.
    """

    __slots__ = ()

    passes_by: ClassVar[tuple[bool, bool]] = (True, True)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """See whether the subclass has a method of its own where others would pass it by."""
        super().__init_subclass__(**kwargs)
        cls.passes_by = (
            cls.receive_data is WebSocket.receive_data
            and cls.receive_text is WebSocket.receive_text,
            cls.send_data is WebSocket.send_data,
        )

    async def accept(
        self, subprotocols: str | None = None, headers: HeadersInput | None = None
    ) -> None:
        """Accept the connection, taking the connect event first; later calls do nothing.

        Args:
            subprotocols: The subprotocol chosen from those that the client offered.
            headers: Headers for the handshake response.

        Raises:
            ConnectionRejected: A middleware of the class rejects, where no runner has asked it.
        """
        wire = self._live_wire
        if wire.answered or wire.over:
            return
        await self._take_connect()
        # Two tasks may come here at once, each before its first message.
        if self._accepting is None:
            self._accepting = Lock()
        async with self._accepting:
            if wire.sent == UNANSWERED and not wire.over:
                await self._send(
                    {"type": ACCEPT, "subprotocol": subprotocols, "headers": header_list(headers)}
                )
        if wire.answered:
            self._accepting = None  # a lock weighs 800 bytes

    async def close(
        self, code: int = 1000, reason: str | None = None, *, by: object = None, linger: float = 0.0
    ) -> None:
        """Close the connection, or deny it where it was not accepted.

        Args:
            code: The close code (RFC 6455 section 7.4).
            reason: The reason; one of more than 123 bytes in UTF-8 is cut at a character.
            by: For a middleware that closes: see `ASGIConnection.close`.
            linger: Likewise; without a runner the connection ends at the close, and a receive that
                waits so many seconds later.

        Raises:
            WebSocketDisconnect: The client has left already.
            ProtocolError: The connection was closed before, or the code may not be sent.
        """
        if by is not None:
            try:
                await super().close(code, reason, by=by, linger=0 if self.runs_itself else linger)
            finally:
                await self._end_if_over()
            interruptible = self.wire.interruptible
            if linger and self.runs_itself and interruptible is not None:
                await sleep(linger)
                interruptible.interrupt()
        else:
            await self._send({"type": CLOSE, "code": code, "reason": truncate_reason(reason or "")})

    async def send_denial_response(
        self, status: int = 403, headers: HeadersInput | None = None, body: bytes | str = b""
    ) -> None:
        """Deny the connection with an HTTP response.

        Where the server has no denial response extension, it is a plain close, answered with 403.

        Args:
            status: The HTTP status, 200 to 599.
            headers: The headers of the response.
            body: Its body; text is sent as UTF-8.
        """
        await self._take_connect()
        for event in ConnectionRejected(status, headers, body).events(self.scope):
            await self._send(event)

    async def _take_connect(self) -> None:
        if self._connecting is None:
            self._connecting = Lock()
        elif self._connecting.statistics().owner == get_current_task():
            return  # a stage answers already when it sees the connect
        async with self._connecting:
            if self._live_wire.received == WAITING:
                await self._receive()
        if self._live_wire.received != WAITING:
            self._connecting = None

    @overload
    async def receive_data(self, mode: Literal["text"]) -> str: ...
    @overload
    async def receive_data(self, mode: Literal["binary"]) -> bytes: ...
    @overload
    async def receive_data(self, mode: Mode) -> str | bytes: ...

    async def receive_data(self, mode: Mode) -> str | bytes:
        """Receive a message, accepting the connection first where it was not answered.

        Args:
            mode: The kind of frame to expect.

        Raises:
            WebSocketDisconnect: The client left, or a middleware closed; with the code.
            WebSocketException: A frame of the other kind came (code 1003), or the disconnect
                was received before.
        """
        key = key_of(mode)
        if not self._live_wire.answered:
            await self.accept()
        return content_of(await self._receive(), key)

    async def receive_text(self) -> str:
        """Receive a text message: `receive_data("text")`."""
        wire = self._live_wire
        receive = wire.direct_receive
        if receive is None:
            if not wire.answered or not self.passes_by[0]:
                return await self.receive_data("text")
            return content_of(await self._receive(), "text")
        # Nothing but a step wraps receive: do here what `Wire.receive` does, which saves coroutines
        # and a second look at the event, half of what a message costs.
        event = await receive()
        step = None
        text = ""
        try:
            if (
                wire.open
                and event["type"] == "websocket.receive"
                and ("bytes" not in event or event["bytes"] is None)
            ):
                text = event["text"]
                traffic = wire.traffic
                traffic.text_bytes_received += len(text) if _is_ascii(text) else len(text.encode())
                traffic.text_received += 1
                step = self._step
                if step is None:
                    return text  # type: ignore[no-any-return]
        except (KeyError, TypeError, UnicodeEncodeError):
            pass
        if step is None:
            return content_of(await self._take(event), "text")
        result = step(event)
        if result is not event:
            event = await self._go_on(result)
        elif event["type"] == "websocket.receive" and event.get("text") is text:
            return text  # type: ignore[no-any-return]
        return content_of(event, "text")

    async def receive_bytes(self) -> bytes:
        """Receive a binary message: `receive_data("binary")`."""
        wire = self._live_wire
        receive = wire.direct_receive
        if receive is None:
            return await self.receive_data("binary")
        event = await receive()
        step = None
        data = b""
        try:
            if (
                wire.open
                and event["type"] == "websocket.receive"
                and ("text" not in event or event["text"] is None)
                and type(event["bytes"]) is bytes
            ):
                data = event["bytes"]
                traffic = wire.traffic
                traffic.binary_bytes_received += len(data)
                traffic.binary_received += 1
                step = self._step
                if step is None:
                    return data
        except (KeyError, TypeError):
            pass
        if step is None:
            return content_of(await self._take(event), "bytes")
        result = step(event)
        if result is not event:
            event = await self._go_on(result)
        elif event["type"] == "websocket.receive" and event.get("bytes") is data:
            return data  # type: ignore[no-any-return]
        return content_of(event, "bytes")

    async def receive_json(self, mode: Mode = "text") -> Any:
        """Receive a message and parse it as JSON, by orjson.

        Args:
            mode: The kind of frame to expect.

        Raises:
            SerializationException: It is not JSON (code 1007).
            WebSocketDisconnect: The client left, or a middleware closed.
            WebSocketException: A frame of the other kind came (code 1003).
        """
        data = await (self.receive_text() if mode == "text" else self.receive_data(mode))
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise not_json(error) from error

    async def _take(self, event: Event) -> Event:
        """Take an event that came by the direct way, and needs a closer look."""
        event = self._live_wire.take(event)
        await self._end_if_over()
        if self._step is not None and kind_of(event) == RECEIVE:
            result = self._step(event)
            return event if result is event else await self._go_on(result)
        return event

    async def _go_on(self, result: object) -> Event:
        """Give what comes of what the steps gave in place of a message."""
        try:
            return await cast("SteppedReceive", self._stepped).go_on(result)
        finally:
            await self._end_if_over()

    def iter_text(self) -> AsyncIterator[str]:
        """Receive text messages until the conversation is over."""
        return Messages(self.receive_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Receive binary messages until the conversation is over."""
        return Messages(self.receive_bytes)

    def iter_json(self, mode: Mode = "text") -> AsyncIterator[Any]:
        """Receive JSON messages until the conversation is over.

        Args:
            mode: The kind of frame to expect.
        """
        return Messages(partial(self.receive_json, mode))

    async def send_data(
        self, data: str | bytes, mode: Mode = "text", encoding: str = "utf-8"
    ) -> None:
        """Send a message, accepting the connection first where it was not answered.

        Args:
            data: The message.
            mode: The kind of frame to send.
            encoding: Converts between text and bytes where `data` is the other kind.

        Raises:
            WebSocketDisconnect: The conversation is over.
            ProtocolError: The connection was closed by the application, or `data` is neither
                text nor bytes.
        """
        key = key_of(mode)
        if key == "text" and isinstance(data, bytes):
            data = data.decode(encoding)
        elif key == "bytes" and isinstance(data, str):
            data = data.encode(encoding)
        if not self._live_wire.answered:
            await self.accept()
        await self._send({"type": SEND, key: data})

    async def send_text(self, data: str | bytes, encoding: str = "utf-8") -> None:
        """Send a text message: `send_data(data, "text", encoding)`.

        Args:
            data: The text, or its bytes.
            encoding: What bytes are decoded with.

        Raises:
            ProtocolError: The message cannot be sent, or the handshake was denied.
            ClientDisconnected: The client has left.
            SentAfterClose: This side has closed.
        """
        wire = self._live_wire
        send = wire.direct_send
        if send is None:
            if type(data) is str and wire.answered and self.passes_by[1]:
                await self._send({"type": "websocket.send", "text": data})
            else:
                await self.send_data(data, "text", encoding)
            return
        try:
            size = len(data) if _is_ascii(data) else len(data.encode())  # type: ignore[arg-type, union-attr]
        except (TypeError, UnicodeEncodeError):
            pass  # it is no text, or none that can be sent
        else:
            # No stage wraps send: do here what `Wire.send` does, as in `receive_text`.
            try:
                await send({"type": "websocket.send", "text": data})
            except Exception as error:
                await self._send_failed(error)
                raise
            traffic = wire.traffic
            traffic.text_bytes_sent += size
            traffic.text_sent += 1
            return
        await self.send_data(data, "text", encoding)

    async def send_bytes(self, data: str | bytes, encoding: str = "utf-8") -> None:
        """Send a binary message: `send_data(data, "binary", encoding)`.

        Args:
            data: The bytes, or a text.
            encoding: What a text is encoded with.

        Raises:
            ProtocolError: The message cannot be sent, or the handshake was denied.
            ClientDisconnected: The client has left.
            SentAfterClose: This side has closed.
        """
        wire = self._live_wire
        send = wire.direct_send
        if send is None or type(data) is not bytes:
            await self.send_data(data, "binary", encoding)
            return
        try:
            await send({"type": "websocket.send", "bytes": data})
        except Exception as error:
            await self._send_failed(error)
            raise
        traffic = wire.traffic
        traffic.binary_bytes_sent += len(data)
        traffic.binary_sent += 1

    async def _send_failed(self, error: Exception) -> None:
        try:
            self._live_wire.fail(error)
        finally:
            await self._end_if_over()

    def send_json(
        self,
        data: Any,
        mode: Mode = "text",
        encoding: str = "utf-8",
        serializer: Serializer = default_serializer,
    ) -> Coroutine[Any, Any, None]:
        """Send a value as JSON, by orjson.

        Args:
            data: The value; it is serialized at the call, before the await.
            mode: The kind of frame to send.
            encoding: The encoding of a binary frame.
            serializer: Handles what orjson does not know.

        Raises:
            SerializationException: The value has no JSON form.
            WebSocketDisconnect: The conversation is over.
        """
        try:
            encoded = orjson.dumps(data, serializer)
        except orjson.JSONEncodeError:
            encoded = encode_json(data, serializer)
        if mode == "text":
            return self.send_text(encoded.decode())
        if encoding == "utf-8":
            return self.send_data(encoded, mode)
        return self.send_data(encoded.decode(), mode, encoding)
