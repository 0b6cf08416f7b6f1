"""Lifespan: the resources of a pipeline start and shut down with the server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette

from wspipe import (
    ASGIConnection,
    Composable,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    on_send,
    websocket_app,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from wspipe import ASGIApp, Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio

STARTUP = {"type": "lifespan.startup"}
SHUTDOWN = {"type": "lifespan.shutdown"}
STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


@dataclass
class Resource(Composable):
    """Notes when it starts and shuts down; fails where told to."""

    name: str
    notes: list[str]
    fails: dict[str, Exception] = field(default_factory=dict)

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def startup(self) -> None:
        await self.do("startup")

    async def shutdown(self) -> None:
        await self.do("shutdown")

    async def do(self, what: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.notes.append(f"{self.name} {what}")
        if what in self.fails:
            raise self.fails[what]


class OnlyShutdown(Composable):
    def __init__(self, notes: list[str]) -> None:
        self.notes = notes

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def shutdown(self) -> None:
        self.notes.append("only shutdown")


async def handler(_: WebSocket) -> None: ...


async def run(app: ASGIApp, *events: Event) -> list[Event]:
    """Run an application's lifespan; the server waits for ever after the last event."""
    coming, sent = list(events), []

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        if not coming:
            await anyio.sleep_forever()
        return coming.pop(0)

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        sent.append(event)

    with anyio.move_on_after(5) as scope:
        try:
            await app({"type": "lifespan", "asgi": {}, "state": {}}, receive, send)
        except Exception as error:  # noqa: BLE001 - the server notes it
            sent.append({"raised": error})
    assert not scope.cancelled_caught
    return sent


