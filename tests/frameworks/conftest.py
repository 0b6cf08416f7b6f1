"""A scripted server, and the comparison of an application alone with the same behind a pipeline."""

from __future__ import annotations

import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import structlog
from structlog.testing import LogCapture

from wspipe import Pipeline, PipelineMiddleware, on_receive, on_send
from wspipe.testing import websocket_scope
from wspipe_middlewares import Logging

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer Starlettes would rather have httpx2 than httpx
    import starlette.testclient  # noqa: F401 - imported here once, for all that use it

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wspipe import ASGIApp, Event, Scope

CONNECT = {"type": "websocket.connect"}
TEXT = {"type": "websocket.receive", "text": "a text"}
BYTES = {"type": "websocket.receive", "bytes": b"\x00\xff"}
DENIAL = "websocket.http.response"


def _disconnect(code: int) -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": "as scripted"}


@dataclass(frozen=True)
class Scenario:
    """What the server does: each event with the number of events that must have been sent first."""

    path: str
    turns: Sequence[tuple[int, Event]]
    extensions: Sequence[str] = ()
    vanishes_after: int | None = None
    """How many events the client gets before it is gone without a word."""


SCENARIOS = {
    "echo": Scenario("/echo", [(0, CONNECT), (1, TEXT), (2, BYTES), (3, _disconnect(1001))]),
    "the client leaves at once": Scenario("/echo", [(0, CONNECT), (1, _disconnect(1000))]),
    "the client vanishes": Scenario("/echo", [(0, CONNECT), (1, TEXT)], vanishes_after=1),
    "the client leaves unaccepted": Scenario("/echo", [(0, CONNECT), (0, _disconnect(1006))]),
    "the application closes": Scenario("/close", [(0, CONNECT), (1, TEXT), (2, _disconnect(4001))]),
    "the application rejects": Scenario("/reject", [(0, CONNECT), (1, _disconnect(1006))]),
    "the application denies": Scenario(
        "/deny", [(0, CONNECT), (2, _disconnect(1006))], extensions=[DENIAL]
    ),
    "the application fails unaccepted": Scenario(
        "/fail-early", [(0, CONNECT), (1, _disconnect(1006))]
    ),
    "the application fails": Scenario("/fail", [(0, CONNECT), (1, TEXT), (2, _disconnect(1006))]),
    "a parameter is refused": Scenario("/rooms/seven", [(0, CONNECT), (1, _disconnect(1006))]),
    "the application sends too late": Scenario("/late", [(0, CONNECT), (1, _disconnect(1001))]),
}


class ServerGone(OSError):
    """What the scripted server raises for a send after the client has left."""


class ScriptedServer:
    """Plays its side of one conversation and records both sides in order.

    Once the turns are over, receiving waits, as it does on an idle connection.
    """

    def __init__(
        self, turns: Sequence[tuple[int, Event]], vanishes_after: int | None = None
    ) -> None:
        self.turns = deque(turns)
        self.vanishes_after = vanishes_after
        self.log: list[tuple[str, Any]] = []
        self.sent: list[Event] = []
        self.client_left = False
        self.progress = anyio.Event()

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        while not self.turns or len(self.sent) < self.turns[0][0]:
            await self.progress.wait()
        event = self.turns.popleft()[1]
        self.log.append(("received", event))
        self.client_left = event["type"] == "websocket.disconnect"
        return event

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        self.log.append(("sent", event))
        if self.client_left or len(self.sent) == self.vanishes_after:
            error = ServerGone("the client has left")
            self.log.append(("refused", error))
            raise error
        self.sent.append(event)
        self.progress.set()
        self.progress = anyio.Event()


@dataclass
class Visit:
    """One conversation as the server and the application saw it, and how the application ended."""

    scope: Scope
    at_server: list[tuple[str, Any]] = field(default_factory=list)
    at_app: list[tuple[str, Any]] = field(default_factory=list)
    app_scope: Scope | None = None
    error: Exception | None = None

    def objects(self, side: str, kind: str) -> list[int]:
        """Give the identities of what was received, sent or refused on one side."""
        return [id(value) for what, value in getattr(self, side) if what == kind]

    def summary(self) -> object:
        """Give all that must be the same for the application alone and behind a pipeline."""
        return _plain(self.at_server), _plain(self.at_app), _describe(self.error)

    @property
    def sent_types(self) -> list[str]:
        """The events that the server was sent, without their common prefix."""
        kinds = [event["type"] for what, event in self.at_server if what == "sent"]
        return [kind.removeprefix("websocket.") for kind in kinds]


def _plain(log: list[tuple[str, Any]]) -> list[tuple[str, object]]:
    return [(what, _describe(value)) for what, value in log]


