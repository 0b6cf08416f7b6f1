"""Each decision is told: in metrics, in the close line, on the span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.limited import FakeClock
from tests.observed import key
from tests.story import Observers
from wspipe import ConnectionRejected, WebSocket, websocket_app
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares import RateLimit, names
from wspipe_middlewares.decisions import DECISIONS
from wspipe_middlewares.rate_limit import Exceeded, RateLimitExceeded

if TYPE_CHECKING:
    from tests.observed import Measured
    from wspipe import WebSocketApp

pytestmark = pytest.mark.anyio


class Scene:
    """An application behind the observers and a limit, and what was told of it."""

    def __init__(self, rate: str = "2/second", **options: Any) -> None:
        self.observers = Observers()
        self.clock = FakeClock()
        self.limit = RateLimit(
            rate,
            clock=self.clock,
            meter_provider=self.observers.measured.provider,
            **options,
        )

        @websocket_app(pipeline=self.observers.pipeline | self.limit)
        async def sink(socket: WebSocket) -> None:
            await socket.accept()
            while True:
                try:
                    await socket.receive_text()
                except RateLimitExceeded:
                    continue

        self.app: WebSocketApp = sink

    async def flood(self, count: int) -> None:
        """Send so many messages, and leave when they are dealt with."""
        async with connect(self.app) as client:
            for number in range(count):
                await client.send_text(str(number))
            await anyio.wait_all_tasks_blocked()

    def decisions(self) -> dict[str, int]:
        """Give what the metric counts."""
        points = self.observers.measured.points(names.DECISIONS.name)
        assert {point.attributes[names.RATE_LIMIT] for point in points} <= {"2/second"}
        return {point.attributes[names.DECISION]: point.value for point in points}


CASES: list[tuple[Any, float, str, int]] = [
    ("delay", 5, "delayed", 3),
    ("delay", 0, "closed", 1),
    ("close", 0, "closed", 1),
    ("drop", 0, "dropped", 3),
    ("raise", 0, "raised", 3),
    (lambda _: None, 0, "handled", 3),
]


@pytest.mark.parametrize(("on_limit", "max_delay", "decision", "count"), CASES)
async def test_every_decision_is_told_by_metric_line_and_span(
    on_limit: Any, max_delay: float, decision: str, count: int
) -> None:
    scene = Scene(on_limit=on_limit, max_delay=max_delay)
    await scene.flood(5)
    assert scene.decisions() == {"admitted": 2, decision: count}
    line = scene.observers.lines[-1]
    told = {name: value for name, value in line.items() if name.startswith("rate_limit_")}
    assert told == {f"rate_limit_{decision}": count}
    attributes: Any = scene.observers.connection_span.attributes
    told = {name: value for name, value in attributes.items() if ".rate_limit." in name}
    assert told == {names.LIMITED[decision]: count}
    assert (line["closed_by"] == "RateLimit") == (decision == "closed")


async def test_a_denied_handshake_is_told_likewise() -> None:
    scene = Scene(cost="connections", on_limit="close")
    await scene.flood(0)
    await scene.flood(0)
    with pytest.raises(ConnectionDenied):
        await scene.flood(0)
    assert scene.decisions() == {"admitted": 2, "rejected": 1}
    line = scene.observers.lines[-1]
    assert (line["status"], line["closed_by"], line["rate_limit_rejected"]) == (429, "RateLimit", 1)
    attributes: Any = scene.observers.spans.ended[-1].attributes
    assert attributes[names.REJECTED_BY_LIMIT] == 1


async def test_a_handshake_that_a_function_lets_in_is_told_too() -> None:
    scene = Scene(cost="connections", on_limit=lambda exceeded: exceeded.event)
    for _ in range(3):
        await scene.flood(1)
    assert scene.decisions() == {"admitted": 2, "handled": 1}
    assert scene.observers.lines[-1]["rate_limit_handled"] == 1


async def test_a_handshake_that_a_function_denies_by_itself_is_told_as_rejected() -> None:
    def deny(_: Exceeded) -> None:
        raise ConnectionRejected(503)

    scene = Scene(cost="connections", on_limit=deny)
    await scene.flood(0)
    await scene.flood(0)
    with pytest.raises(ConnectionDenied):
        await scene.flood(0)
    assert scene.decisions() == {"admitted": 2, "rejected": 1}
    assert scene.observers.lines[-1]["status"] == 503


async def test_where_all_is_admitted_nothing_is_told_but_the_metric() -> None:
    scene = Scene()
    await scene.flood(2)
    assert scene.decisions() == {"admitted": 2}
    assert not [name for name in scene.observers.lines[-1] if name.startswith("rate_limit")]


async def test_limits_are_told_apart_by_their_names(measured: Measured) -> None:
    clock = FakeClock()
    options: dict[str, Any] = {"clock": clock, "meter_provider": measured.provider}
    first = RateLimit("9/second", name="chat", **options)
    second = RateLimit("2/second", on_limit="drop", **options)

    @websocket_app(pipeline=first | second)
    async def sink(socket: WebSocket) -> None:
        async for _ in socket.iter_text():
            pass

    async with connect(sink) as client:
        for _ in range(5):
            await client.send_text("x")
        await anyio.wait_all_tasks_blocked()
    assert measured.values(names.DECISIONS.name) == {
        key({names.RATE_LIMIT: "chat", names.DECISION: "admitted"}): 5,
        key({names.RATE_LIMIT: "2/second", names.DECISION: "admitted"}): 2,
        key({names.RATE_LIMIT: "2/second", names.DECISION: "dropped"}): 3,
    }


def test_every_decision_has_its_attribute() -> None:
    assert {"admitted", *names.LIMITED} == set(DECISIONS)
