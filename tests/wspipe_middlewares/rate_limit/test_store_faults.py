"""A shared store that fails: conversations go on, the policy holds, and it heals by itself."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from wspipe_middlewares import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from tests.observed import Measured

pytestmark = pytest.mark.anyio

TIMEOUT = 0.25
# What a busy machine may add to a wait.
ALLOWANCE = 0.5
PASSWORD = "correct-horse"  # noqa: S105 - of a server that lives for a test
RATE, BURST = 20, 5

REFUSED = ("redis.exceptions.ConnectionError",)
SILENT = ("TimeoutError", "redis.exceptions.TimeoutError")
UNAUTHENTICATED = ("redis.exceptions.AuthenticationError",)
READ_ONLY = ("redis.exceptions.ReadOnlyError",)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def limit_on(server: Any, measured: Measured, **options: Any) -> RateLimit:
    """Make a limit of which no message takes more than it needs, so that each asks the store."""
    settings: dict[str, Any] = {
        "store": server.url,
        "store_timeout": TIMEOUT,
        "on_limit": "drop",
        "meter_provider": measured.provider,
    }
    return RateLimit(f"{RATE}/second", BURST, **settings | options)


@contextmanager
def killed(server: Any, _: Any) -> Generator[None]:
    server.kill()
    yield
    server.start()


@contextmanager
def frozen(server: Any, _: Any) -> Generator[None]:
    server.freeze()
    yield
    server.thaw()


@contextmanager
def locked(server: Any, _: Any) -> Generator[None]:
    server.call("CONFIG", "SET", "requirepass", PASSWORD)
    server.password = PASSWORD
    server.call("CLIENT", "KILL", "TYPE", "normal")
    yield
    server.call("CONFIG", "SET", "requirepass", "")
    server.password = None


@contextmanager
def demoted(server: Any, servers: Any) -> Generator[None]:
    server.call("REPLICAOF", "127.0.0.1", servers().port)
    yield
    server.call("REPLICAOF", "NO", "ONE")


@pytest.mark.parametrize(
    ("policy", "meanwhile"),
    [
        ("local", "each process limits by itself"),
        ("allow", "everything is allowed"),
        ("deny", "everything is over the limit"),
    ],
)
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [(killed, REFUSED), (frozen, SILENT), (locked, UNAUTHENTICATED), (demoted, READ_ONLY)],
)
async def test_the_policy_holds_until_the_store_is_back(
    *,
    server: Any,
    servers: Any,
    talk: Any,
    until: Any,
    told: Any,
    store_errors: Any,
    measured: Measured,
    caplog: pytest.LogCaptureFixture,
    fault: Callable[..., Any],
    kinds: tuple[str, ...],
    policy: Any,
    meanwhile: str,
) -> None:
    limit = limit_on(server, measured, on_store_error=policy)
    used, began = BURST - 1, time.monotonic()
    async with talk(limit) as client:
        # One is left, so that the script has something to write.
        assert await client.say(used) == used
        with fault(server, servers):
            said = await client.say_until(told)
            asked, client.waits = client.waits, []
            await client.say(50)
            unasked = client.waits
            if policy == "local":
                assert client.passed <= BURST + RATE * (time.monotonic() - began)
                await client.say_until(lambda: client.passed > used)
            else:
                assert client.passed == used + (said + 50 if policy == "allow" else 0)
        await until(lambda: len(told()) > 1)

        server.call("FLUSHALL")
        await until(lambda: not server.buckets())
        assert await client.say() == 1
        (key,) = server.buckets()
        assert key.endswith(":127.0.0.1")

    assert max(asked) < TIMEOUT + ALLOWANCE
    assert sum(unasked) < TIMEOUT, "nobody waits while the breaker is open"
    counted = store_errors()
    assert sum(counted.values()) >= 3
    assert set(counted) & set(kinds)
    out, back = told()
    where = re.escape(f"127.0.0.1:{server.port}")
    assert re.fullmatch(
        rf"the rate limit's store {where} is out of order \(({'|'.join(kinds)}): .*\); "
        f"until it answers, {meanwhile}",
        out,
    )
    assert re.fullmatch(f"the rate limit's store {where} answers again", back)
    assert PASSWORD not in caplog.text
