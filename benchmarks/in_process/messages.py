"""What a message costs: an echo of each kind and size, in each way to write it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import orjson

from benchmarks.in_process.echoes import PEERS, ours
from benchmarks.in_process.raw import RAW, Kind
from benchmarks.in_process.server import TEXT, time_messages
from benchmarks.measuring import interleave
from benchmarks.report import Table
from benchmarks.telemetry import FULL

if TYPE_CHECKING:
    from benchmarks.telemetry import Telemetry
    from wspipe import ASGIApp

SMALL = {"id": 1, "user": "ada", "text": "good morning", "tags": ["a", "b"], "at": 1_700_000_000}

DATA: dict[str, tuple[Kind, str | bytes]] = {
    "text, 64 bytes": ("text", TEXT),
    "text, 16 KiB": ("text", "x" * 2**14),
    "text, 64 umlauts": ("text", "\u00e4" * 64),
    "binary, 64 bytes": ("binary", b"x" * 64),
    "binary, 16 KiB": ("binary", b"x" * 2**14),
    "JSON, 85 bytes": ("json", orjson.dumps(SMALL).decode()),
    "JSON, 17 kB": ("json", orjson.dumps([SMALL] * 200).decode()),
}

BOUNDS: dict[str, dict[str, float]] = {
    "text, 64 bytes": {"wspipe": 0.40, FULL: 0.70},
    "JSON, 85 bytes": {FULL: 0.20},
}
"""The most that an echo may cost, as a share of what it costs with Starlette's class."""

MESSAGES = 2000


def contenders(kind: Kind, telemetry: Telemetry) -> dict[str, ASGIApp]:
    """Give the applications that are measured, raw ASGI first."""
    return {
        "raw ASGI": RAW[kind],
        **{name: make(kind) for name, make in PEERS.items()},
        "wspipe": ours(kind),
        **{f"wspipe, {name}": ours(kind, each) for name, each in telemetry.stages().items()},
        "wspipe, RateLimit, not full": ours(kind, telemetry.drained()),
        FULL: ours(kind, telemetry.full()),
    }


async def measure(telemetry: Telemetry, rounds: int) -> list[Table]:
    """Measure each kind of message.

    Args:
        telemetry: What observes.
        rounds: How often each contender runs.
    """
    tables: list[Table] = []
    for title, (kind, data) in DATA.items():
        count = MESSAGES if len(data) < 1000 else MESSAGES // 5
        apps = contenders(kind, telemetry)
        runs = {name: partial(time_messages, app, data, count) for name, app in apps.items()}
        times = await interleave(runs, rounds)
        tables.append(Table.of(f"echo of {title}", times, "Starlette", BOUNDS.get(title, {})))
    return tables
