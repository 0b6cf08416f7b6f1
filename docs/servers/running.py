"""Running all scenarios on all servers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

from docs.servers.scenarios import SCENARIOS, SHUTDOWN, Scenario
from docs.servers.visit import Visit, end_of

from tests.servers.conftest import COMMANDS, Server

STYLES: Final = ("bare", "wspipe")
AT_ONCE: Final = 3
"""How many servers run at the same time."""

Got: TypeAlias = tuple[str, str]
"""What the client and the application got."""
Results: TypeAlias = dict[tuple[str, str, str], Got]
"""By the server, the title of the scenario and the style."""


async def run() -> Results:
    """Run each scenario on each server, bare and behind the pipeline."""
    results: Results = {}
    slots = asyncio.Semaphore(AT_ONCE)

    async def run_one(name: str) -> None:
        async with slots:
            results.update(await _run_on(name))

    async with asyncio.TaskGroup() as tasks:
        for name in COMMANDS:
            tasks.create_task(run_one(name))
    return results


async def _run_on(name: str) -> Results:
    results: Results = {}

    async def act(scenario: Scenario, style: str) -> None:
        visit = Visit(server.port, style, scenario.conversation)
        results[name, scenario.title, style] = await scenario.act(visit)

    with TemporaryDirectory() as folder:
        app = "docs.servers.application:app"
        server = await asyncio.to_thread(Server.start, name, Path(folder), app)
        try:
            async with asyncio.TaskGroup() as tasks:
                for scenario in SCENARIOS:
                    for style in STYLES:
                        tasks.create_task(act(scenario, style))
            ends = await _shut_down(server)
        finally:
            await asyncio.to_thread(server.stop)
    for style, end in zip(STYLES, ends, strict=True):
        results[name, SHUTDOWN.title, style] = end, ""
    return results


async def _shut_down(server: Server) -> list[str]:
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                Visit(server.port, style, SHUTDOWN.conversation).connected()
            )
            for style in STYLES
        ]
        server.process.terminate()
        return await asyncio.gather(*map(end_of, clients))
