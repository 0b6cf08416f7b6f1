"""Every error that wspipe raises: one family, each with attributes that say what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wspipe.headers import HeadersInput, header_list
from wspipe.payload import truncate_reason
from wspipe.state_machine import CLOSE, DENIAL_BODY, DENIAL_EXTENSION, DENIAL_START

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wspipe.types import Event, Scope


class WSPipeException(Exception):
    """The base of all errors raised by wspipe.

    Args:
        *args: Further values for the message, converted with `str`.
        detail: What went wrong, in one sentence.
    """

    detail: str

    def __init__(self, *args: Any, detail: str = "") -> None:
        self.detail = detail
        super().__init__(*(str(arg) for arg in args if arg), detail)

    def __str__(self) -> str:
        return " ".join(str(arg) for arg in self.args).strip()

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the exception cross a process boundary with all its attributes."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(
    kind: type[WSPipeException], args: tuple[Any, ...], attributes: dict[str, Any]
) -> WSPipeException:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ImproperlyConfiguredException(WSPipeException):
    """wspipe was put together in a way that cannot work, or asked for what nothing has set."""


class WebSocketException(WSPipeException):
    """Something went wrong on a WebSocket connection.

    Args:
        *args: Further values for the message.
        detail: What went wrong.
        code: The close code that fits (RFC 6455 section 7.4). `websocket_app` closes with it
            where the handler lets the exception through.
    """

    code: int

    def __init__(self, *args: Any, detail: str, code: int = 4500) -> None:
        super().__init__(*args, detail=detail)
        self.code = code


class WebSocketDisconnect(WebSocketException):
    """The conversation is over.

    Raised by the receiving methods of `WebSocket` with the close code that the disconnect event
    carried.

    Args:
        *args: Further values for the message.
        detail: What happened.
        code: The close code.
    """

    def __init__(self, *args: Any, detail: str, code: int = 1000) -> None:
        super().__init__(*args, detail=detail, code=code)


class ClientDisconnected(WebSocketDisconnect, OSError):
    """An event was sent on a connection that is already over.

    The ASGI specification (2.4, "Disconnected Client") has such a send raise an `OSError`, so this
    is one, and a `WebSocketDisconnect` as well.
    """


class SerializationException(WebSocketException, ValueError):
    """JSON could not be read or written.

    Raised with code 1007 (invalid payload, RFC 6455 section 7.4.1) for a received message that is
    not JSON, and with 1011 for a value that has no JSON form.
    """


class ProtocolError(WebSocketException, RuntimeError):
    """The server or the application broke the ASGI WebSocket specification.

    It is a `RuntimeError` too, which is what servers and frameworks raise for an event out of turn.

    Args:
        detail: The whole story in one sentence.
        event: The type of the offending event, or the `repr` of what was given instead of one.
        sender: Who sent it: `"server"` or `"application"`.
        state: Where the conversation was: what was received and what was sent.
        legal: The event types that the same side might have sent there.
    """

    def __init__(
        self, *, detail: str, event: str, sender: str, state: str, legal: Iterable[str] = ()
    ) -> None:
        super().__init__(detail=detail, code=1011)
        self.event = event
        self.sender = sender
        self.state = state
        self.legal: tuple[str, ...] = tuple(legal)


class SentAfterClose(ProtocolError, WebSocketDisconnect):
    """The application sent something after it had closed or denied the connection.

    A fault of the application, and a `WebSocketDisconnect` as well, so that whoever sends to many
    sockets needs to catch one exception only.
    """


class ConnectionRejected(WSPipeException):
    """Raised by a middleware's `admit` to deny a connection before the application sees it.

    Where the server has the denial response extension, the client gets `status`, `headers` and
    `body`; elsewhere the handshake ends with `websocket.close`, which servers answer with 403.

    Args:
        status: The HTTP status of the denial, 200 to 599.
        headers: Its headers: a mapping, a multidict, or pairs of bytes.
        body: Its body; text is sent as UTF-8.
        code: The close code where the server has no denial response.
        reason: The close reason where the server has no denial response.

    Attributes:
        by: The middleware that rejected; the pipeline fills it in.
    """

    by: object

    def __init__(
        self,
        status: int = 403,
        headers: HeadersInput | None = None,
        body: bytes | str = b"",
        code: int = 1008,
        reason: str = "",
    ) -> None:
        super().__init__(detail=f"connection rejected with status {status}, code {code} {reason}")
        self.status = status
        self.headers: list[tuple[bytes, bytes]] = header_list(headers)
        self.body: bytes = body.encode() if isinstance(body, str) else body
        self.code = code
        self.reason = reason
        self.by = None

    def status_in(self, scope: Scope) -> int:
        """Tell which status the client gets, as the server's extensions allow.

        Args:
            scope: The connection's scope, whose `extensions` tell.
        """
        return self.status if DENIAL_EXTENSION in (scope.get("extensions") or ()) else 403

    def events(self, scope: Scope) -> tuple[Event, ...]:
        """Give the ASGI events that deny a connection, as the server's extensions allow.

        Args:
            scope: The connection's scope, whose `extensions` tell.
        """
        if DENIAL_EXTENSION not in (scope.get("extensions") or ()):
            return ({"type": CLOSE, "code": self.code, "reason": truncate_reason(self.reason)},)
        return (
            {"type": DENIAL_START, "status": self.status, "headers": self.headers},
            {"type": DENIAL_BODY, "body": self.body, "more_body": False},
        )
