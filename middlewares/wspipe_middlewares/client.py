"""The address of the client, behind trusted proxies too, and by what to count it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.headers import header_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wspipe import Scope

_Header = Literal["x-forwarded-for", "forwarded"]
_NOBODY: Final = "unknown"
_HEADERS: Final[tuple[_Header, ...]] = ("x-forwarded-for", "forwarded")
_LONGEST: Final = 64
_MOST_ENTRIES: Final = 64
_MOST_PAIRS: Final = 4 * _MOST_ENTRIES  # RFC 7239 has four: by, for, host and proto
# RFC 7239 section 6: an address, IPv6 in brackets, and a port or a word in its place.
_NODE: Final = re.compile(r"(?:\[([^\]]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?")
# RFC 7239 section 4, read backwards: value, "=", name and the separator before them. Inside a
# quoted string, a quotation mark has a backslash before it (RFC 9110 section 5.6.4).
_PAIR_BACKWARDS: Final = re.compile(
    r"""[ \t]*+(?:("(?:[^"]|"\\)*+"|[^ \t",;=]++)=([\w!#$%&'*+.^`|~-]++)[ \t]*+)?([,;])""", re.ASCII
)
_ESCAPED: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which peers are trusted to tell whom they forward for, and in which header.

    Args:
        networks: The networks of the trusted proxies.
        unix: Whether a peer without an address, on a Unix domain socket, is trusted.
        header: The header that they write. The other one has no influence.
    """

    networks: tuple[IPv4Network | IPv6Network, ...]
    unix: bool
    header: Literal["x-forwarded-for", "forwarded"]

    @classmethod
    def of(cls, proxies: Sequence[str], header: str = "x-forwarded-for") -> Proxies:
        """Read which proxies are trusted.

        Args:
            proxies: Addresses (`"10.0.0.1"`), networks (`"10.0.0.0/8"`), or `"unix"`.
            header: `"x-forwarded-for"` or `"forwarded"` (RFC 7239).

        Raises:
            ImproperlyConfiguredException: Something else was given.
        """
        if not isinstance(proxies, tuple | list):
            raise ImproperlyConfiguredException(
                detail=f"proxies={proxies!r} must be a tuple, such as ('10.0.0.0/8',)"
            )
        known: _Header | None = next((name for name in _HEADERS if name == header), None)
        if known is None:
            allowed = " or ".join(map(repr, _HEADERS))
            raise ImproperlyConfiguredException(
                detail=f"the proxies' header is {allowed}, not {header!r}"
            )
        networks = tuple(_network(proxy) for proxy in proxies if proxy != "unix")
        return cls(networks, "unix" in proxies, known)


def _network(proxy: str) -> IPv4Network | IPv6Network:
    text = str(proxy)  # a number would be taken for an address
    try:
        network = ip_network(text, strict=False)
        address = _plain(ip_address(text.partition("/")[0]))
    except ValueError:
        raise ImproperlyConfiguredException(
            detail="proxies: one is an address such as '10.0.0.1', a network such as '10.0.0.0/8', "
            f"or 'unix', not {proxy!r}"
        ) from None
    first = _plain(network.network_address)
    prefix = network.prefixlen - (network.max_prefixlen - first.max_prefixlen)
    if address != first or "%" in text:  # a peer's zone is ignored, so none can be demanded
        raise ImproperlyConfiguredException(
            detail=f"proxies: a network has no host bits and no zone: '{first}/{prefix}', "
            f"not {proxy!r}"
        )
    return ip_network(f"{first}/{prefix}")


def client_address(scope: Scope, proxies: Proxies) -> str | None:
    """Give the client's address: the peer's or, where that is a trusted proxy, the one it tells.

    The header is read from its end, where the nearest proxy wrote, to the first address that is no
    trusted proxy's. What is left of that, or of what is no address, the client may have made up.

    Args:
        scope: The ASGI scope.
        proxies: The trusted proxies.

    Returns:
        The address without port and zone, IPv4-mapped IPv6 as IPv4. A peer without an IP address
        is named as in the scope, `None` where that has no name for it.
    """
    client = scope.get("client")
    host: str | None = (client[0] if client else None) or None  # Granian: "" for a Unix socket
    peer = _ip(host) if host else None
    nearest = host if peer is None else str(peer)
    if not (proxies.unix if host is None else _is_trusted(peer, proxies)):
        return nearest
    text = ",".join(header_values(scope, proxies.header))
    for node in _forwarded(text) if proxies.header == "forwarded" else _x_forwarded_for(text):
        address = _address_of(node)
        if address is None:
            break
        nearest = str(address)
        if not _is_trusted(address, proxies):
            break
    return nearest


def _is_trusted(address: IPv4Address | IPv6Address | None, proxies: Proxies) -> bool:
    return address is not None and any(address in network for network in proxies.networks)


def _x_forwarded_for(text: str) -> Iterable[str]:
    """Give the entries, the nearest first."""
    entries = text.rsplit(",", _MOST_ENTRIES)[-_MOST_ENTRIES:]
    return (entry.strip(" \t") for entry in reversed(entries))


def _forwarded(text: str) -> Iterable[str]:
    """Give whom each element is for, the nearest first, up to one that is malformed.

    Read forwards, a quotation mark that a client sent could swallow what the proxies wrote.
    """
    backwards, position = f",{text}"[::-1], 0
    found: list[str] = []
    for _ in range(_MOST_PAIRS):
        pair = _PAIR_BACKWARDS.match(backwards, position)
        if pair is None:
            break
        value, name, separator = pair.groups("")
        if name[::-1].lower() == "for":
            found.append(_unquoted(value[::-1]))
        if separator == ",":
            yield found[0] if len(found) == 1 else ""  # RFC 7239 section 4: each only once
            found = []
        position = pair.end()


def _unquoted(value: str) -> str:
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _address_of(node: str) -> IPv4Address | IPv6Address | None:
    match = _NODE.fullmatch(node)
    return _ip(node if match is None else match[1] or match[2])


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    return (_remembered if len(text) <= _LONGEST else _parsed)(text)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return _plain(ip_address(text))
    except ValueError:
        return None


_remembered = lru_cache(1024)(_parsed)
"""Each connection asks several times, and a client has many."""


def _plain(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Unwrap IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2) and leave out the zone."""
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def address_group(address: str, ipv6_prefix: int) -> str:
    """Give by what to count an address: a client with IPv6 has a whole network of them.

    Args:
        address: What `client_address` gave.
        ipv6_prefix: The prefix length of a client's network, 0 to 128; that of one link is 64
            (RFC 4291 section 2.5.4).

    Returns:
        IPv4 by itself, IPv6 by its network, such as `2001:db8:1:2::/64`, anything else as it is.

    Raises:
        ValueError: There is no such prefix length.
    """
    ip = _ip(address)
    if ip is None:
        return address
    if isinstance(ip, IPv4Address):
        return str(ip)
    return str(IPv6Network((int(ip), ipv6_prefix), strict=False))


def client_key(scope: Scope, proxies: Proxies, ipv6_prefix: int) -> str:
    """Give by what to count the client of a connection.

    Args:
        scope: The ASGI scope.
        proxies: The trusted proxies.
        ipv6_prefix: See `address_group`.

    Returns:
        What `address_group` gives for its address; `unknown` for all that have none.
    """
    address = client_address(scope, proxies)
    return _NOBODY if address is None else address_group(address, ipv6_prefix)
