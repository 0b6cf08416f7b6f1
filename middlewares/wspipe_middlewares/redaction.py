"""Making what a client sent fit for a log line: secrets hidden, control characters escaped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Collection

REDACTED: Final = "[redacted]"

# Names without `-` and `_`, in lower case.
_SECRET_NAMES: Final = frozenset(
    {
        "auth", "authkey", "authorization", "code", "cookie", "jwt", "key", "nonce", "otp", "pass",
        "pin", "proxyauthorization", "pwd", "secwebsocketprotocol", "session", "sessionid",
        "sessionkey", "setcookie", "sid", "sig", "state", "ticket",
    }
)  # fmt: skip
_SECRET_PARTS: Final = (
    "accesskey", "apikey", "bearer", "credential", "passcode", "passphrase", "passwd", "password",
    "privatekey", "secret", "signature", "token",
)  # fmt: skip


def is_secret(name: str, more: Collection[str] = ()) -> bool:
    """Tell whether a query parameter or header of this name carries a secret.

    Args:
        name: The name; case, `-` and `_` do not matter.
        more: Further names of secrets.
    """
    plain = _plain(name)
    return (
        plain in _SECRET_NAMES
        or any(part in plain for part in _SECRET_PARTS)
        or plain in map(_plain, more)
    )


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "").replace("_", "")


def redact_query(query: bytes, more: Collection[str] = ()) -> str:
    """Hide the values of secret parameters in a query string and leave the rest as it is.

    Args:
        query: The raw query string.
        more: Further names of secrets.
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
