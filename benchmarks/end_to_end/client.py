"""The client, in a process of its own: picows on uvloop, which is faster than the servers.

It reads orders from its standard input, one JSON object a line, and writes what it measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import deque
from time import perf_counter
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

TEXT = b"x" * 64
PATIENCE = 10.0
"""Seconds that the last answers have to come in."""


class Connection(WSListener):  # type: ignore[misc]
    """One connection, and when the answers that it waits for were due to be asked for."""

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.asked: deque[float] = deque()
        self.transport: WSTransport

    def on_ws_connected(self, transport: WSTransport) -> None:
        """Take the connection."""
        self.transport = transport

    def on_ws_frame(self, _: WSTransport, frame: WSFrame) -> None:
        """Take an answer."""
        if frame.msg_type == WSMsgType.TEXT:
            self.meeting.answered(self)

    def ask(self, due: float) -> None:
        """Send a message."""
        self.asked.append(due)
        self.transport.send(WSMsgType.TEXT, TEXT)


class Meeting:
    """Some connections, and the messages of one measurement."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.until = 0.0
        self.answers = 0
        self.last = 0.0
        self.latencies: list[float] | None = None

    async def open(self, url: str, count: int) -> None:
        """Open the connections."""
        for _ in range(count):
            _, connection = await ws_connect(lambda: Connection(self), url)
            self.connections.append(connection)

    def close(self) -> None:
        """Close them."""
        for connection in self.connections:
            connection.transport.disconnect()

    def answered(self, connection: Connection) -> None:
        """Count an answer; in a closed loop, ask again."""
        now = perf_counter()
        due = connection.asked.popleft()
        self.answers += 1
        self.last = now
        if self.latencies is not None:
            self.latencies.append(now - due)
        elif now < self.until:
            connection.ask(now)

    async def flood(self, seconds: float) -> float:
        """Ask again at each answer, on each connection; give the answers a second."""
        self.answers, self.latencies = 0, None
        start = perf_counter()
        self.until = start + seconds
        for connection in self.connections:
            connection.ask(start)
        await self._drain()
        return self.answers / (self.last - start)

    async def pace(self, seconds: float, rate: float) -> list[float]:
        """Ask at a fixed rate, whatever comes back, round the connections.

        A latency counts from the moment that a message was due, so that a server which holds up
        the client does not hide it (Gil Tene's "coordinated omission").

        Returns:
            The latencies in seconds.
        """
        self.answers, self.latencies = 0, []
        start, count = perf_counter(), int(seconds * rate)
        for number in range(count):
            due = start + number / rate
            while perf_counter() < due:  # noqa: ASYNC110 - a timer of the loop is too coarse
                await asyncio.sleep(0)
            self.connections[number % len(self.connections)].ask(due)
        await self._drain()
        latencies, self.latencies = self.latencies, None
        return latencies

    async def _drain(self) -> None:
        async with asyncio.timeout(PATIENCE + max(0.0, self.until - perf_counter())):
            while any(each.asked for each in self.connections):  # noqa: ASYNC110 - it is seldom
                await asyncio.sleep(0.001)


async def obey() -> None:
    """Carry out the orders."""
    meetings: dict[str, Meeting] = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        print(json.dumps(await _carry_out(meetings, **order)), flush=True)


async def _carry_out(meetings: dict[str, Meeting], do: str, name: str, **options: Any) -> Any:
    if do == "open":
        meetings[name] = Meeting()
        return await meetings[name].open(**options)
    if do == "close":
        return meetings.pop(name).close()
    return await getattr(meetings[name], do)(**options)


if __name__ == "__main__":
    uvloop.run(obey())
