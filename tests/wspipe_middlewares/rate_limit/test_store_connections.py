"""Connections to a shared store that break: what is replaced unnoticed, and what is not."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from itertools import chain, count, cycle, repeat
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe_middlewares import RateLimit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from tests.observed import Measured

pytestmark = pytest.mark.anyio

TIMEOUT = 0.25
# What a busy machine may add to a wait.
ALLOWANCE = 0.5
PASSWORD = "correct-horse"  # noqa: S105 - of a server that lives for a test
RATE, BURST = 20, 5


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def limit_on(url: str, measured: Measured, **options: Any) -> RateLimit:
    settings: dict[str, Any] = {
        "store": url,
        "store_timeout": TIMEOUT,
        "on_limit": "drop",
        "meter_provider": measured.provider,
    }
    return RateLimit(f"{RATE}/second", BURST, **settings | options)


class Proxy:
    """Stands between a client and a server, and cuts connections in the middle of an answer."""

    def __init__(self, port: int, cuts: Iterator[int]) -> None:
        self.server_port = port
        self.cuts = cuts
        self.cut = 0
        self.port = 0

    async def serve(self, client: Any, to_client: Any) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        asking = asyncio.create_task(self._pass_on(client, to_server))
        try:
            while answer := await server.read(4096):
                # The script's answer is an array of some lines.
                if answer.startswith(b"*") and next(self.cuts):
                    self.cut += 1
                    to_client.write(answer[:5])
                    break
                to_client.write(answer)
            await to_client.drain()
        except ConnectionError:
            pass
        finally:
            asking.cancel()
            to_client.close()
            to_server.close()

    async def _pass_on(self, client: Any, to_server: Any) -> None:
        while question := await client.read(4096):
            to_server.write(question)
        to_server.write_eof()


@asynccontextmanager
async def proxy(server: Any, cuts: Iterator[int]) -> AsyncGenerator[Proxy]:
    between = Proxy(server.port, cuts)
    listener = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.port = listener.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        listener.close()
        await asyncio.sleep(0)


async def test_a_server_that_was_restarted_between_messages_is_not_missed(
    server: Any, talk: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    async with talk(limit_on(server.url, measured)) as client:
        assert await client.say() == 1
        server.kill()
        server.start()
        assert not server.buckets()
        assert await client.say() == 1
        assert len(server.buckets()) == 1
    assert not told()
    assert not store_errors()


async def test_a_script_that_the_server_forgot_is_sent_again(
    server: Any, talk: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    async with talk(limit_on(server.url, measured)) as client:
        assert await client.say(2) == 2
        assert server.calls_of("eval") == 1
        server.call("SCRIPT", "FLUSH")
        assert await client.say(2) == 2
        assert server.calls_of("eval") == 2
    assert not told()
    assert not store_errors()


async def test_a_connection_that_is_cut_while_it_waits_is_replaced(
    *, server: Any, talk: Any, until: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    limit = limit_on(server.url, measured, store_timeout=5)
    async with talk(limit) as client, anyio.create_task_group() as tasks:
        await client.say()
        server.call("CLIENT", "PAUSE", 10_000, "WRITE")
        tasks.start_soon(client.say)
        await until(lambda: server.call("INFO", "clients")["blocked_clients"] == 1)
        server.call("CLIENT", "KILL", "TYPE", "normal")
        server.call("CLIENT", "UNPAUSE")
        await until(lambda: client.passed == 2)
    assert not told()
    assert not store_errors()


async def test_an_answer_that_breaks_off_is_asked_for_again(
    server: Any, talk: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    async with proxy(server, chain([0, 1], repeat(0))) as between:
        url = f"redis://127.0.0.1:{between.port}"
        async with talk(limit_on(url, measured)) as client:
            assert await client.say(2) == 2
    assert between.cut == 1
    assert not told()
    assert not store_errors()


async def test_where_every_answer_breaks_off_the_store_is_out_of_order(
    server: Any, talk: Any, until: Any, told: Any, measured: Measured
) -> None:
    async with proxy(server, chain([0], repeat(1))) as between:
        url = f"redis://127.0.0.1:{between.port}"
        async with talk(limit_on(url, measured)) as client:
            began = time.monotonic()
            await client.say_until(told)
            await client.say(50)
            assert 0 < client.passed <= BURST + RATE * (time.monotonic() - began)
            between.cuts = repeat(0)
            await until(lambda: len(told()) == 2)
            server.call("FLUSHALL")
            assert await client.say() == 1
            assert len(server.buckets()) == 1
    assert max(client.waits) < TIMEOUT + ALLOWANCE
    assert f"store 127.0.0.1:{between.port} is out of order" in told()[0]
    assert told()[1].endswith("answers again")


async def test_a_store_that_fails_now_and_then_gives_one_bucket_more_at_most(
    server: Any, talk: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    # Each request is tried twice, so these are two failures and an answer, again and again.
    async with proxy(server, chain([0], cycle([1, 1, 1, 1, 0]))) as between:
        url = f"redis://127.0.0.1:{between.port}"
        async with talk(limit_on(url, measured)) as client:
            began = time.monotonic()
            await client.say(60)
            # That of the store, and that of this process.
            assert client.passed <= 2 * (BURST + RATE * (time.monotonic() - began))
    assert sum(store_errors().values()) > 2
    assert not told()


async def test_a_wrong_password_is_told_of_but_not_shown(
    servers: Any, talk: Any, until: Any, told: Any, measured: Measured
) -> None:
    server = servers()
    server.call("CONFIG", "SET", "requirepass", "another")
    server.password = "another"  # noqa: S105 - likewise
    url = f"redis://:{PASSWORD}@127.0.0.1:{server.port}"
    async with talk(limit := limit_on(url, measured)) as client:
        await client.say_until(told)
        server.call("CONFIG", "SET", "requirepass", PASSWORD)
        server.password = PASSWORD
        await until(lambda: len(told()) == 2)
        assert await client.say() == 1
        assert len(server.buckets()) == 1
    assert "(redis.exceptions.AuthenticationError: " in told()[0]
    for each in (told(), limit, limit._limiter, limit._limiter.source()):  # noqa: SLF001
        assert PASSWORD not in repr(each)


async def test_clients_wait_at_the_same_time_and_not_in_turn(
    *, server: Any, talks: Any, until: Any, told: Any, store_errors: Any, measured: Measured
) -> None:
    numbers = count()
    limit = limit_on(server.url, measured, key=lambda _: f"client {next(numbers)}")
    async with talks(limit, 20) as clients:
        assert [await each.say() for each in clients] == [1] * 20
        server.freeze()
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for each in clients:
                tasks.start_soon(each.say)
        assert time.monotonic() - began < TIMEOUT + ALLOWANCE
        await until(told)
        server.thaw()
    assert {each.passed for each in clients} == {2}
    assert "out of order" in told()[0]
    assert sum(store_errors().values()) >= 3


async def test_a_server_that_is_down_at_the_start_keeps_nobody_waiting(
    server: Any, talk: Any, until: Any, told: Any, measured: Measured
) -> None:
    server.kill()
    async with talk(limit_on(server.url, measured)) as client:
        await client.say_until(told)
        server.start()
        await until(lambda: len(told()) == 2)
        assert await client.say() == 1
        assert len(server.buckets()) == 1
    assert max(client.waits) < TIMEOUT + ALLOWANCE
