"""Making what a client sent fit for a log line: secrets hidden, control characters escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Collection

REDACTED: Final = "[redacted]"

_SECRET_NAMES: Final = frozenset(
    {
        "auth", "authorization", "code", "cookie", "jwt", "key", "nonce", "otp", "pin",
        "proxy_authorization", "pwd", "sec_websocket_protocol", "session", "session_id",
        "sessionid", "set_cookie", "sid", "sig", "state", "ticket",
    }
)  # fmt: skip
_SECRET_PARTS: Final = (
    "api_key", "apikey", "access_key", "credential", "passwd", "password", "private_key",
    "secret", "signature", "token",
)  # fmt: skip


def is_secret(name: str, more: Collection[str] = ()) -> bool:
    """Tell whether a query parameter or header of this name carries a secret.

    Args:
        name: The name, in any case, with `-` or `_`.
        more: Further names, in lower case with `_`.
    """
    name = name.strip().lower().replace("-", "_")
    return name in _SECRET_NAMES or name in more or any(part in name for part in _SECRET_PARTS)


def redact_query(query: bytes, more: Collection[str] = ()) -> str:
    """Hide the values of secret parameters in a query string and leave the rest as it is.

    Args:
        query: The raw query string.
        more: Further names of secret parameters, in lower case with `_`.
    """
    parts: list[str] = []
    for part in query.decode("latin-1").split("&"):
        name, equals, _ = part.partition("=")
        parts.append(
            f"{name}={REDACTED}" if equals and is_secret(unquote_plus(name), more) else part
        )
    return "&".join(parts)


def printable(text: str, limit: int) -> str:
    """Escape what is not printable, line breaks first of all, and cut what is too long.

    Args:
        text: What a client sent.
        limit: How many characters to keep; an ellipsis follows where some were cut.
    """
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    if cut.isprintable():
        return cut
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut
    )
