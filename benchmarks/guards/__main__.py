"""Run the benchmarks of guards: `python -m benchmarks.guards [--quick]`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
from importlib.metadata import version
from statistics import median

from benchmarks.guards.broadcast import hold, weigh
from benchmarks.guards.idle import watch
from benchmarks.guards.messages import PIPELINES, time_echo, time_raw
from benchmarks.in_process import memory
from wspipe_middlewares import AuthDeadline, SendQueue, Timeouts

IDLE = Timeouts(idle=60, lifetime=3600)


async def report_messages(rounds: int, count: int) -> None:
    """Print what each guard adds to an echo."""
    raw, times = [], {name: [] for name in PIPELINES}  # type: ignore[var-annotated]
    for _ in range(rounds):
        raw.append(await time_raw(count))
        for name, pipeline in PIPELINES.items():
            times[name].append(await time_echo(pipeline, count))
    print(f"\nan echo of {count} messages, the connection included: overhead over raw ASGI,")
    print("as a share of that of on_receive | on_send; minimum and median")
    peer = times["on_receive | on_send"]
    base = min(raw)
    for name, own in times.items():
        ratios = [
            (mine - zero) / (theirs - zero)
            for mine, theirs, zero in zip(own, peer, raw, strict=True)
        ]
        best = (min(own) - base) / (min(peer) - base)
        print(f"  {name:26}{best:>8.2f}{median(ratios):>8.2f}")


def report_idle(count: int, seconds: float) -> None:
    """Print what idle connections cost."""
    print(f"\n{count:,} idle connections for {seconds:.0f} s, {IDLE}")
    print("  besides their own tasks; processor while idle; longest hold-up of the event loop")
    for name, pipeline in {"bare": None, "Timeouts": IDLE}.items():
        tasks, processor, longest = asyncio.run(watch(pipeline, count, seconds))
        print(f"  {name:12}{tasks:>3} tasks{processor:>8.2%}{1000 * longest:>8.1f} ms")
    print("  bytes per connection, over a bare one:")
    bare = memory.weigh(None, count // 5, gc.collect)
    for name, guard in {
        "Timeouts": IDLE,
        "Timeouts, all limits": Timeouts(idle=60, handling=30, send=30, lifetime=3600),
        "AuthDeadline": AuthDeadline(within=3600),
        "SendQueue": SendQueue(),
    }.items():
        print(f"  {name:26}{memory.weigh(guard, count // 5, gc.collect) - bare:>+10,.0f}")


async def report_stalled(readers: int, messages: int, rounds: int) -> None:
    """Print what a client that does not read does to the others."""
    queue = SendQueue(max_messages=10**6, max_bytes=2**19, max_seconds=3600)
    options = {"readers": readers, "messages": messages}
    healthy, stalled = [], []
    for _ in range(rounds):
        took, _ = await hold(queue, stalled=0, **options)
        healthy.append(took)
        took, members = await hold(queue, stalled=1, **options)
        stalled.append(took)
        if not members[-1].closed:
            raise AssertionError("the one that does not read was not closed")
    ratios = [one / other for one, other in zip(stalled, healthy, strict=True)]
    usual, peak = [await weigh(queue, stalled=number, **options) for number in (0, 1)]
    sent = readers * messages
    print(f"\n{readers} applications send {messages} messages of 1 KiB to {readers} clients that")
    print(f"read, and to one that does not ({sent:,} KiB for it, {queue.max_bytes / 1024:.0f} KiB")
    print("allowed): time until all have everything, with it by without it; minimum and median")
    print(f"  {min(stalled) / min(healthy):.3f}  {median(ratios):.3f}")
    print(f"  more memory at the worst: {(peak - usual) / 2**20:.2f} MiB")


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guards", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and connections")
    quick = parser.parse_args().quick
    print(f"Python {platform.python_version()}, {platform.machine()}; wspipe {version('wspipe')}")
    gc.disable()
    asyncio.run(report_messages(30 if quick else 200, 500))
    gc.enable()
    report_idle(2_000 if quick else 50_000, 2 if quick else 60)
    asyncio.run(report_stalled(50 if quick else 200, 20 if quick else 10, 3 if quick else 15))


if __name__ == "__main__":
    main()
