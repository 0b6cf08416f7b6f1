"""The close codes of WebSockets, and what is known of each."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_RFC: Final = "RFC 6455 section 7.4.1"
_IANA: Final = "IANA WebSocket Close Code Number Registry"


class CloseCode(NamedTuple):
    """What is known of a close code.

    Args:
        name: Its name in the registry, or whose it is where it is in none.
        closed_by: Who has closed, where a server tells the application that the connection ended
            with this code; `unknown` where either side sends it, or nobody.
        is_sendable: Whether a close frame may carry it.
        is_ordinary: Whether it says that nothing went wrong.
        source: Where it is defined.
    """

    name: str
    closed_by: Literal["client", "server", "unknown"] = "unknown"
    is_sendable: bool = True
    is_ordinary: bool = False
    source: str = _RFC


CLOSE_CODES: Final[Mapping[int, CloseCode]] = MappingProxyType(
    {
        1000: CloseCode("normal closure", "client", is_ordinary=True),
        1001: CloseCode("going away", "client", is_ordinary=True),
        1002: CloseCode("protocol error"),
        1003: CloseCode("unsupported data"),
        1004: CloseCode("reserved", is_sendable=False),
        1005: CloseCode("no status received", "client", is_sendable=False, is_ordinary=True),
        1006: CloseCode("abnormal closure", is_sendable=False),
        1007: CloseCode("invalid payload"),
        1008: CloseCode("policy violation"),
        1009: CloseCode("message too big"),
        1010: CloseCode("mandatory extension", "client"),
        1011: CloseCode("internal error"),
        1012: CloseCode("service restart", "server", is_ordinary=True, source=_IANA),
        1013: CloseCode("try again later", "server", source=_IANA),
        1014: CloseCode("bad gateway", "server", source=_IANA),
        1015: CloseCode("TLS handshake", is_sendable=False),
        3000: CloseCode("unauthorized", "client", is_ordinary=True, source=_IANA),
        3003: CloseCode("forbidden", "client", is_ordinary=True, source=_IANA),
        3008: CloseCode("timeout", "client", is_ordinary=True, source=_IANA),
    }
)
"""Those that are registered. From 3000 to 3999 libraries may register more, and 4000 to 4999 are
everybody's own (RFC 6455 section 7.4.2): `known_code` knows those too."""

_UNREGISTERED: Final = "RFC 6455 section 7.4.2"
_OF_A_LIBRARY: Final = CloseCode("a library's", "client", is_ordinary=True, source=_UNREGISTERED)
_OF_THE_APPLICATION: Final = CloseCode(
    "the application's", "client", is_ordinary=True, source=_UNREGISTERED
)


def known_code(code: object) -> CloseCode | None:
    """Tell what is known of a close code, `None` where it has no meaning.

    Args:
        code: What should be a close code.
    """
    if not isinstance(code, int) or isinstance(code, bool):
        return None
    if code in CLOSE_CODES:
        return CLOSE_CODES[code]
    if 3000 <= code <= 3999:
        return _OF_A_LIBRARY
    return _OF_THE_APPLICATION if 4000 <= code <= 4999 else None


def is_sendable_code(code: object) -> bool:
    """Tell whether a close frame may carry this code.

    RFC 6455 sections 7.4.1 and 7.4.2 and its IANA registry: 1000 to 1014 without the reserved
    1004, 1005 and 1006, and 3000 to 4999.

    Args:
        code: What should be a close code.
    """
    known = known_code(code)
    return known is not None and known.is_sendable
