"""`OriginCheck`: only pages of listed origins may connect."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field, replace
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from yarl import URL

from wspipe import (
    ASGIConnection,
    Composable,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Receive,
    Send,
)
from wspipe_middlewares.headers import header_values
from wspipe_middlewares.options import check_choice, check_flag, refusal

if TYPE_CHECKING:
    from wspipe import Scope

_NULL: Final = "null"
_PAGE_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://"
    r"(?:\[([0-9a-f:.]+)\]|([a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?))"
    r"(?::(0|[1-9][0-9]{0,4}))?"
)


@dataclass(frozen=True, slots=True)
class OriginCheck(Composable):
    """Let only pages of certain origins connect.

    A browser lets any page connect anywhere, and sends the visitor's cookies along. But it says in
    the header `Origin` whose page it is (RFC 6455 section 10.2), and a page cannot change that. Who
    is not a browser can send any origin: this is no means to know clients.

    Origins are equal where scheme, host and port are (RFC 6454 section 5), in any case of letters
    and with the scheme's default port written or not. A name with a dot at its end is another host
    than the name without, as it is to browsers. Where there are two `Origin` headers, or what is
    none, the connection is refused.

    # Order

    Put it after the observers, so that they see who is refused, and before all else.

    Args:
        allow: Origins whose pages may connect, such as `https://chat.example.com` or
            `https://[2001:db8::1]:8443`; names in ASCII, as browsers send them. `null` stands for
            pages without an origin, which any site can make.
        same_origin: Whether pages of the server's own origin may connect: that of the scope's
            scheme and the `Host` header.
        missing: What happens to a client without the header, which is no browser: `reject` or
            `allow`.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """

    checks_origin: ClassVar[bool] = True

    allow: tuple[str, ...] = ()
    _: KW_ONLY
    same_origin: bool = True
    missing: Literal["reject", "allow"] = "reject"
    _allowed: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could not work; read the origins."""
        object.__setattr__(self, "_allowed", _origins(self.allow))
        object.__setattr__(self, "allow", tuple(self.allow))
        check_flag("same_origin", self.same_origin)
        check_choice("missing", self.missing, ("reject", "allow"))
        if not self.allow and not self.same_origin and self.missing == "reject":
            raise refusal("allow", self.allow, "one origin at least: else nobody could connect")

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap nothing: who is in needs no more checks."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Decide by the origin.

        Raises:
            ConnectionRejected: It may not connect: status 403.
        """
        if not self._lets_in(connection.scope):
            headers = {"content-type": "text/plain; charset=utf-8"}
            reason = "origin not allowed"
            raise ConnectionRejected(403, headers, f"{reason}\n", 1008, reason)

    def _lets_in(self, scope: Scope) -> bool:
        given = header_values(scope, "origin")
        if not given:
            return self.missing == "allow"
        origin = _origin(given[0])
        if origin is None or len(given) > 1:
            return False
        return origin in self._allowed or (self.same_origin and origin == _own_origin(scope))

    def rehearsal(self) -> OriginCheck:
        """Give a copy to be measured, which lets in who sends no origin."""
        return replace(self, missing="allow")


def _origin(text: str) -> str | None:
    """Give the one spelling of an origin (RFC 6454 section 6.2), `None` for what is none."""
    if text == _NULL:
        return _NULL
    match = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    scheme, ipv6, host, port = match.groups()
    if ipv6 is not None:
        try:
            host = f"[{IPv6Address(ipv6)}]"
        except ValueError:
            return None
    if port is None or int(port) == _DEFAULT_PORTS.get(scheme):
        return f"{scheme}://{host}"
    return f"{scheme}://{host}:{port}" if int(port) <= 65535 else None


def _own_origin(scope: Scope) -> str | None:
    """Give the origin of the pages that come from where the client connects to."""
    scheme = _PAGE_SCHEMES.get(scope.get("scheme", "ws"))
    hosts = header_values(scope, "host")
    return _origin(f"{scheme}://{hosts[0]}") if scheme and len(hosts) == 1 else None


def _origins(allow: Any) -> frozenset[str]:
    if not isinstance(allow, tuple | list):
        raise refusal("allow", allow, "a tuple of origins, such as ('https://chat.example.com',)")
    return frozenset(map(_listed_origin, allow))  # pyright: ignore[reportUnknownArgumentType]


def _listed_origin(given: Any) -> str:
    origin = _origin(given) if isinstance(given, str) else None
    if origin is None:
        meant = isinstance(given, str) and _meant_by(given)
        raise ImproperlyConfiguredException(
            detail=f"allow: {given!r} is no origin as browsers send it: a scheme, a host in ASCII "
            "and a port other than the default, with no path and no wildcard, such as "
            f"{meant or 'https://chat.example.com'!r}"
        )
    return origin


def _meant_by(given: str) -> str | None:
    """Guess which origin a URL, a name or a name with other letters stands for."""
    try:
        return _origin(str(URL(given if "://" in given else f"https://{given}").origin()))
    except ValueError:
        return None
