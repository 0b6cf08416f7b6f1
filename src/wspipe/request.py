"""Reading the handshake request from an ASGI scope."""

from __future__ import annotations

import re
from functools import lru_cache
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import MultiMapping

    from wspipe.types import Scope

_LONGEST_HOST = 261  # RFC 1035 section 2.3.4, and a port
# RFC 3986 section 3.2: a name, or an IP literal in brackets, and a port.
_HOST = re.compile(
    r"([A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{0,5}))?", re.ASCII
)


def headers_of(scope: Scope) -> CIMultiDictProxy[str]:
    """Read the headers; HTTP has them in Latin-1 (RFC 9110 section 5.5)."""
    return CIMultiDictProxy(
        CIMultiDict(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in scope.get("headers") or ()
        )
    )


def query_params_of(scope: Scope) -> MultiDictProxy[str]:
    """Read the query string; a broken percent-encoding becomes U+FFFD."""
    query = scope.get("query_string", b"").decode("latin-1")
    return MultiDictProxy(MultiDict(parse_qsl(query, keep_blank_values=True)))


def cookies_of(headers: MultiMapping[str]) -> Mapping[str, str]:
    """Read the `Cookie` headers (RFC 6265 section 4.2), pair by pair, unquoted.

    HTTP/2 clients may send several of them (RFC 9113 section 8.2.3).
    """
    cookies: dict[str, str] = {}
    jar = SimpleCookie()
    for pair in ";".join(headers.getall("cookie", [])).split(";"):
        name, equals, value = pair.partition("=")
        if equals and name.strip():
            cookies[name.strip()], _ = jar.value_decode(value.strip())
    return cookies


def url_of(scope: Scope) -> URL:
    """Put together the URL that the client asked for."""
    root_path: str = scope.get("root_path", "")
    path: str = scope.get("path", "/")
    raw_path: bytes = scope.get("raw_path") or b""
    # ASGI 3 has `path` include `root_path`; older servers and frameworks do not.
    if not path.startswith(root_path):
        path, raw_path = root_path + path, b""
    quoted = raw_path.partition(b"?")[0].decode("latin-1") or _quote(path)
    query: str = scope.get("query_string", b"").decode("latin-1")
    return _build(scope.get("scheme", "ws"), _authority(scope), quoted, query)


def base_url_of(scope: Scope) -> URL:
    """Put together the URL of the application's root, which ends in a slash."""
    root_path: str = scope.get("app_root_path", scope.get("root_path", ""))
    authority = _authority(scope)
    root = _remembered_root if len(authority) <= _LONGEST_HOST else _root
    return root(scope.get("scheme", "ws"), authority, root_path)


def _root(scheme: str, authority: str, root_path: str) -> URL:
    return _build(scheme, authority, _quote(root_path.rstrip("/") + "/"), "")


_remembered_root = lru_cache(256)(_root)
"""An application has a few hosts, which each connection names again."""


def _quote(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=~", errors="replace")


def _build(scheme: str, authority: str, path: str, query: str) -> URL:
    return URL.build(
        scheme=scheme, authority=authority, path=path, query_string=query, encoded=True
    )


def _authority(scope: Scope) -> str:
    return _host_header(scope) or _server_address(scope) or "localhost"


def _host_header(scope: Scope) -> str | None:
    for name, value in scope.get("headers") or ():
        if name == b"host":
            match = _HOST.fullmatch(value.decode("latin-1"))
            return match[0] if match and int(match["port"] or 0) <= 65535 else None
    return None


def _server_address(scope: Scope) -> str | None:
    host, port = scope.get("server") or (None, None)
    if not host or port is None:
        return None  # unknown, or a Unix socket, whose path names no host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