def _describe(value: object) -> object:
    if not isinstance(value, BaseException):
        return value
    context = None if value.__context__ is None else _describe(value.__context__)
    return type(value), str(value), getattr(value, "code", None), context


async def play(app: ASGIApp, scope: Scope, server: ScriptedServer, wrap: Any) -> Visit:
    """Let the scripted server visit `wrap(app)`, with a record of what the application saw."""
    visit = Visit(scope)

    async def watched(scope: Scope, receive: Any, send: Any) -> None:
        visit.app_scope = scope

        async def watched_receive() -> Event:
            event: Event = await receive()
            visit.at_app.append(("received", event))
            return event

        async def watched_send(event: Event) -> None:
            visit.at_app.append(("sent", event))
            try:
                await send(event)
            except Exception as error:
                visit.at_app.append(("refused", error))
                raise

        await app(scope, watched_receive, watched_send)

    with anyio.fail_after(10):
        try:
            await wrap(watched)(scope, server.receive, server.send)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
            visit.error = error
    visit.at_server = server.log
    return visit


@dataclass
class Stack:
    """A pipeline whose stages leave evidence that the conversation passed them."""

    pipeline: Pipeline | None
    logs: list[Any] = field(default_factory=list)
    received: list[Event] = field(default_factory=list)
    sent: list[Event] = field(default_factory=list)

    def wrap(self, app: ASGIApp) -> PipelineMiddleware:
        """Put the pipeline around an application."""
        return PipelineMiddleware(app, pipeline=self.pipeline)

    def check(self, visit: Visit) -> None:
        """Assert that every stage saw the whole conversation, and forget it."""
        names = [type(stage).__name__ for stage in self.pipeline or ()]
        if "Logging" in names:
            endings = [log for log in self.logs if log["event"] != "websocket.open"]
            assert [log["event"] for log in endings if log["log_level"] != "debug"] in (
                ["websocket.close"],
                ["websocket.error"],
            )
        if len(names) > 1:
            assert [*map(id, self.received)] == visit.objects("at_server", "received")
            assert [*map(id, self.sent)] == visit.objects("at_app", "sent")
        for evidence in (self.logs, self.received, self.sent):
            evidence.clear()


@pytest.fixture(params=["empty", "logging", "interceptors"])
def stack(request: pytest.FixtureRequest) -> Stack:
    """Give an empty pipeline, one that logs, and one whose stages look at every event."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    stack = Stack(None, capture.entries)

    async def note_received(event: Event, _: object) -> Event:
        stack.received.append(event)
        return event

    def note_sent(event: Event, _: object) -> Event:
        stack.sent.append(event)
        return event

    if request.param == "logging":
        stack.pipeline = Pipeline(Logging(logger=logger))
    elif request.param == "interceptors":
        stack.pipeline = Pipeline(
            Logging(logger=logger, messages=True),
            on_receive(note_received, lifecycle=True),
            on_send(note_sent, lifecycle=True),
        )
    return stack


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `scenario` for each that its module has in `EXPECTED`."""
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize("scenario", metafunc.module.EXPECTED)


@pytest.fixture
def compare(stack: Stack) -> Callable[..., Any]:
    """Give the comparison: the same script for the application alone and behind the stack."""

    async def compare(app: ASGIApp, scenario: str) -> Visit:
        script = SCENARIOS[scenario]
        visits = []
        for wrap in (lambda app: app, stack.wrap):
            scope = websocket_scope(script.path, extensions=script.extensions)
            server = ScriptedServer(script.turns, script.vanishes_after)
            visits.append(await play(app, scope, server, wrap))
        alone, wrapped = visits
        assert wrapped.summary() == alone.summary()
        for kind in ("received", "sent", "refused"):
            assert wrapped.objects("at_app", kind) == wrapped.objects("at_server", kind)
        assert wrapped.app_scope is wrapped.scope
        stack.check(wrapped)
        return wrapped

    return compare


@pytest.fixture
def pass_through(stack: Stack) -> Callable[..., Any]:
    """Give the check that a scope which is no WebSocket passes as it is, with the same answers."""

    async def pass_through(app: ASGIApp, scope: Scope, *turns: tuple[int, Event]) -> Visit:
        server = ScriptedServer(turns)
        ends: Any = (scope, server.receive, server.send)

        async def check(*given: Any) -> None:
            assert [*map(id, given)] == [*map(id, ends)]

        await stack.wrap(check)(*ends)
        alone = await play(app, dict(scope), ScriptedServer(turns), lambda app: app)
        wrapped = await play(app, dict(scope), ScriptedServer(turns), stack.wrap)
        assert wrapped.summary() == alone.summary()
        return wrapped

    return pass_through
