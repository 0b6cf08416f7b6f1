"""What stages cost: not how much, which is the machine's affair, but that it is told rightly."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import (
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    StateValidation,
    on_receive,
    on_send,
    select,
)
from wspipe.cli import bench, conversation
from wspipe.cli.bench import measure
from wspipe.cli.costs import Costs, MeasurementError, StageCost
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import ASGIConnection, Event, Middleware, Receive, Send


def through(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap nothing."""
    _ = connection
    return receive, send


def wrapping(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Wrap both sides, and do nothing for a while."""
    _ = connection

    async def slow_receive() -> Event:
        event = await receive()
        sum(range(500))
        return event

    async def slow_send(event: Event) -> None:
        sum(range(500))
        await send(event)

    return slow_receive, slow_send


def unchanged(event: Event, _: ASGIConnection) -> Event:
    return event


class Heavy:
    """Hold 10 kB for each connection, and 20 kB more while a message is sent."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        connection.scope[f"ballast {id(self)}"] = bytes(10_000)

        async def heavy_send(event: Event) -> None:
            ballast = bytes(20_000)
            await send(event)
            del ballast

        return receive, heavy_send


class Slow:
    """Work for a while at the end of each connection."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        connection.exit_stack.callback(lambda: sum(range(5_000)))
        return receive, send


@dataclass
class Service:
    """Has resources, which it needs."""

    calls: list[str] = field(default_factory=list[str])
    failing: str = ""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        assert "startup" in self.calls
        assert "shutdown" not in self.calls
        return receive, send

    async def startup(self) -> None:
        self._call("startup")

    async def shutdown(self) -> None:
        self._call("shutdown")

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.failing == name:
            raise OSError("no network")


def test_each_stage_has_its_costs_in_order() -> None:
    found = measure(Pipeline(through, Heavy(), Heavy(), on_send(unchanged)), rounds=2)
    assert found.base.stage == "application"
    assert [stage.stage for stage in found.stages] == [
        "StateValidation",
        "through",
        "Heavy",
        "Heavy",
        "on_send(unchanged)",
    ]


def test_a_wire_stage_that_is_named_is_measured_once() -> None:
    found = measure(Pipeline(StateValidation(strict=True)), rounds=1)
    (wire,) = found.stages
    assert wire.stage == "StateValidation"
    assert wire.connection_bytes > 500


def test_a_stage_that_wraps_both_sides_costs_time_and_one_that_passes_through_no_memory() -> None:
    found = measure(Pipeline(through, wrapping), rounds=9)
    wire, passing, slow = found.stages
    assert slow.message_time > passing.message_time
    assert slow.message_bytes > 0
    assert passing.message_bytes == 0
    assert passing.connection_bytes < 200  # a table of the interpreter's may have grown
    assert wire.message_time > 0
    assert wire.connection_time > 0
    assert found.base.message_time > 0
    assert found.base.connection_time > 0


def test_memory_is_counted_for_the_stage_that_has_it() -> None:
    found = measure(Pipeline(through, Heavy(), through), rounds=1)
    _, before, heavy, after = found.stages
    assert 10_000 <= heavy.connection_bytes < 12_000
    assert 20_000 <= heavy.message_bytes < 22_000
    assert max(before.connection_bytes, after.connection_bytes) < 200  # a table may have grown
    assert before.message_bytes == after.message_bytes == 0


def test_the_end_of_a_connection_counts() -> None:
    _, before, slow = measure(Pipeline(through, Slow()), rounds=5).stages
    assert slow.connection_time > before.connection_time


def test_nothing_is_below_zero() -> None:
    found = measure(Pipeline(*[through] * 3), rounds=1)
    for stage in found.stages:
        times = stage.message_time, stage.connection_time
        assert min(*times, stage.message_bytes, stage.connection_bytes) >= 0


def test_totals_are_those_of_the_stages_and_shares_are_of_them() -> None:
    one, two = StageCost("One", 100.0, 30, 1000.0, 0), StageCost("Two", 300.0, 10, 1000.0, 0)
    found = Costs(StageCost("application", 5000.0, 5000, 5000.0, 5000), (one, two))
    assert (found.message_time, found.message_bytes) == (400.0, 40)
    assert (found.connection_time, found.connection_bytes) == (2000.0, 0)
    assert found.share(two, "message_time") == 75.0
    assert found.share(one, "message_bytes") == 75.0
    assert found.share(one, "connection_time") == 50.0
    assert found.share(one, "connection_bytes") == 0.0


def test_the_scope_is_the_one_that_is_given_and_stays_as_it_is() -> None:
    seen: set[tuple[str, str]] = set()

    class Looking:
        def __call__(
            self, connection: ASGIConnection, receive: Receive, send: Send
        ) -> tuple[Receive, Send]:
            seen.add((connection.scope["path"], connection.headers["x-key"]))
            connection.scope["path"] = "/elsewhere"
            return receive, send

    scope = websocket_scope("/rooms/7", headers={"x-key": "5"})
    measure(Pipeline(Looking()), rounds=1, scope=scope)
    assert seen == {("/rooms/7", "5")}
    assert scope["path"] == "/rooms/7"


def test_a_rehearsal_is_measured_instead() -> None:
    class Strict:
        def __call__(self, *_: Any) -> tuple[Receive, Send]:
            raise AssertionError

        def rehearsal(self) -> Middleware:
            return Heavy()

    found = measure(Pipeline(Strict(), select(lambda _: True, Strict())), rounds=1)
    assert [stage.stage for stage in found.stages][1] == "Strict"
    assert [stage.connection_bytes > 10_000 for stage in found.stages] == [False, True, True]


def test_a_select_whose_condition_does_not_hold_is_not_passed() -> None:
    _, selected = measure(Pipeline(select(lambda _: False, Heavy())), rounds=1).stages
    assert selected.connection_bytes < 200


def test_stages_are_started_and_shut_down() -> None:
    service = Service()
    measure(Pipeline(service), rounds=1)
    assert service.calls == ["startup", "shutdown"]


@pytest.mark.parametrize("when", ["startup", "shutdown"])
def test_a_stage_that_cannot_be_started_or_shut_down_is_named(when: str) -> None:
    service = Service()
    with pytest.raises(MeasurementError, match=rf"^Service is .*its {when} raised .*no network"):
        measure(Pipeline(service, Service(failing=when)), rounds=1)
    assert service.calls == ["startup", "shutdown"]


class Rejecting:
    def __call__(self, _: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        raise ConnectionRejected(429)


class Raising:
    def __call__(self, *_: Any) -> tuple[Receive, Send]:
        raise ValueError("no such thing")


class Dropping:
    """Let so many messages through, over all."""

    def __init__(self, left: int = 0) -> None:
        self.left = left

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def dropping_receive() -> Event:
            while True:
                event = await receive()
                self.left -= 1
                if event["type"] != "websocket.receive" or self.left >= 0:
                    return event

        return dropping_receive, send


class Closing:
    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def closing_receive() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                await connection.close(4001, by=self)
                return await receive()
            return event

        return closing_receive, send


class Hanging:
    """Wait without end, even where it is cancelled for the first time."""

    def __call__(self, _: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def hanging_send(event: Event) -> None:
            if event["type"] == "websocket.send":
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    raise ValueError("at last") from None
            await send(event)

        return receive, hanging_send


class Greedy:
    """Ask for more than there is."""

    def __call__(self, _: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def greedy_receive() -> Event:
            event = await receive()
            return await receive() if event["type"] == "websocket.disconnect" else event

        return greedy_receive, send


class Cancelling:
    def __call__(self, _: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def cancelling_send(event: Event) -> None:
            await send(event)
            raise asyncio.CancelledError

        return receive, cancelling_send


class OneAtATime:
    """Tell the application of a disconnect where there are two connections."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        self.count += 1
        connection.exit_stack.callback(self.leave)
        served: list[Event] = []

        async def exclusive_receive() -> Event:
            if self.count > 1 and len(served) == 2:
                return {"type": "websocket.disconnect", "code": 1000}
            served.append(await receive())
            return served[-1]

        return exclusive_receive, send

    def leave(self) -> None:
        self.count -= 1


class Broken:
    def __call__(self, *_: Any) -> tuple[Receive, Send]:
        raise AssertionError

    def rehearsal(self) -> Middleware:
        raise KeyError("what")


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        (Rejecting, "it ended the connection, with 429"),
        (Raising, r"it raised ValueError\('no such thing'\)"),
        (Dropping, "0 of 2 messages came back"),
        (Closing, "it ended the connection, with 4001"),
        (Hanging, "a conversation took longer than 0.2 seconds"),
        (Greedy, "a conversation took longer than 0.2 seconds"),
        (Cancelling, "it cancelled the connection"),
        (OneAtATime, "it ended a connection that was to stay open"),
        (Broken, r"its rehearsal\(\) raised KeyError\('what'\)"),
        (lambda: Dropping(200), r"\d+ of \d+ messages came back"),
        (lambda: Dropping(900), "messages came back"),
    ],
)
@pytest.mark.parametrize("position", [0, 3])
def test_a_stage_that_is_in_the_way_is_named(
    stage: Callable[[], Middleware],
    problem: str,
    position: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if stage in {Hanging, Greedy}:
        monkeypatch.setattr(conversation, "PATIENCE", 0.2)
    stages: list[Middleware] = [through] * 5
    stages[position] = culprit = stage()
    with pytest.raises(MeasurementError, match=problem) as caught:
        measure(Pipeline(*stages), rounds=3)
    assert caught.value.stage == type(culprit).__name__
    assert str(caught.value).startswith(f"{caught.value.stage} is in the way of the measurement: ")
    assert str(caught.value).endswith("lets it be measured")
    assert gc.isenabled()
    assert not tracemalloc.is_tracing()
    gc.collect()
    assert capfd.readouterr() == ("", "")


def test_the_stage_of_the_shortest_prefix_that_fails_is_named() -> None:
    stages = Pipeline(through, Dropping(), Closing())
    prefixes = bench._Bench(stages, websocket_scope("/"))  # noqa: SLF001
    with pytest.raises(MeasurementError) as caught:
        asyncio.run(prefixes._converse(3, prefixes.apps[3], 0))  # noqa: SLF001
    assert caught.value.stage == "Dropping"


def test_a_message_that_is_lost_among_many_is_noticed() -> None:
    lossy = PipelineMiddleware(bench._echo, Pipeline(Dropping(36)))  # noqa: SLF001
    conversing = conversation.converse(lossy, websocket_scope("/"), 60)
    with pytest.raises(conversation.InTheWayError, match=r"^35 of 61 messages came back$"):
        asyncio.run(conversing)


class Alone:
    """Refuse a second connection by an error."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        connection.exit_stack.callback(self.leave)
        self.count += 1
        if self.count > 1:
            raise ValueError("one is enough")
        return receive, send

    def leave(self) -> None:
        self.count -= 1


@pytest.mark.parametrize("stage", [Raising, Alone])
def test_what_a_stage_raised_is_the_cause(stage: type[Alone | Raising]) -> None:
    with pytest.raises(MeasurementError) as caught:
        measure(Pipeline(stage()), rounds=1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_application_echoes_bytes_too() -> None:
    def encoded(event: Event, _: ASGIConnection) -> Event:
        return {"type": event["type"], "bytes": event["text"].encode()}

    assert measure(Pipeline(on_receive(encoded)), rounds=1).message_bytes > 0


def test_rounds_end_with_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "BUDGET", -1.0)
    assert measure(Pipeline(), rounds=1_000_000).message_time > 0


@pytest.mark.parametrize("slowest", [1, 10**12])
def test_a_slow_stage_is_asked_less_often(slowest: int) -> None:
    count = bench._affordable(100, slowest)  # noqa: SLF001 - only a slow stage would show it
    assert count == (100 if slowest == 1 else 1)


def test_less_than_one_round_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match="rounds is 1 or more, not 0"):
        measure(Pipeline(), rounds=0)


def test_who_traces_memory_or_has_no_garbage_collected_goes_on_so() -> None:
    tracemalloc.start()
    gc.disable()
    try:
        measure(Pipeline(), rounds=1)
        assert tracemalloc.is_tracing()
        assert not gc.isenabled()
    finally:
        gc.enable()
        tracemalloc.stop()
