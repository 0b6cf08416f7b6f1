"""Finding a route among 500: `python -m benchmarks.routes [--quick]`.

It is set against opening and ending a connection through an empty pipeline, all in memory, of which
it may cost a tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import platform
from importlib.metadata import version
from statistics import mean, median
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from wspipe import PipelineMiddleware
from wspipe.config.patterns import HostPattern, PathPattern
from wspipe.config.routing import Router

if TYPE_CHECKING:
    from wspipe import ASGIApp, Scope

BOUND = 0.1
"""What finding may cost at most, in openings."""

COUNT = 50
"""How often each thing is done in a row, in one round."""

NAMES = (
    *("accounts", "alerts", "auctions", "boards", "calls", "carts", "channels", "chats", "claims"),
    *("dashboards", "deliveries", "devices", "documents", "events", "feeds", "fleets", "forms"),
    *("games", "groups", "invoices", "issues", "jobs", "keys", "locks", "logs", "maps", "matches"),
    *("meetings", "messages", "metrics", "notes", "orders", "pages", "players", "polls", "prices"),
    *("queues", "quotes", "rooms", "routes", "sensors", "sessions", "shops", "streams", "tasks"),
    *("teams", "tickets", "trades", "users", "videos"),
)
SHAPES = (
    "/api/v1/{0}",
    "/api/v1/{0}/live",
    "/api/v1/{0}/{{id}}",
    "/api/v1/{0}/{{id}}/events",
    "/api/v1/{0}/{{id}}/members/{{member}}",
    "/ws/{0}",
    "/ws/{0}/{{id}}",
    "/admin/{0}/{{id}}/console",
    "/export/{0}/{{id}}.json",
    "/{0}/*",
)

PATTERNS = [shape.format(name) for name in NAMES for shape in SHAPES]
HEADERS = [
    (b"host", b"chat.example.com"),
    (b"user-agent", b"Mozilla/5.0 (a browser)"),
    (b"origin", b"https://chat.example.com"),
    (b"upgrade", b"websocket"),
    (b"connection", b"Upgrade"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-version", b"13"),
]


async def accept(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
    """Accept a connection and wait for its end."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


class Server:
    """A server in memory, which connects and disconnects."""

    def __init__(self) -> None:
        self.events: list[Any] = [
            {"type": "websocket.disconnect", "code": 1000},
            {"type": "websocket.connect"},
        ]
        self.accepted = False

    async def receive(self) -> Any:
        """Give the next event."""
        return self.events.pop()

    async def send(self, event: Any) -> None:
        """Take the answer."""
        self.accepted = event["type"] == "websocket.accept"


def scope_of(path: str) -> Scope:
    """Give the scope of a connection to a path."""
    return {"type": "websocket", "path": path, "query_string": b"", "headers": HEADERS}


async def time_opening(app: ASGIApp) -> float:
    """Time connections from the handshake to the end, in nanoseconds each."""
    servers = [Server() for _ in range(COUNT)]
    scopes = [scope_of("/ws/rooms/42") for _ in servers]
    start = perf_counter_ns()
    for server, scope in zip(servers, scopes, strict=True):
        await app(scope, server.receive, server.send)
    elapsed = perf_counter_ns() - start
    if not all(server.accepted for server in servers):
        raise AssertionError("a connection was not accepted")
    return elapsed / COUNT


def time_finding(router: Router[int], path: str, expected: int | None) -> float:
    """Time finding a path's route, in nanoseconds each."""
    scopes = [scope_of(path) for _ in range(COUNT)]
    find = router.find
    start = perf_counter_ns()
    for scope in scopes:
        find(scope)
    elapsed = perf_counter_ns() - start
    if (found := find(scopes[0])) != expected:
        raise AssertionError(f"{path} leads to {found}, not to {expected}")
    return elapsed / COUNT


def requests() -> dict[str, tuple[str, int | None]]:
    """Give the paths that are looked for, each with the position of its route."""
    found: dict[str, tuple[str, int | None]] = {}
    for place, number in {"first": 0, "middle": len(NAMES) // 2, "last": len(NAMES) - 1}.items():
        for position in range(number * len(SHAPES), (number + 1) * len(SHAPES)):
            pattern = PATTERNS[position]
            path = pattern.replace("{id}", "8f14e45f").replace("{member}", "ada")
            found[f"{place}: {pattern}"] = path.replace("*", "a/page"), position
    for path in ("/nothing", "/api/v1/rooms/8f14e45f/nothing", "/api/v2/rooms", "/" * 500):
        found[f"none: {path[:40]}"] = path, None
    return found


def routers() -> dict[str, Router[int]]:
    """Give the tables: in the last one, the routes for a request's host are in two places."""
    hosts = {
        "no hosts": [None],
        "all for one host": [HostPattern.parse("chat.example.com")],
        "half for one host, half for its domain": [
            HostPattern.parse("chat.example.com"),
            HostPattern.parse("*.example.com"),
        ],
    }
    return {
        table: Router(
            (PathPattern.parse(path), wanted[position % len(wanted)], position)
            for position, path in enumerate(PATTERNS)
        )
        for table, wanted in hosts.items()
    }


async def measure(rounds: int) -> tuple[list[float], dict[str, dict[str, list[float]]]]:
    """Run all in turn, round by round, so that a slow moment meets them all."""
    app = PipelineMiddleware(accept)
    wanted, tables = requests(), routers()
    opening: list[float] = []
    finding: dict[str, dict[str, list[float]]] = {
        table: {name: [] for name in wanted} for table in tables
    }
    for _ in range(rounds):
        opening.append(await time_opening(app))
        for table, router in tables.items():
            for name, (path, expected) in wanted.items():
                finding[table][name].append(time_finding(router, path, expected))
    return opening, finding


def report(table: str, opening: list[float], finding: dict[str, list[float]]) -> None:
    """Print each finding as a share of an opening, and whether the longest is within the bound.

    The median is that of the rounds' own shares: a round is short enough for the machine to run at
    one speed, which it does not do from one round to the next.
    """
    print(f"\n{len(PATTERNS)} routes, {table}: finding, and its share of an opening")
    print(f"  {'':52}{'minimum':>12}{'ratio':>8}{'median':>12}{'ratio':>8}")
    least: list[float] = []
    usual: list[float] = []
    for name, times in finding.items():
        least.append(min(times) / min(opening))
        usual.append(median(own / whole for own, whole in zip(times, opening, strict=True)))
        print(
            f"  {name:52}{min(times):>9.0f} ns{least[-1]:>8.3f}"
            f"{median(times):>9.0f} ns{usual[-1]:>8.3f}"
        )
    for kind, shares in {"minimum": least, "median": usual}.items():
        verdict = "within" if max(shares) <= BOUND else "OVER"
        print(
            f"  by the {kind}: 1/{1 / mean(shares):.1f} on average, 1/{1 / max(shares):.1f} "
            f"at most: {verdict} a tenth"
        )


def main() -> None:
    """Parse the arguments, run, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rounds")
    rounds = 100 if parser.parse_args().quick else 1000
    print(f"Python {platform.python_version()}, {platform.machine()}; wspipe {version('wspipe')}")
    print(f"{rounds} interleaved rounds of {COUNT} each; asyncio")
    gc.disable()
    opening, finding = asyncio.run(measure(rounds))
    print(f"opening and ending: {min(opening):.0f} ns at least, {median(opening):.0f} ns usually")
    for table, times in finding.items():
        report(table, opening, times)


if __name__ == "__main__":
    main()
