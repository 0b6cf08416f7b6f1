"""How many bytecodes an echo runs: a figure that is the same on every machine.

`python -m benchmarks.instructions` prints them, for the Python that runs it, in the form of
`middlewares/budgets.toml`.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise
from pathlib import Path
from statistics import mode
from typing import TYPE_CHECKING, Any, Self

import structlog
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import wspipe
import wspipe_middlewares
from benchmarks.in_process.raw import echo_text
from benchmarks.in_process.server import TEXT, Session
from wspipe import PipelineMiddleware, WebSocket, on_receive, on_send, websocket_app
from wspipe_middlewares import (
    AuthDeadline,
    ConnectionLimit,
    Drain,
    Logging,
    MessageSizeLimit,
    Metrics,
    OriginCheck,
    RateLimit,
    Recovery,
    SendQueue,
    Timeouts,
    Tracing,
)

if TYPE_CHECKING:
    from types import FrameType, TracebackType

    from wspipe import ASGIApp, ASGIConnection, Event, Middleware

ROOTS = tuple(str(Path(package.__file__).parent) for package in (wspipe, wspipe_middlewares))
MESSAGES = 50


class Counter:
    """Counts the bytecodes that run in wspipe's own code."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        """Begin."""
        sys.settrace(self._enter_frame)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""
        sys.settrace(None)

    def _enter_frame(self, frame: FrameType, event: str, argument: Any) -> Any:
        del event, argument
        if not frame.f_code.co_filename.startswith(ROOTS):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        del frame, argument
        self.count += event == "opcode"
        return self._step


def same(event: Event, _: ASGIConnection) -> Event:
    """Pass on."""
    return event


async def echo(socket: WebSocket) -> None:
    """Echo text through the class."""
    async for text in socket.iter_text():
        await socket.send_text(text)


def stages() -> dict[str, Middleware]:
    """Give each stage, as it is used most."""
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)
    quiet = structlog.wrap_logger(structlog.ReturnLogger(), processors=[])
    return {
        "AuthDeadline": AuthDeadline(within=None),
        "ConnectionLimit": ConnectionLimit(1000),
        "Drain": Drain(),
        "Logging": Logging(logger=quiet),
        "MessageSizeLimit": MessageSizeLimit(),
        "Metrics": Metrics(meter_provider=meters),
        "OriginCheck": OriginCheck(),
        "RateLimit": RateLimit("10_000_000/second"),
        "Recovery": Recovery(),
        "SendQueue": SendQueue(),
        "Timeouts": Timeouts(idle=60, lifetime=3600),
        "Tracing": Tracing(tracer_provider=tracers),
        "on_receive": on_receive(same),
        "on_send": on_send(same),
    }


class Watched(Session):
    """Notes how far the counter is, each time that it is asked for an event."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(TEXT, MESSAGES)
        self.counter = counter
        self.seen: list[int] = []

    async def receive(self) -> Event:
        """Give the next event."""
        self.seen.append(self.counter.count)
        return await super().receive()


def count(app: ASGIApp) -> int:
    """Count the bytecodes of one echo: of most, since now and then there is something to tidy."""

    async def serve() -> list[int]:
        with Counter() as counter:
            session = Watched(counter)
            await session.serve(app)
        return session.seen

    echoes = [after - before for before, after in pairwise(asyncio.run(serve()))]
    return mode(echoes)


def measure() -> dict[str, dict[str, int]]:
    """Count for an empty pipeline, and for each stage what it adds, in both ways to be served."""
    counts: dict[str, dict[str, int]] = {}
    for way, app in (
        ("PipelineMiddleware", lambda stage: PipelineMiddleware(echo_text, stage)),
        ("WebSocket", lambda stage: websocket_app(echo, pipeline=stage)),
    ):
        empty = count(app(None))
        added = {name: count(app(stage)) - empty for name, stage in stages().items()}
        counts[way] = {"empty": empty, **added}
    return counts


def main() -> None:
    """Print them."""
    for way, counts in measure().items():
        print(f"[{way}]")
        for name, number in counts.items():
            print(f"{name} = {number}")
        print()


if __name__ == "__main__":
    main()
