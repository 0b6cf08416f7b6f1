"""What a well-formed event looks like: the checks of `StateValidation(strict=True)`.

Each check gives `None`, or a phrase that says what is wrong and what would be right. The rules come
from the WebSocket message format of ASGI 2.5 and, for close frames, from RFC 6455.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeAlias, cast

from wspipe.close_codes import is_sendable_code
from wspipe.state_machine import (
    ACCEPT,
    CLOSE,
    DENIAL_BODY,
    DENIAL_START,
    DISCONNECT,
    RECEIVE,
    SEND,
)

Check: TypeAlias = Callable[[Mapping[str, Any]], str | None]

MAX_REASON_BYTES: Final = 123
"""A control frame holds 125 bytes (RFC 6455 section 5.5), two of which are the close code."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_SUBPROTOCOL = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN_IN_VALUE = re.compile(rb"[\r\n\0]")


def truncate_reason(reason: str) -> str:
    """Cut a close reason to the 123 bytes that a close frame can hold, at a character.

    A lone surrogate, which has no UTF-8 form, becomes a question mark.

    Args:
        reason: The reason.
    """
    return reason.encode("utf-8", "replace")[:MAX_REASON_BYTES].decode("utf-8", "ignore")


def _message(event: Mapping[str, Any]) -> str | None:
    text, data = event.get("text"), event.get("bytes")
    if (text is None) == (data is None):
        given = "neither" if text is None else "both"
        return f"exactly one of 'text' and 'bytes' must be given, not {given}"
    if data is not None:
        return None if isinstance(data, bytes) else f"'bytes' must be bytes, not {_kind(data)}"
    if not isinstance(text, str):
        return f"'text' must be str, not {_kind(text)}"
    return _unencodable("text", text)


def _disconnect(event: Mapping[str, Any]) -> str | None:
    code, reason = event.get("code", 1005), event.get("reason")
    if not isinstance(code, int | None) or isinstance(code, bool):
        return f"'code' must be int, not {_kind(code)}"
    if not isinstance(reason, str | None):
        return f"'reason' must be str or None, not {_kind(reason)}"
    return None


def _accept(event: Mapping[str, Any]) -> str | None:
    subprotocol = event.get("subprotocol")
    if not isinstance(subprotocol, str | None):
        return f"'subprotocol' must be str or None, not {_kind(subprotocol)}"
    if subprotocol is not None and not _SUBPROTOCOL.fullmatch(subprotocol):
        return f"'subprotocol' {subprotocol!r} is not an HTTP token (RFC 6455 section 4.1)"
    return _headers(event, reserved=b"sec-websocket-protocol")


def _close(event: Mapping[str, Any]) -> str | None:
    code, reason = event.get("code", 1000), event.get("reason")
    if not is_sendable_code(code):
        return (
            f"{code!r} is not a close code that may be sent: "
            "1000 to 1014 without 1004, 1005, 1006, or 3000 to 4999 (RFC 6455 section 7.4)"
        )
    if not isinstance(reason, str | None):
        return f"'reason' must be str or None, not {_kind(reason)}"
    if reason is None:
        return None
    if problem := _unencodable("reason", reason):
        return problem
    size = len(reason.encode())
    if size > MAX_REASON_BYTES:
        return f"'reason' has {size} bytes in UTF-8, at most {MAX_REASON_BYTES} fit in the frame"
    return None


def _denial_start(event: Mapping[str, Any]) -> str | None:
    status = event.get("status")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        return f"'status' must be a final HTTP status, 200 to 599, not {status!r}"
    return _headers(event)


def _denial_body(event: Mapping[str, Any]) -> str | None:
    body, more_body = event.get("body", b""), event.get("more_body", False)
    if not isinstance(body, bytes):
        return f"'body' must be bytes, not {_kind(body)}"
    if not isinstance(more_body, bool):
        return f"'more_body' must be bool, not {_kind(more_body)}"
    return None


def _headers(event: Mapping[str, Any], reserved: bytes = b"") -> str | None:
    headers = event.get("headers", ())
    if not isinstance(headers, Collection):
        return f"'headers' must be a list of pairs of bytes, not {_kind(headers)}"
    for index, header in enumerate(cast("Collection[object]", headers)):
        if problem := _header(header, reserved):
            return f"header {index}: {problem}"
    return None


def _header(header: object, reserved: bytes) -> str | None:
    match header:
        case [bytes(name), bytes(value)]:
            if not _TOKEN.fullmatch(name):
                return f"name {name!r} must be a lower-case HTTP token"
            if name == reserved:
                return f"{name.decode()} is set by the 'subprotocol' key, not by a header"
            if _FORBIDDEN_IN_VALUE.search(value):
                return f"value of {name.decode()} holds CR, LF or NUL"
            return None
        case _:
            return f"must be a pair of bytes, not {header!r}"


def _unencodable(key: str, text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"'{key}' cannot be encoded as UTF-8: a lone surrogate at position {error.start}"
    return None


def _kind(value: object) -> str:
    return type(value).__name__


CHECKS: Final[Mapping[str, Check]] = {
    RECEIVE: _message,
    DISCONNECT: _disconnect,
    ACCEPT: _accept,
    SEND: _message,
    CLOSE: _close,
    DENIAL_START: _denial_start,
    DENIAL_BODY: _denial_body,
}
"""The check of each event type that carries anything; `websocket.connect` carries nothing."""
