"""A store of our own: the buckets are in a SQLite file, for all processes of one machine.

Run it from this folder, as often as you like:

    uvicorn sqlite_store:app
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from os import getenv
from time import monotonic_ns

from anyio import to_thread

from wspipe import WebSocket, websocket_app
from wspipe_middlewares import Logging, RateLimit
from wspipe_middlewares.rate_limit import Grant, Limit, Request, draw

NANOSECONDS = 1_000_000_000  # in a second


class SQLiteStore:
    """Buckets in a SQLite file.

    Args:
        path: The file. It is made if there is none.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        with self._transaction() as database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS buckets "
                "(key TEXT PRIMARY KEY, drawn_at INTEGER, full_at INTEGER, debts TEXT)"
            )
            database.execute("CREATE INDEX IF NOT EXISTS by_full_at ON buckets (full_at)")
            # Before the machine was booted the clock said something else.
            database.execute("DELETE FROM buckets WHERE drawn_at > ?", (monotonic_ns(),))

    async def take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        """Draw tokens. SQLite blocks, so that is done in a thread."""
        arguments = (key, limits, request)
        return await to_thread.run_sync(self._take, *arguments, abandon_on_cancel=True)

    async def put_back(self, key: str, limits: Sequence[Limit], *, count: int, mark: int) -> None:
        """Take back tokens of the last grant."""
        arguments = (key, limits, count, mark)
        await to_thread.run_sync(self._put_back, *arguments, abandon_on_cancel=True)

    def _take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        terms = [limit.terms(NANOSECONDS) for limit in limits]
        with self._transaction() as database:
            # This clock is one for all processes of a machine, and nobody can set it, as they can
            # the time of day. It is read under the lock, so it is never behind what is written.
            now = monotonic_ns()
            database.execute("DELETE FROM buckets WHERE full_at <= ?", (now,))
            row = database.execute("SELECT drawn_at, debts FROM buckets WHERE key = ?", (key,))
            drawn_at, text = row.fetchone() or (now, json.dumps([0] * len(terms)))
            debts = [
                max(0, debt - (now - drawn_at) * each.scale)
                for debt, each in zip(json.loads(text), terms, strict=True)
            ]
            drawn = draw(terms, debts, request)
            waits = [-(-debt // each.scale) for debt, each in zip(drawn.debts, terms, strict=True)]
            if drawn.granted:
                new = (key, now, now + max(waits), json.dumps(drawn.debts))
                database.execute("REPLACE INTO buckets VALUES (?, ?, ?, ?)", new)
        return Grant(drawn.granted, tuple(waits), drawn.wait, mark=now)

    def _put_back(self, key: str, limits: Sequence[Limit], count: int, mark: int) -> None:
        with self._transaction() as database:
            # Only the last grant has that mark. It is changed, so that nothing comes back twice.
            last = (key, mark)
            query = "SELECT debts FROM buckets WHERE key = ? AND drawn_at = ?"
            for (text,) in database.execute(query, last).fetchall():
                debts = [
                    debt - count * limit.terms(NANOSECONDS).interval
                    for debt, limit in zip(json.loads(text), limits, strict=True)
                ]
                database.execute(
                    "UPDATE buckets SET debts = ?, drawn_at = drawn_at + 1 "
                    "WHERE key = ? AND drawn_at = ?",
                    (json.dumps(debts), *last),
                )

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        # A connection for each, as it may be in any thread. What raises is rolled back.
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("PRAGMA synchronous = OFF")  # a power cut may lose the last moments
            database.execute("BEGIN IMMEDIATE")  # from here on, no other process changes anything
            yield database
            database.execute("COMMIT")


store = SQLiteStore(getenv("STORE_FILE", "limits.sqlite"))


@websocket_app(pipeline=Logging() | RateLimit("20/second; 500/minute", store=store))
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
