"""URLs of stores: what is wrong with one is said in one line, without its password."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import anyio
import pytest

from wspipe import ImproperlyConfiguredException, Pipeline, WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import RateLimit
from wspipe_middlewares.rate_limit.redis_url import ServerAddress

SECRET = "hunter2"  # noqa: S105 - of nobody

SCHEMES = "redis://, redis+cluster://, redis+sentinel://, rediss://"


def refusal(url: str) -> str:
    """Give what a limit says of a URL."""
    with pytest.raises(ImproperlyConfiguredException) as caught:
        RateLimit("5/second", store=url)
    said = str(caught.value)
    assert "\n" not in said
    assert SECRET not in said
    assert SECRET not in repr(caught.value)
    # What a traceback shows of the causes.
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return said


@pytest.mark.parametrize(
    ("url", "right"),
    [
        (f"http://:{SECRET}@host", SCHEMES),
        (f"unix://:{SECRET}@/tmp/socket", SCHEMES),
        (f"REDIS+other://:{SECRET}@host", SCHEMES),
        (f"redis:{SECRET}@host:6379", SCHEMES),
        (f":{SECRET}@host:6379", SCHEMES),
        (f"{SECRET}@host", SCHEMES),
        ("localhost:6379", SCHEMES),
        ("", SCHEMES),
        ("redis://", "password@host:6379"),
        (f"redis://:{SECRET}@", "password@host:6379"),
        (f"redis://:{SECRET}@:6379", "password@host:6379"),
        (f"redis+cluster://:{SECRET}@a:6379,,b:6379", "password@host:6379"),
        (f"redis://:{SECRET}@host:99999", "the port no more than 65535"),
        (f"redis://:{SECRET}@host:abc", "the port no more than 65535"),
        (f"redis+cluster://:{SECRET}@a:6379,b:-1", "the port no more than 65535"),
        (f"redis://:{SECRET}@[::1", "redis://"),
        (f"redis://:{SECRET}@a:6379,b:6379", "redis+cluster://, for sentinels redis+sentinel://"),
        (f"valkeys://:{SECRET}@a,b", "valkeys+cluster://, for sentinels valkeys+sentinel://"),
        (f"redis+cluster://:{SECRET}@host?db=1", "db"),
        (f"redis+cluster://:{SECRET}@host?colour=red", "colour"),
        (f"redis+sentinel://:{SECRET}@host/service?colour=red", "colour"),
        (f"redis+sentinel://:{SECRET}@host:26379", "redis+sentinel://host:26379/service"),
        (f"valkey+sentinel://:{SECRET}@a,b/", "valkey+sentinel://host:26379/service"),
        # A password that should have been quoted ends where the path or the query begins.
        (f"redis://:{SECRET}/more@host:6379", "quoted"),
        (f"redis://someone:{SECRET}/more@host:6379", "quoted"),
        (f"redis://someone:{SECRET}?more@host:6379", "quoted"),
        (f"redis://someone:{SECRET}#more@host:6379", "quoted"),
        (f"redis://someone:more/{SECRET}@host:6379", "quoted"),
        (f"redis://someone:12/{SECRET}@host:6379", "quoted"),
        # As NFKC has it, this is "a/c".
        (f"redis://:{SECRET}\u2100@host:6379", "redis://"),
        (f"redis://:{SECRET}@host/abc", "number of a database"),
        (f"redis://:{SECRET}@host/1/2", "number of a database"),
        (f"redis://:{SECRET}@host/-1", "number of a database"),
        (f"redis+cluster://:{SECRET}@host/1", "database"),
        (f"redis://:{SECRET}@host?db=abc", "db"),
        (f"redis://:{SECRET}@host?socket_timeout=soon", "socket_timeout"),
        (f"redis://:{SECRET}@host?colour=red", "colour"),
    ],
)
def test_a_url_that_cannot_work_is_refused(url: str, right: str) -> None:
    assert right in refusal(url)


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://host", "host:6379"),
        ("redis://host:0", "host:6379"),
        ("rediss://user:a%2Fb@HOST:7/3?socket_timeout=2", "host:7"),
        ("valkey://[::1]:7/", "[::1]:7"),
        ("valkeys+cluster://:p@a,b:1,[::2]", "a:6379,b:1,[::2]:6379"),
        ("redis+sentinel://a,b:1/service", "a:26379,b:1"),
    ],
)
def test_an_address_reads_without_its_password(url: str, hosts: str) -> None:
    address = ServerAddress.parse(url)
    assert str(address) == repr(address) == hosts


def test_without_the_package_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def find_all_but_redis(name: str, package: str | None = None) -> Any:
        return None if name == "redis" else find_spec(name, package)

    monkeypatch.setattr("wspipe_middlewares.rate_limit.redis_url.find_spec", find_all_but_redis)
    assert "needs the package redis: pip install 'wspipe[redis]'" in refusal("redis://host")


def test_without_the_package_everything_else_works() -> None:
    program = """
import sys
sys.modules["redis"] = None
from wspipe import ImproperlyConfiguredException
from wspipe_middlewares import RateLimit
RateLimit("5/second")
try:
    RateLimit("5/second", store="redis://host")
except ImproperlyConfiguredException as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert "pip install 'wspipe[redis]'" in done.stdout


@pytest.fixture
def in_trio() -> Any:
    return lambda function: anyio.run(function, backend="trio")


def test_under_trio_a_shared_store_is_refused_at_the_start(in_trio: Any) -> None:
    limit = RateLimit("5/second", store="redis://host")
    for start in (limit.startup, Pipeline(limit).startup):
        with pytest.raises(ImproperlyConfiguredException, match="needs asyncio; under trio leave"):
            in_trio(start)


def test_under_trio_a_connection_is_refused(in_trio: Any) -> None:
    async def accept(socket: WebSocket) -> None:
        await socket.accept()

    async def connect_once(limit: RateLimit) -> None:
        async with connect(websocket_app(accept, pipeline=limit)):
            pass

    for cost in ("messages", "connections"):
        limit = RateLimit("5/second", cost=cost, store="redis://host", on_limit="close")  # type: ignore[arg-type]
        with pytest.raises(ImproperlyConfiguredException, match="needs asyncio; under trio leave"):
            in_trio(lambda limit=limit: connect_once(limit))


def test_under_trio_what_is_never_shared_works(in_trio: Any) -> None:
    limit = RateLimit("5/second", key="connection", store="redis://host")
    in_trio(limit.startup)
    in_trio(limit.shutdown)
