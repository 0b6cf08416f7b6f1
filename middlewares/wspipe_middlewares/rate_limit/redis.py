"""The shared store on Redis or Valkey: alone, in a cluster, or watched by sentinels."""

from __future__ import annotations

import asyncio
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.rate_limit.lease import REACH
from wspipe_middlewares.rate_limit.redis_url import ServerAddress
from wspipe_middlewares.rate_limit.store import Grant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wspipe_middlewares.rate_limit.gcra import Request
    from wspipe_middlewares.rate_limit.rate import Limit

_MICROSECOND: Final = 1000
_MICROSECONDS: Final = 1_000_000
# Lua's numbers are doubles, exact up to this.
_LARGEST: Final = 2**53
_BATCH: Final = 256
_SCRIPT: Final = files("wspipe_middlewares.rate_limit").joinpath("bucket.lua").read_text()
_SHA: Final = sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


class _Call(NamedTuple):
    key: str
    arguments: tuple[object, ...]
    reply: asyncio.Future[list[int]]


class RedisStore:
    """A store on Redis or Valkey.

    What several connections want of it at a time travels together: while one round trip is under
    way, what comes up meanwhile waits for the next.

    Args:
        address: The server, as a URL.

    Raises:
        ImproperlyConfiguredException: The URL is none of a server, or `redis` is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address: ServerAddress = ServerAddress.parse(address)
        self._waiting: list[_Call] = []
        self._sending: asyncio.Task[None] | None = None

    async def take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        """Draw tokens: see `Store.take`."""
        least, most, ahead, sparing, share = request
        arguments = (least, most, ahead // _MICROSECOND, int(sparing), share, 0, 0)
        terms = [limit.terms(_MICROSECONDS) for limit in limits]
        count, wait, mark, *debts = await self._call(key, arguments, terms)
        return Grant(
            count,
            tuple(
                -(-debt * _MICROSECOND // each.scale)
                for debt, each in zip(debts, terms, strict=True)
            ),
            wait * _MICROSECOND,
            mark,
        )

    async def put_back(self, key: str, limits: Sequence[Limit], *, count: int, mark: Any) -> None:
        """Take back tokens: see `Store.put_back`."""
        terms = [limit.terms(_MICROSECONDS) for limit in limits]
        await self._call(key, (0, 0, 0, 0, 0, count, mark), terms)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.wait([self._sending])
        if "_client" in self.__dict__:
            await self._client.aclose()
            pool = getattr(self._client, "connection_pool", None)
            # Those of the sentinels are not closed with it.
            for each in getattr(getattr(pool, "sentinel_manager", None), "sentinels", ()):
                await each.aclose()
            del self._client

    @cached_property
    def _client(self) -> Any:
        return self.address.client()

    async def _call(
        self, key: str, arguments: Sequence[object], terms: Sequence[Sequence[int]]
    ) -> list[int]:
        flat = (*arguments, *(number for each in terms for number in each))
        call = _Call(key, flat, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        return await call.reply

    async def _send(self) -> None:
        while self._waiting:
            calls, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
            calls = [call for call in calls if not call.reply.done()]
            replies = await self._run(calls) if calls else []
            for call, reply in zip(calls, replies, strict=True):
                if call.reply.done():
                    continue
                if isinstance(reply, Exception):
                    call.reply.set_exception(reply)
                else:
                    call.reply.set_result(reply)

    async def _run(self, calls: Sequence[_Call]) -> list[Any]:
        from redis.exceptions import NoScriptError  # noqa: PLC0415 - an extra

        replies = await self._execute("EVALSHA", _SHA, calls)
        unknown = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if unknown:
            # The server has it for the first time, or was told to forget it.
            again = await self._execute("EVAL", _SCRIPT, [calls[i] for i in unknown])
            for i, reply in zip(unknown, again, strict=True):
                replies[i] = reply
        return replies

    async def _execute(self, command: str, script: str, calls: Sequence[_Call]) -> list[Any]:
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for call in calls:
                    pipeline.execute_command(command, script, 1, call.key, *call.arguments)
                return list(await pipeline.execute(raise_on_error=False))
        except Exception as error:  # noqa: BLE001 - it is raised where the reply is awaited
            return [error] * len(calls)


def check_size(limits: Sequence[Limit], patience: int) -> None:
    """Refuse limits whose numbers are too large for the server's arithmetic.

    Args:
        limits: The limits.
        patience: How many nanoseconds a token may be waited for.

    Raises:
        ImproperlyConfiguredException: One is too large.
    """
    for limit in limits:
        terms = limit.terms(_MICROSECONDS)
        if terms.tolerance + max(patience, REACH) // _MICROSECOND * terms.scale >= _LARGEST:
            raise ImproperlyConfiguredException(
                detail=f"a limit of {limit} with a burst of {limit.burst} is too large for a "
                "shared store; give a smaller burst, or count in larger units"
            )
