"""Who may come in: signed sessions, which expire and can be revoked.

They stand for those of your own. Check the file that names them, from this folder:

    wspipe check
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from os import getenv
from secrets import token_hex
from time import time

import msgspec

from wspipe import ASGIConnection

KEY = (getenv("SESSION_KEY") or token_hex()).encode()  # where there is none, nobody has a session


class Session(msgspec.Struct, frozen=True):
    """What a user has proved, by a login elsewhere; a cookie or a token has all of it."""

    id: str
    user: str
    expires_at: float
    rooms: tuple[str, ...]
    may_speak: bool = True


class Unauthorized(Exception):
    """Nobody knows who that is, or not any more."""


class Forbidden(Exception):
    """It is known who that is, and they may not."""


_revoked: dict[str, float] = {}


def sign(session: Session) -> str:
    """Make the text that a client has to show."""
    body = urlsafe_b64encode(msgspec.json.encode(session)).decode()
    return f"{body}.{_mac(body)}"


def read(token: str) -> Session:
    """Give the session of a token that we have signed."""
    body, _, mac = token.partition(".")
    if not hmac.compare_digest(mac.encode(), _mac(body).encode()):
        raise Unauthorized
    session = msgspec.json.decode(urlsafe_b64decode(body), type=Session)
    if session.expires_at <= time() or session.id in _revoked:
        raise Unauthorized
    return session


def revoke(session: Session) -> None:
    """End a session before its time, on all connections that have it."""
    now = time()
    for name in [name for name, expires_at in _revoked.items() if expires_at <= now]:
        del _revoked[name]
    _revoked[session.id] = session.expires_at


def is_valid(connection: ASGIConnection) -> bool:
    """Tell whether the session of a connection was not revoked."""
    return connection.auth.id not in _revoked


def _mac(body: str) -> str:
    return hmac.digest(KEY, body.encode(), "sha256").hex()