def starlette_app(notes: list[str], fails: Exception | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        notes.append("app startup")
        if fails:
            raise fails
        yield
        notes.append("app shutdown")

    return Starlette(lifespan=lifespan)


def test_a_pipeline_owns_resources_where_a_stage_takes_part_in_the_lifespan() -> None:
    assert not Pipeline(on_send(print)).owns_resources
    assert Pipeline(on_send(print), Resource("a", [])).owns_resources
    assert Pipeline(OnlyShutdown([])).owns_resources


async def test_stages_start_from_first_to_last_and_shut_down_from_last_to_first() -> None:
    notes: list[str] = []
    pipeline = Pipeline(Resource("a", notes), on_send(print), Resource("b", notes))
    await pipeline.startup()
    await pipeline.shutdown()
    assert notes == ["a startup", "b startup", "b shutdown", "a shutdown"]


async def test_a_shutdown_that_fails_does_not_keep_the_others_from_shutting_down() -> None:
    notes: list[str] = []
    errors = [OSError("a"), LookupError("c")]
    stages = [
        Resource("a", notes, {"shutdown": errors[0]}),
        OnlyShutdown(notes),
        Resource("c", notes, {"shutdown": errors[1]}),
    ]
    with pytest.raises(ExceptionGroup) as failed:
        await Pipeline(*stages).shutdown()
    assert failed.value.exceptions == (errors[1], errors[0])
    assert notes == ["c shutdown", "only shutdown", "a shutdown"]


@pytest.mark.parametrize("pipeline", [None, on_send(print)])
async def test_a_websocket_app_answers_without_resources_too(pipeline: Any) -> None:
    app = websocket_app(handler, pipeline=pipeline)
    assert await run(app, STARTUP, SHUTDOWN) == [STARTED, STOPPED]


async def test_a_websocket_app_runs_the_resources_of_its_pipeline() -> None:
    notes: list[str] = []
    app = websocket_app(handler, pipeline=Resource("a", notes) | OnlyShutdown(notes))
    assert await run(app, STARTUP, SHUTDOWN) == [STARTED, STOPPED]
    assert notes == ["a startup", "only shutdown", "a shutdown"]


async def test_the_resources_outlive_the_application_that_the_pipeline_is_around() -> None:
    notes: list[str] = []
    app = PipelineMiddleware(starlette_app(notes), pipeline=Resource("a", notes))
    assert await run(app, STARTUP, SHUTDOWN) == [STARTED, STOPPED]
    assert notes == ["a startup", "app startup", "app shutdown", "a shutdown"]


async def test_the_server_hears_of_the_shutdown_once_the_resources_are_gone() -> None:
    notes: list[str] = []
    events = [STARTUP, SHUTDOWN]

    async def receive() -> Event:
        return events.pop(0)

    async def send(event: Event) -> None:
        notes.append(event["type"])

    app = websocket_app(handler, pipeline=Resource("a", notes))
    await app({"type": "lifespan"}, receive, send)
    assert notes == ["a startup", STARTED["type"], "a shutdown", STOPPED["type"]]


@pytest.mark.parametrize("around", ["websocket_app", "PipelineMiddleware"])
async def test_a_failed_startup_is_told_to_the_server_and_undone(around: str) -> None:
    notes: list[str] = []
    error = OSError("no connection to the store")
    pipeline = Pipeline(
        Resource("a", notes, {"shutdown": LookupError("another")}),
        Resource("b", notes),
        Resource("c", notes, {"startup": error}),
        Resource("d", notes),
    )
    app: ASGIApp = (
        websocket_app(handler, pipeline=pipeline)
        if around == "websocket_app"
        else PipelineMiddleware(starlette_app(notes), pipeline=pipeline)
    )
    sent = await run(app, STARTUP)
    assert sent == [
        {"type": "lifespan.startup.failed", "message": "no connection to the store"},
        {"raised": error},
    ]
    assert notes == ["a startup", "b startup", "c startup", "b shutdown", "a shutdown"]
    assert "LookupError('another')" in "".join(error.__notes__)


async def test_the_resources_shut_down_where_the_application_fails_to_start() -> None:
    notes: list[str] = []
    error = LookupError("the application's")
    app = PipelineMiddleware(starlette_app(notes, error), pipeline=Resource("a", notes))
    failed, raised = await run(app, STARTUP)
    assert failed["type"] == "lifespan.startup.failed"
    assert raised == {"raised": error}
    assert notes == ["a startup", "app startup", "a shutdown"]


async def test_the_resources_shut_down_where_the_application_dies() -> None:
    notes: list[str] = []
    error = LookupError("the application's")

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(STARTED)
        raise error

    sent = await run(PipelineMiddleware(app, pipeline=Resource("a", notes)), STARTUP)
    assert sent == [STARTED, {"raised": error}]
    assert notes == ["a startup", "a shutdown"]


async def test_the_resources_shut_down_where_the_server_cancels_the_lifespan() -> None:
    notes: list[str] = []
    app = PipelineMiddleware(
        starlette_app(notes), pipeline=Resource("a", notes) | Resource("b", notes)
    )
    started = anyio.Event()

    async def receive() -> Event:
        if started.is_set():
            await anyio.sleep_forever()
        return STARTUP

    async def send(_: Event) -> None:
        started.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "lifespan", "asgi": {}, "state": {}}, receive, send)
            await started.wait()
            tasks.cancel_scope.cancel()
    assert notes[-2:] == ["b shutdown", "a shutdown"]


async def test_a_shutdown_that_hangs_does_not_keep_the_others_from_shutting_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Hanging(OnlyShutdown):
        async def shutdown(self) -> None:
            await super().shutdown()
            await anyio.sleep_forever()

    monkeypatch.setattr("wspipe.pipeline.SHUTDOWN_TIMEOUT", 0.01)
    notes: list[str] = []
    app = PipelineMiddleware(starlette_app(notes), pipeline=Resource("a", notes) | Hanging(notes))
    *_, last = await run(app, STARTUP, SHUTDOWN)
    assert notes[-2:] == ["only shutdown", "a shutdown"]
    assert "TimeoutError" in repr(last["raised"])


async def test_a_failed_shutdown_is_raised_on_to_the_server() -> None:
    notes: list[str] = []
    stages = Resource("a", notes, {"shutdown": OSError("a")}) | Resource("b", notes)
    app = PipelineMiddleware(starlette_app(notes), pipeline=stages)
    *_, last = await run(app, STARTUP, SHUTDOWN)
    assert isinstance(last["raised"], ExceptionGroup)
    assert notes[-2:] == ["b shutdown", "a shutdown"]


async def test_an_application_without_a_lifespan_raises_as_it_would_alone() -> None:
    notes: list[str] = []
    error = ValueError("only websockets here")

    async def app(_: Scope, __: Receive, ___: Send) -> None:
        raise error

    sent = await run(PipelineMiddleware(app, pipeline=Resource("a", notes)), STARTUP)
    assert sent == [{"raised": error}]
    assert notes == []
