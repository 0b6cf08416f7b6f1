"""Making what a client sent fit for a log line: secrets hidden, control characters escaped."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Collection

REDACTED: Final = "[redacted]"

# Names without what is no letter or digit, in lower case.
_SECRET_NAMES: Final = frozenset(
    {
        "auth", "authcode", "authkey", "code", "cookie", "jwt", "key", "nonce", "otp", "pass",
        "pin", "pwd", "secwebsocketprotocol", "setcookie", "sid", "sig", "state", "ticket", "xauth",
        "accesscode", "appkey", "connectsid", "jws", "mfa", "pw", "sas", "tok", "verificationcode",
    }
)  # fmt: skip
_SECRET_PARTS: Final = (
    "accesskey", "apikey", "assertion", "authentication", "authorization", "bearer", "credential",
    "csrf", "hmac", "passcode", "passkey", "passphrase", "passwd", "password", "privatekey",
    "samlresponse", "secret", "sessid", "session", "signature", "subscriptionkey", "token",
    "verifier", "webhookkey", "xsrf",
)  # fmt: skip
_SEPARATORS: Final = re.compile("([&;])")
_LONGEST_WORD: Final = 20
_LONGEST_NAME: Final = 64
_LONGEST_SUBPROTOCOL: Final = 64


def is_secret(name: str, more: Collection[str] = ()) -> bool:
    """Tell whether a query parameter or header of this name carries a secret.

    Args:
        name: The name; only its letters and digits matter, not their case.
        more: Further names of secrets.
    """
    known = _is_remembered if len(name) <= _LONGEST_NAME else _is_known
    return known(name) or (bool(more) and _plain(name) in map(_plain, more))


def _is_known(name: str) -> bool:
    plain = _plain(name)
    return plain in _SECRET_NAMES or any(part in plain for part in _SECRET_PARTS)


_is_remembered = lru_cache(maxsize=256)(_is_known)
"""An application has a few names, which each connection asks for again."""


def _plain(name: str) -> str:
    return "".join(filter(str.isalnum, name.lower()))


def redact_query(query: bytes, more: Collection[str] = ()) -> str:
    """Hide the values of secret parameters in a query string and leave the rest as it is.

    A long word without a name counts as a secret: it may be a token on its own.

    Args:
        query: The raw query string.
        more: Further names of secrets.
    """
    parts = _SEPARATORS.split(query.decode("latin-1"))
    return "".join(_redact_part(part, more) for part in parts)


def _redact_part(part: str, more: Collection[str]) -> str:
    name, equals, _ = part.partition("=")
    if equals:
        return f"{name}={REDACTED}" if is_secret(unquote_plus(name), more) else part
    return REDACTED if len(part) > _LONGEST_WORD else part


def redact_subprotocol(name: str) -> str:
    """Show a subprotocol; one that is too long for a name may be a token in its place.

    Args:
        name: The subprotocol that was chosen.
    """
    return REDACTED if len(name) > _LONGEST_SUBPROTOCOL else printable(name, _LONGEST_SUBPROTOCOL)


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
