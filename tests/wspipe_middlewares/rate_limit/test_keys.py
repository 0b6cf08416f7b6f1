"""Whose tokens are counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from starlette.authentication import SimpleUser, UnauthenticatedUser

from wspipe import ASGIConnection, ImproperlyConfiguredException
from wspipe.testing import websocket_scope
from wspipe_middlewares.client import Proxies
from wspipe_middlewares.names import ROUTE_KEY
from wspipe_middlewares.rate_limit.keys import Key, key_function, stored


def key_of(key: Key, *, proxies: tuple[str, ...] = (), **scope: Any) -> str | None:
    """Tell the key of a connection with something in its scope."""
    connection: ASGIConnection = ASGIConnection({**websocket_scope(), **scope})
    return key_function(key, Proxies.of(proxies), 64)(connection)


def test_a_client_is_its_address() -> None:
    assert key_of("client", client=("192.0.2.1", 1234)) == "192.0.2.1"
    assert key_of("client", client=("2001:db8:1:2:3::4", 1)) == "2001:db8:1:2::/64"
    assert key_of("client", client=("::ffff:192.0.2.1", 1)) == "192.0.2.1"


def test_who_has_no_address_shares_one_key() -> None:
    assert key_of("client", client=None) == "unknown"


def test_a_forwarded_address_counts_behind_a_named_proxy_only() -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.7")]
    scope = {"client": ("10.0.0.1", 1), "headers": headers}
    assert key_of("client", **scope) == "10.0.0.1"
    assert key_of("client", proxies=("10.0.0.0/8",), **scope) == "198.51.100.7"


def test_a_connection_is_itself() -> None:
    assert key_of("connection") != key_of("connection")


def test_a_route_is_its_pattern_and_what_has_none_is_one_route() -> None:
    assert key_of("route", **{ROUTE_KEY: "/rooms/{room}"}) == "/rooms/{room}"
    assert key_of("route", path="/a") == key_of("route", path="/b") == ""


class WithoutIdentity(SimpleUser):
    """As Starlette's `BaseUser` is where `identity` is not written."""

    @property
    def identity(self) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("user", "key"),
    [
        ("ada", "user:ada"),
        (7, "user:7"),
        (SimpleNamespace(pk=7, id=8), "user:7"),
        (SimpleNamespace(id=0), "user:0"),
        (SimpleNamespace(identity="ada"), "user:ada"),
        (SimpleUser("ada"), "user:ada"),
        (WithoutIdentity("ada"), "user:ada"),
        (UnauthenticatedUser(), "client:127.0.0.1"),
        (SimpleNamespace(pk=None, id=None, is_authenticated=False), "client:127.0.0.1"),
    ],
)
def test_a_user_is_told_by_what_identifies_it_and_nobody_by_the_address(
    user: Any, key: str
) -> None:
    assert key_of("user", user=user) == key


def test_a_user_that_nothing_has_set_or_that_has_no_identity_is_an_error() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"nothing has set scope\['user'\]"):
        key_of("user")
    with pytest.raises(ImproperlyConfiguredException, match="cannot tell who object is"):
        key_of("user", user=object())
    with pytest.raises(ImproperlyConfiguredException, match="cannot tell who SimpleNamespace is"):
        key_of("user", user=SimpleNamespace(id=lambda: 3))


def test_a_function_gives_any_text_or_none_for_no_limit() -> None:
    assert key_of(lambda connection: connection.scope["path"], path="/a") == "/a"
    assert key_of(lambda _: None) is None
    wrong: Any = lambda _: 7  # noqa: E731
    with pytest.raises(ImproperlyConfiguredException, match="returned 7; it must return a text"):
        key_of(wrong)


def test_a_key_is_stored_as_it_is_or_short_and_plain() -> None:
    assert stored("192.0.2.1") == "192.0.2.1"
    strange = ["x" * 65, "ä", "a b", "a\n", "\ud800", ""]
    assert len({stored(key) for key in strange}) == len(strange)
    for key in strange:
        assert len(stored(key)) <= 64
        assert stored(key).isascii()
