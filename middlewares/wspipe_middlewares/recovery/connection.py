"""One connection under `Recovery`: what its application sends, and how it ends."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from wspipe import ConnectionRejected, WebSocketException
from wspipe_middlewares.outcome import text_of, type_of
from wspipe_middlewares.recovery.close import Close
from wspipe_middlewares.recovery.errors import single_errors

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from wspipe import ASGIConnection, Event, Send
    from wspipe_middlewares.recovery import Recovery
    from wspipe_middlewares.recovery.application_close import CloseTable
    from wspipe_middlewares.recovery.errors import ErrorTable

_GOING_AWAY: Final = 1001
_MOST_LOGGED: Final = 5
"""How many exceptions of a group the log is told of."""

_logger = logging.getLogger("wspipe")


class RecoveredConnection:
    """Sends what the application left unsaid, on the way that its own events take.

    Args:
        connection: The connection.
        send: Takes events towards the server.
        config: What to send.
        errors: What exceptions become.
        closes: What the application's own closes become.
    """

    __slots__ = ("_answer", "_closes", "_config", "_connection", "_errors", "_send")

    def __init__(
        self,
        connection: ASGIConnection,
        send: Send,
        config: Recovery,
        errors: ErrorTable,
        closes: CloseTable,
    ) -> None:
        self._connection = connection
        self._send = send
        self._config = config
        self._errors = errors
        self._closes = closes
        self._answer: str | None = None
        connection.on_handshake(self._note_answer)
        connection.exit_stack.push_async_exit(self._end)

    def send(self, event: Event) -> Awaitable[None]:
        """Pass on what the application sends; a close as the client is to have it."""
        if event.get("type") == "websocket.close":
            event = self._closes.told(event)
        return self._send(event)

    def _note_answer(self, event: Event) -> None:
        self._answer = event["type"]

    async def _end(
        self, _: type[BaseException] | None, error: BaseException | None, *_traceback: Any
    ) -> bool:
        """End the conversation; tell whether the application's exception is handled by that."""
        if error is None:
            await self._end_returned()
            return False
        if not isinstance(error, Exception):
            # A cancellation. It is no news for the stages between, which may wait for a client.
            await self._connection.close(_GOING_AWAY, by="server")
            return False
        if self._connection.is_reported_by(error):
            return True
        return await self._end_failed(error)

    async def _end_returned(self) -> None:
        if self._only_server_can_deny:
            raise WebSocketException(
                detail="the application returned without an answer to the handshake", code=1011
            )
        if self._answer == "websocket.accept":
            close = Close(self._config.returned)
        else:
            close = self._failure
        if await self._finish(close) is None:
            await self._connection.close(1000, by="application")

    async def _end_failed(self, error: Exception) -> bool:
        is_reported = self._connection.is_reported_by
        errors = [each for each in single_errors(error) if not is_reported(each)]
        close = self._errors.close_for(errors)
        if close is None:
            # The server hears of it, and answers what it lets nobody else answer.
            if not self._only_server_can_deny:
                await self._finish(self._failure, logging.DEBUG)
            return False
        told = await self._finish(close)
        if told is None:
            return False
        what = "; ".join(f"{type_of(each)}: {text_of(each)}" for each in errors[:_MOST_LOGGED])
        _logger.info("connection %s ended with %s, for %s", self._connection.id, told, what)
        return True

    async def _finish(self, close: Close, level: int = logging.WARNING) -> str | None:
        """Send an end where there is none; tell which it is, `None` where the server refuses it."""
        if self._is_over:
            return self._earlier_end
        events = self._events(close)
        try:
            for event in events:
                await self._send(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the connection has to end
            if self._is_over:
                return self._earlier_end
            _logger.log(level, "close code %s is refused: %r", close.code, error)
            return None
        return _described(events[0])

    def _events(self, close: Close) -> Sequence[Event]:
        if self._answer is None:
            status = close.status or self._config.status
            rejection = ConnectionRejected(status, code=close.code, reason=close.reason)
            return rejection.events(self._connection.scope)
        if self._answer == "websocket.accept":
            return ({"type": "websocket.close", "code": close.code, "reason": close.reason},)
        # It denies already. An HTTP response has to have an end.
        return ({"type": "websocket.http.response.body", "body": b"", "more_body": False},)

    @property
    def _failure(self) -> Close:
        return Close(self._config.code, self._config.reason)

    @property
    def _only_server_can_deny(self) -> bool:
        # Without the extension a close is answered with 403. An exception is answered with 500.
        extensions = self._connection.scope.get("extensions") or ()
        waits = self._answer is None and not self._is_over
        return waits and "websocket.http.response" not in extensions

    @property
    def _is_over(self) -> bool:
        return self._connection.connection_state == "disconnect"

    @property
    def _earlier_end(self) -> str:
        code = self._connection.close_code
        return "no code" if code is None else f"code {code}"


def _described(event: Event) -> str:
    if "code" in event:
        return f"code {event['code']}"
    return f"status {event['status']}" if "status" in event else "its own denial"
