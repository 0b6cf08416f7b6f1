"""Reading the handshake request: URL, headers, query, cookies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from wspipe import ASGIConnection
from wspipe.testing import websocket_scope


def connection(url: str = "/", **changes: Any) -> ASGIConnection:
    return ASGIConnection({**websocket_scope(url), **changes})


def with_headers(*headers: tuple[bytes, bytes]) -> ASGIConnection:
    return connection(headers=list(headers))


@pytest.mark.parametrize(
    ("scope", "url", "base_url"),
    [
        ({}, "ws://testserver/", "ws://testserver/"),
        ({"scheme": "wss"}, "wss://testserver/", "wss://testserver/"),
        ({"path": "/a b", "raw_path": b"/a%20b"}, "ws://testserver/a%20b", "ws://testserver/"),
        ({"path": "/a b", "raw_path": None}, "ws://testserver/a%20b", "ws://testserver/"),
        ({"path": "/é?#%", "raw_path": b""}, "ws://testserver/%C3%A9%3F%23%25", "ws://testserver/"),
        ({"raw_path": b"/a%2Fb", "path": "/a/b"}, "ws://testserver/a%2Fb", "ws://testserver/"),
        ({"raw_path": b"/a?q=1", "path": "/a"}, "ws://testserver/a", "ws://testserver/"),
        ({"query_string": b"q=%20&r"}, "ws://testserver/?q=%20&r", "ws://testserver/"),
        # ASGI 3: `path` has `root_path` in front; what came before it did not.
        (
            {"root_path": "/app", "path": "/app/x", "raw_path": b"/app/x"},
            "ws://testserver/app/x",
            "ws://testserver/app/",
        ),
        (
            {"root_path": "/app", "path": "/x", "raw_path": b"/x"},
            "ws://testserver/app/x",
            "ws://testserver/app/",
        ),
        # A mounted application of Starlette: the root of all is `app_root_path`.
        (
            {"root_path": "/app/sub", "app_root_path": "/app", "path": "/app/sub/x"},
            "ws://testserver/app/sub/x",
            "ws://testserver/app/",
        ),
    ],
)
def test_the_url_is_what_the_client_asked_for(
    scope: dict[str, Any], url: str, base_url: str
) -> None:
    if "path" in scope:
        scope = {"raw_path": None, **scope}
    asked = connection(**scope)
    assert str(asked.url) == url
    assert str(asked.base_url) == base_url


@pytest.mark.parametrize(
    ("server", "authority"),
    [
        (("example.org", 8000), "example.org:8000"),
        (["example.org", 8000], "example.org:8000"),
        (("::1", 8000), "[::1]:8000"),
        (("/run/app.sock", None), "localhost"),
        (("", 80), "localhost"),
        (None, "localhost"),
    ],
)
def test_without_a_host_header_it_is_the_servers_address(server: Any, authority: str) -> None:
    asked = connection("/x", headers=[], server=server)
    assert str(asked.url) == f"ws://{authority}/x"


@pytest.mark.parametrize(
    "host",
    [b"example.org", b"example.org:8000", b"[::1]", b"[::1]:8000", b"127.0.0.1:65535", b"a_b"],
)
def test_the_host_header_names_the_authority(host: bytes) -> None:
    assert str(with_headers((b"x", b"y"), (b"host", host)).url) == f"ws://{host.decode()}/"


@pytest.mark.parametrize(
    "host",
    [
        b"",
        b":80",
        b"::1",
        b"[::1",
        b"a b",
        b"a/b",
        b"a?b",
        b"a#b",
        b"user@example.org",
        b"example.org:port",
        b"example.org:65536",
        b"example.org\r\nx: y",
        b"example.org\n",
        b"\x1b[31m",
        b"\xff",
    ],
)
def test_a_host_header_that_is_no_host_is_ignored(host: bytes) -> None:
    asked = with_headers((b"host", host))
    assert asked.url == asked.base_url == URL("ws://127.0.0.1:80/")


@given(
    host=st.binary(max_size=20),
    path=st.text(max_size=20),
    query=st.binary(max_size=20),
    cookie=st.binary(max_size=20),
)
def test_nothing_that_a_client_sends_makes_the_reading_fail(
    host: bytes, path: str, query: bytes, cookie: bytes
) -> None:
    asked = connection(
        headers=[(b"host", host), (b"cookie", cookie)],
        path=f"/{path}",
        raw_path=None,
        query_string=query,
    )
    assert str(asked.url).startswith("ws://")
    assert asked.url.host
    assert asked.url.port is not None
    assert str(asked.base_url).isprintable()
    assert all(isinstance(value, str) for value in asked.cookies.values())
    assert all(isinstance(value, str) for value in asked.query_params.values())


def test_headers_are_read_without_regard_to_case_and_in_order() -> None:
    headers = with_headers((b"x-a", b"1"), (b"accept", b"\xe9"), (b"x-a", b"2")).headers
    assert headers["X-A"] == "1"
    assert headers.getall("x-a") == ["1", "2"]
    assert headers["Accept"] == "é"
    assert list(headers.items())[1:] == [("accept", "é"), ("x-a", "2")]


def test_query_parameters_keep_order_doubles_and_blanks() -> None:
    params = connection("/?b=2&a=1&a=%C3%A9&empty=&flag&broken=%ff&plus=a+b").query_params
    assert list(params.items()) == [
        ("b", "2"),
        ("a", "1"),
        ("a", "é"),
        ("empty", ""),
        ("flag", ""),
        ("broken", "\N{REPLACEMENT CHARACTER}"),
        ("plus", "a b"),
    ]


@pytest.mark.parametrize(
    ("cookie", "cookies"),
    [
        (b"a=1", {"a": "1"}),
        (b"a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        (b'quoted="a b"', {"quoted": "a b"}),
        (b"a=1; b=2=3", {"a": "1", "b": "2=3"}),
        (b"a=1; no value; =x; ; b[=2; @=3", {"a": "1", "b[": "2", "@": "3"}),
        (b'json={"a":1}; path=/', {"json": '{"a":1}', "path": "/"}),
        (b'quoted="a\\"b\\054"', {"quoted": 'a"b,'}),
        (b"a=1; a=2", {"a": "2"}),
        (b"", {}),
    ],
)
def test_cookies_are_read_and_what_is_no_pair_is_left_out(
    cookie: bytes, cookies: dict[str, str]
) -> None:
    assert dict(with_headers((b"cookie", cookie)).cookies) == cookies


def test_a_cookie_header_may_come_in_parts() -> None:
    asked = with_headers((b"cookie", b"a=1"), (b"cookie", b"b=2; c=3"))
    assert dict(asked.cookies) == {"a": "1", "b": "2", "c": "3"}


def test_an_empty_scope_can_be_read() -> None:
    asked: ASGIConnection = ASGIConnection({"type": "websocket"})
    assert str(asked.url) == str(asked.base_url) == "ws://localhost/"
    assert (dict(asked.headers), dict(asked.query_params), dict(asked.cookies)) == ({}, {}, {})


def test_a_root_path_that_is_no_unicode_is_no_harm() -> None:
    connection: ASGIConnection = ASGIConnection({"type": "websocket", "root_path": "/\ud800"})
    assert connection.base_url.raw_path == "/%3F/"
