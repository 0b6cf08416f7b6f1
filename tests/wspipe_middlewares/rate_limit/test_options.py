"""What makes no sense is refused when the middleware is made, in one line."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from functools import partial
from math import inf, nan
from typing import Any

import pytest

from wspipe import ASGIConnection, ImproperlyConfiguredException
from wspipe_middlewares import RateLimit


async def late(*_: Any) -> Any:
    pass


class Late:
    async def __call__(self, *_: Any) -> Any:
        pass


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"rate": "20/fortnight"},
        "rate='20/fortnight' must be a rate per second, minute, hour or day",
    ),
    ({"rate": "0/second"}, "rate='0/second' must be a rate above zero"),
    ({"rate": "-1/second"}, "rate='-1/second' must be a text such as \"20/second\""),
    ({"rate": 20}, "rate=20 must be a text such as"),
    ({"burst": 0}, "burst=0 must be a whole number above zero"),
    ({"burst": -3}, "burst=-3 must be a whole number above zero"),
    ({"burst": (1, 2)}, "burst=(1, 2) must be one number"),
    ({"cost": "words"}, "cost='words' must be one of 'messages', 'bytes', 'connections', or a fun"),
    ({"cost": 3}, "cost=3 must be one of"),
    ({"cost": lambda _: 1}, "must be a function of (event, connection): too many"),
    ({"key": "ip"}, "key='ip' must be one of 'client', 'connection', 'user', 'route', or a"),
    ({"key": late}, "must be a plain function, not an async one: a function of the connection"),
    ({"cost": late}, "must be a plain function, not an async one: a function of (event, connec"),
    ({"key": Late()}, "must be a plain function, not an async one: a function of the connection"),
    ({"key": lambda: "x"}, "must be a function of the connection: too many"),
    ({"key": "route", "cost": "connections"}, "key='route' must be 'client', 'user' or a function"),
    ({"key": "connection", "cost": "connections"}, "key='connection' must be 'client', 'user' or"),
    ({"max_delay": 10**400}, "must be a number of seconds from 0 to 3600"),
    ({"on_limit": "ignore"}, "on_limit='ignore' must be one of 'delay', 'close', 'drop', 'raise'"),
    ({"on_limit": lambda: None}, "must be a function of an Exceeded: too many"),
    ({"on_limit": "drop", "cost": "connections"}, "on_limit='drop' must be 'delay', 'close' or a"),
    ({"on_limit": "raise", "cost": "connections"}, "on_limit='raise' must be 'delay', 'close' or"),
    ({"max_delay": -1}, "max_delay=-1 must be a number of seconds from 0 to 3600"),
    ({"max_delay": inf}, "max_delay=inf must be a number of seconds"),
    ({"max_delay": nan}, "max_delay=nan must be a number of seconds"),
    ({"max_delay": "5"}, "max_delay='5' must be a number of seconds"),
    ({"max_delay": True}, "max_delay=True must be a number of seconds"),
    ({"store_timeout": 0}, "store_timeout=0 must be a number of seconds from 0.001"),
    ({"on_store_error": "panic"}, "on_store_error='panic' must be one of 'local', 'allow', 'deny'"),
    ({"on_store_error": print}, "must be one of 'local', 'allow', 'deny'"),
    ({"name": 3}, "name=3 must be a text"),
    ({"ipv6_prefix": 0}, "ipv6_prefix=0 must be a number of bits from 1 to 128"),
    ({"ipv6_prefix": 129}, "ipv6_prefix=129 must be a number of bits from 1 to 128"),
    ({"ipv6_prefix": True}, "ipv6_prefix=True must be a number of bits from 1 to 128"),
    ({"proxies": "10.0.0.1"}, "proxies='10.0.0.1' must be a tuple, such as"),
    ({"proxies": 5}, "proxies=5 must be a tuple"),
    ({"proxies": ("10.0.0.300",)}, "10.0.0.300"),
    ({"proxy_header": "x-real-ip"}, "x-real-ip"),
    ({"store": "memcached://host"}, "store='memcached://'... has no scheme of a store"),
    ({"store": object()}, "must be the URL of a server, or an object with async take and put_back"),
    ({"store": "redis://h", "rate": "499/day", "burst": 10**9}, "is too large for a shared store"),
]


@pytest.mark.parametrize(("options", "words"), BAD)
def test_a_bad_option_is_refused_with_what_would_be_right(
    options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refusal:
        RateLimit(**{"rate": "20/second", **options})
    message = str(refusal.value)
    assert words in message
    assert "\n" not in message


def test_it_is_configuration_and_nothing_else() -> None:
    limit = RateLimit("20/second", 40, key="user")
    assert limit == RateLimit("20/second", 40, key="user")
    assert hash(limit) == hash(RateLimit("20/second", 40, key="user"))
    assert limit != RateLimit("20/second", 41, key="user")
    with pytest.raises(FrozenInstanceError):
        limit.rate = "1/second"  # type: ignore[misc]


def test_its_repr_tells_what_is_set_but_no_password() -> None:
    assert repr(RateLimit("20/second")) == "RateLimit('20/second')"
    shown = repr(RateLimit("20/second", 40, key="user", store="redis://user:secret@host/0"))
    assert shown == "RateLimit('20/second', burst=40, key='user', store=<host:6379>)"


def by_path(prefix: str, connection: ASGIConnection) -> str:
    return prefix + connection.scope["path"]


class ByHost:
    def __call__(self, connection: ASGIConnection) -> str:
        return str(connection.base_url.host)


def elsewhere(connection: ASGIConnection) -> str:
    return connection.id


elsewhere.__qualname__ = "by_path"
elsewhere.__module__ = "another.module"


def test_equal_configurations_have_equal_keys_in_a_store_whatever_is_called() -> None:
    def prefix(**options: Any) -> str:
        return RateLimit("1/second", store="redis://host", **options)._limiter.prefix  # noqa: SLF001

    assert prefix(key=partial(by_path, "a")) == prefix(key=partial(by_path, "b"))
    assert prefix(key=ByHost()) == prefix(key=ByHost())
    here: Any = by_path
    assert prefix(key=elsewhere) == prefix(key=partial(elsewhere))
    both = {prefix(), prefix(key="user"), prefix(cost="bytes"), prefix(key=ByHost())}
    both |= {
        prefix(key=partial(elsewhere)),
        prefix(burst=2),
        prefix(name="other"),
        prefix(cost=here),
    }
    assert len(both) == 8


def test_only_one_with_a_store_takes_part_in_the_lifespan() -> None:
    assert not RateLimit("20/second").owns_resources
    assert RateLimit("20/second", store="redis://host").owns_resources
