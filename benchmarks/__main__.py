"""Run the benchmarks: `python -m benchmarks [--quick] [--only SECTION ...] [--json FILE]`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from benchmarks.end_to_end.apps import APPS
from benchmarks.end_to_end.measuring import BOUND_AT, Effort
from benchmarks.end_to_end.measuring import measure as measure_end_to_end
from benchmarks.end_to_end.servers import COMMANDS
from benchmarks.in_process import connections, growth, memory, messages, observing
from benchmarks.telemetry import DESCRIPTION, Telemetry

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    class Figures(Protocol):
        """What a section finds."""

        def show(self) -> None:
            """Print it."""

        def as_dict(self) -> dict[str, Any]:
            """Give it for a file."""
            ...

    Section = Callable[[Telemetry, bool], Iterable[Figures]]

PACKAGES = (
    "wspipe",
    "starlette",
    "fastapi",
    "litestar",
    "channels",
    "orjson",
    "structlog",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    *COMMANDS,
    "websockets",
    "uvloop",
    "picows",
)


def in_rounds(
    measure: Callable[[Telemetry, int], Awaitable[Sequence[Figures]]],
    rounds: int,
    telemetry: Telemetry,
    quick: bool,  # noqa: FBT001 - as the others
) -> Sequence[Figures]:
    """Measure in this process, in many rounds, or in few where it should be quick."""

    async def run() -> Sequence[Figures]:
        return await measure(telemetry, rounds // 20 if quick else rounds)

    return asyncio.run(run())


def idle(telemetry: Telemetry, quick: bool) -> Sequence[Figures]:  # noqa: FBT001
    """Weigh idle connections."""
    return memory.measure(telemetry, 500 if quick else 10_000)


def end_to_end(_: Telemetry, quick: bool) -> Iterable[Figures]:  # noqa: FBT001
    """Measure over loopback, behind each server with few connections and with many."""
    if quick:
        yield measure_end_to_end("uvicorn", APPS, 20, Effort(1, 2, 0.1, 1, 0.2))
        return
    for server in COMMANDS:
        for count in (1, 50, 1000):
            effort = Effort(starts=4, rounds=5, seconds=0.2, paced=1, long=1.0)
            if (server, count) == BOUND_AT:
                effort = Effort(starts=12, rounds=30, seconds=0.1, paced=2, long=1.0)
            yield measure_end_to_end(server, APPS, count, effort)


SECTIONS: dict[str, Section] = {
    "messages": partial(in_rounds, messages.measure, 60),
    "connections": partial(in_rounds, connections.measure, 300),
    "observing": partial(in_rounds, observing.measure, 200),
    "growth": partial(in_rounds, growth.measure, 20),
    "memory": idle,
    "end-to-end": end_to_end,
}
"""What is measured."""


def machine() -> dict[str, Any]:
    """Tell what the figures were measured with."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "packages": {name: version(name) for name in PACKAGES},
        "telemetry": DESCRIPTION,
    }


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the rounds")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, metavar="SECTION")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    arguments = parser.parse_args()
    about = machine()
    packages = ", ".join(f"{name} {number}" for name, number in about["packages"].items())
    print(f"Python {about['python']}, {about['system']} {about['machine']}; {packages}")
    print(f"interleaved runs on one machine, garbage collected between them; {DESCRIPTION}")
    telemetry = Telemetry()
    gc.disable()
    gc.freeze()  # what was imported is not looked through each time
    found: dict[str, Any] = {"machine": about}
    for name in arguments.only or SECTIONS:
        found[name] = []
        for figures in SECTIONS[name](telemetry, arguments.quick):
            figures.show()
            found[name].append(figures.as_dict())
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
