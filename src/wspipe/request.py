"""Reading the handshake request from an ASGI scope."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote

from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe.types import Scope


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


def cookies_of(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Read the `Cookie` header (RFC 6265 section 4.2), pair by pair, so that a bad one is alone."""
    cookies: dict[str, str] = {}
    for pair in headers.get("cookie", "").split(";"):
        jar = SimpleCookie()
        try:
            jar.load(pair.strip())
        except CookieError:
            continue
        cookies.update((name, morsel.value) for name, morsel in jar.items())
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
    return _build(scope, quoted, scope.get("query_string", b"").decode("latin-1"))


def base_url_of(scope: Scope) -> URL:
    """Put together the URL of the application's root, which ends in a slash."""
    root_path: str = scope.get("app_root_path") or scope.get("root_path", "")
    return _build(scope, _quote(root_path.rstrip("/") + "/"), "")


def _quote(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=~")


def _build(scope: Scope, path: str, query: str) -> URL:
    scheme = scope.get("scheme", "ws")
    for name, value in scope.get("headers") or ():
        if name == b"host":
            try:
                return URL.build(
                    scheme=scheme,
                    authority=value.decode("latin-1"),
                    path=path,
                    query_string=query,
                    encoded=True,
                )
            except ValueError:
                break  # the client sent a Host that is none
    host, port = scope.get("server") or ("localhost", None)
    return URL.build(
        scheme=scheme, host=host, port=port, path=path, query_string=query, encoded=True
    )
