"""Whose tokens are counted: the key of a connection."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from wspipe import ASGIConnection, ImproperlyConfiguredException
from wspipe_middlewares.client import client_key
from wspipe_middlewares.route import route_of
from wspipe_middlewares.user import user_identity

if TYPE_CHECKING:
    from wspipe_middlewares.client import Proxies

KeyFunction: TypeAlias = Callable[[ASGIConnection], str | None]
"""Gives the key of a connection, `None` where it is not limited."""

Key: TypeAlias = Literal["client", "connection", "user", "route"] | KeyFunction
"""By what is counted."""

NAMED: Final = ("client", "connection", "user", "route")

_LONGEST: Final = 64
_OTHERWISE: Final = "give a function of the connection as key"


def key_function(key: Key, proxies: Proxies, ipv6_prefix: int) -> KeyFunction:
    """Give the function that tells the key of a connection.

    Args:
        key: By what is counted.
        proxies: Who is believed about the client's address.
        ipv6_prefix: How many bits of an IPv6 address tell one client from another.
    """

    def client(connection: ASGIConnection) -> str:
        return client_key(connection.scope, proxies, ipv6_prefix)

    def user(connection: ASGIConnection) -> str:
        identity = user_identity(connection.scope, "RateLimit(key='user')", _OTHERWISE)
        return f"client:{client(connection)}" if identity is None else f"user:{identity}"

    if key == "client":
        return client
    if key == "user":
        return user
    if key == "connection":
        return lambda connection: connection.id
    if key == "route":
        return lambda connection: route_of(connection) or ""
    return lambda connection: _checked(key(connection), key)


def stored(key: str) -> str:
    """Give a key as a store gets it: short, and of plain characters."""
    plain = key.isascii() and key.isprintable() and " " not in key
    if plain and len(key) <= _LONGEST and not key.startswith("#"):
        return key
    # No other key looks like this, so that nobody can take the place of another.
    return f"#{blake2b(key.encode('utf-8', 'surrogatepass'), digest_size=16).hexdigest()}"


def _checked(key: object, function: object) -> str | None:
    if key is None or isinstance(key, str):
        return key
    raise ImproperlyConfiguredException(
        detail=f"the key function {function!r} returned {key!r}; it must return a text, or None "
        "for a connection that is not limited"
    )
