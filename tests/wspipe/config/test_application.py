"""Configured pipelines around an application: who gets which, and what starts and ends when."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    Composable,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    StateValidation,
    WebSocket,
    websocket_app,
)
from wspipe.config import Config, ConfigurationError, ConfiguredMiddleware, application
from wspipe.testing import ConnectionDenied, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from wspipe import ASGIApp, ASGIConnection, Event, Receive, Scope, Send

pytestmark = pytest.mark.anyio

CALLS: list[str] = []


@pytest.fixture(autouse=True)
def no_calls() -> Iterator[None]:
    CALLS.clear()
    yield
    CALLS.clear()


@dataclass(frozen=True)
class Tag(Composable):
    """Put a word before each message."""

    word: str

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        async def tagged_send(event: Event) -> None:
            if event.get("text"):
                event = {**event, "text": f"{self.word} {event['text']}"}
            await send(event)

        return receive, tagged_send


@dataclass(frozen=True)
class Service(Composable):
    """Has something to start and to shut down."""

    name: str
    fails: str = ""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def startup(self) -> None:
        self._call("startup")
        if self.fails == "never starts":
            await anyio.sleep_forever()

    async def shutdown(self) -> None:
        self._call("shutdown")

    def _call(self, what: str) -> None:
        CALLS.append(f"{self.name} {what}")
        if self.fails == what:
            raise OSError(f"no {self.name}")


@dataclass(frozen=True)
class Held(Service):
    """Starts only when the gate is open."""

    async def startup(self) -> None:
        CALLS.append(f"{self.name} begins")
        await GATES[self.name].wait()
        CALLS.append(f"{self.name} startup")


GATES: dict[str, anyio.Event] = {}


@dataclass(frozen=True)
class Counter(Composable):
    """Counts connections, whatever its options."""

    most: int = 9
    seen: list[int] = field(default_factory=list, init=False, compare=False)

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        self.seen.append(1)
        return receive, send


def use(kind: type[Any], **options: Any) -> dict[str, Any]:
    return {"use": f"{__name__}:{kind.__name__}", **options}


def pipeline(*stages: Any, **more: Any) -> dict[str, Any]:
    return {"middlewares": list(stages), **more}


def one(*stages: Any) -> dict[str, Any]:
    return {"pipelines": {"main": pipeline(*stages)}}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo over WebSockets, greet over HTTP, and know the lifespan."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            CALLS.append("application startup")
            await send({"type": "lifespan.startup.complete"})
        CALLS.append("application shutdown")
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"hello"})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})


@asynccontextmanager
async def running(app: ASGIApp) -> AsyncGenerator[list[Event]]:
    """Run an application's lifespan around a block; give what it answers."""
    events, receives = anyio.create_memory_object_stream[Any](2)
    sends, answers = anyio.create_memory_object_stream[Any](2)
    got: list[Event] = []
    with events, receives, sends, answers, anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, {"type": "lifespan"}, receives.receive, sends.send)
            await events.send({"type": "lifespan.startup"})
            got.append(await answers.receive())
            yield got
            await events.send({"type": "lifespan.shutdown"})
            got.append(await answers.receive())


async def said(app: ASGIApp, path: str = "/", **options: Any) -> str | bytes:
    with anyio.fail_after(10):
        async with connect(app, path, **options) as client:
            await client.send_text("hello")
            return await client.receive()


async def no_send(event: Event) -> None:
    raise AssertionError(event)


async def no_receive() -> Event:
    raise AssertionError


ROUTED = {
    "default": "others",
    "pipelines": {
        "others": pipeline(use(Tag, word="others")),
        "chat": pipeline(use(Tag, word="chat")),
        "tenant": pipeline(use(Tag, word="tenant")),
    },
    "routes": [
        {"path": "/chat/{room}", "host": "*.example.com", "pipeline": "tenant"},
        {"path": "/chat/{room}", "pipeline": "chat"},
    ],
}


@pytest.mark.parametrize(
    ("path", "host", "word"),
    [
        ("/chat/1", "testserver", "chat"),
        ("/chat/1", "eu.example.com", "tenant"),
        ("/chat/1/2", "eu.example.com", "others"),
        ("/", "testserver", "others"),
    ],
)
async def test_a_connection_gets_the_pipeline_of_its_route(path: str, host: str, word: str) -> None:
    app = PipelineMiddleware.from_config(echo, ROUTED)

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headers": [(b"host", host.encode())]}, receive, send)

    assert await said(asked, path) == f"{word} hello"


async def test_without_route_and_default_there_is_no_pipeline() -> None:
    routed = {key: value for key, value in ROUTED.items() if key != "default"}
    assert await said(ConfiguredMiddleware(echo, routed)) == "hello"


async def test_a_single_pipeline_is_the_default() -> None:
    app = ConfiguredMiddleware(echo, one(use(Tag, word="main")))
    assert await said(app, "/anywhere") == "main hello"


async def test_every_connection_has_the_wire_stage() -> None:
    app = ConfiguredMiddleware(echo, one("StateValidation", use(Tag, word="main")))
    assert [type(stage) for stage in app.middlewares] == [StateValidation, Tag, StateValidation]
    assert await said(app) == "main hello"


async def test_http_passes() -> None:
    sent: list[Event] = []

    async def send(event: Event) -> None:
        sent.append(event)

    app = ConfiguredMiddleware(echo, one(use(Tag, word="main")))
    await app({"type": "http", "path": "/"}, no_receive, send)
    assert [event["type"] for event in sent] == ["http.response.start", "http.response.body"]


async def test_what_is_shared_by_pipelines_starts_and_ends_once() -> None:
    app = ConfiguredMiddleware(
        echo,
        {
            "pipelines": {
                "base": pipeline(use(Service, name="shared")),
                "chat": pipeline(use(Service, name="own"), extends="base"),
            }
        },
    )
    async with running(app) as answers:
        assert CALLS == ["shared startup", "own startup", "application startup"]
    assert [answer["type"] for answer in answers] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert CALLS[3:] == ["application shutdown", "own shutdown", "shared shutdown"]


async def test_a_startup_that_fails_is_told_to_the_server() -> None:
    app = ConfiguredMiddleware(
        echo, one(use(Service, name="first"), use(Service, name="second", fails="startup"))
    )
    sent: list[Event] = []

    async def receive() -> Event:
        return {"type": "lifespan.startup"}

    async def send(event: Event) -> None:
        sent.append(event)

    message = "configuration: cannot be started: OSError: no second"
    with pytest.raises(ConfigurationError):
        await app({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.failed", "message": message}]
    assert CALLS == ["first startup", "second startup", "first shutdown"]


async def test_a_last_stage_is_behind_every_pipeline_that_has_none_of_its_kind() -> None:
    last = Tag("last")
    config = {
        "pipelines": {
            "own": pipeline(use(Tag, word="own")),
            "other": pipeline(use(Service, name="other")),
        },
        "routes": [
            {"path": "/own", "pipeline": "own"},
            {"path": "/other", "pipeline": "other"},
        ],
    }
    app = ConfiguredMiddleware(echo, config, last=last)
    assert await said(app, "/own") == "own hello"
    assert await said(app, "/other") == "last hello"
    assert await said(app, "/") == "last hello"


async def test_what_is_no_application_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"^5 is not an ASGI application$"):
        PipelineMiddleware.from_config(5, one())  # type: ignore[arg-type]


async def test_a_broken_configuration_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^configuration: there is no pipeline; give"):
        ConfiguredMiddleware(echo, {})


async def test_it_reads_as_the_code_that_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "wspipe.toml"
    file.write_text("pipelines.main = {}\n")
    app = ConfiguredMiddleware(echo, file)
    assert repr(app) == f"PipelineMiddleware.from_config({echo!r}, {str(file)!r})"


# Reload.


async def test_open_connections_keep_their_pipeline_and_new_ones_get_the_new() -> None:
    app = ConfiguredMiddleware(echo, one(use(Tag, word="old")))
    with anyio.fail_after(10):
        async with connect(app) as client:
            config = await app.reload(one(use(Tag, word="new")))
            assert config is app.config
            await client.send_text("hello")
            assert await client.receive() == "old hello"
            assert await said(app) == "new hello"
            await client.send_text("still")
            assert await client.receive() == "old still"


async def test_without_a_source_the_file_is_read_anew(tmp_path: Path) -> None:
    file = tmp_path / "wspipe.toml"
    file.write_text(f'pipelines.main.middlewares = [{{ use = "{__name__}:Tag", word = "old" }}]')
    app = ConfiguredMiddleware(echo, file)
    file.write_text(file.read_text().replace("old", "new"))
    await app.reload()
    assert await said(app) == "new hello"


async def test_a_dictionary_without_pipelines_is_no_reason_to_keep_the_old_in_silence() -> None:
    app = ConfiguredMiddleware(echo, one(use(Tag, word="old")))
    with pytest.raises(ConfigurationError, match="there is no pipeline; give one"):
        await app.reload({})


async def test_a_broken_configuration_leaves_the_old_in_force() -> None:
    app = ConfiguredMiddleware(echo, one(use(Tag, word="old")))
    before = app.config
    with pytest.raises(ConfigurationError, match="no installed package has a middleware"):
        await app.reload(one("Loging"))
    assert app.config is before
    assert await said(app) == "old hello"


async def test_stages_that_are_declared_as_before_live_on() -> None:
    app = ConfiguredMiddleware(echo, one(use(Counter), use(Tag, word="old")))
    counter = app.middlewares[1]
    assert isinstance(counter, Counter)
    await said(app)
    await app.reload(one(use(Tag, word="new"), use(Counter)))
    await said(app)
    assert counter in app.middlewares
    assert len(counter.seen) == 2
    await app.reload(one(use(Counter, most=5)))
    assert counter not in app.middlewares


async def test_a_limit_keeps_what_it_has_counted() -> None:
    limit = {"use": "RateLimit", "rate": "1/day", "cost": "connections", "on_limit": "close"}
    app = ConfiguredMiddleware(echo, one(limit))
    assert await said(app) == "hello"
    await app.reload(one(use(Tag, word="new"), limit))
    with pytest.raises(ConnectionDenied) as caught:
        await said(app)
    assert caught.value.status == 429
    await app.reload(one(use(Tag, word="new"), {**limit, "rate": "2/day"}))
    assert await said(app) == "new hello"


async def test_two_stages_alike_live_on_each_as_itself() -> None:
    app = ConfiguredMiddleware(echo, one(use(Counter), use(Counter)))
    before = list(map(id, app.middlewares[1:3]))
    await app.reload(one(use(Counter), use(Counter), use(Counter)))
    after = list(map(id, app.middlewares[1:4]))
    assert after[:2] == before
    assert len(set(after)) == 3


async def test_resources_live_as_long_as_a_connection_needs_them() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="kept"), use(Service, name="old")))
    async with running(app):
        CALLS.clear()
        async with connect(app) as client:
            await app.reload(one(use(Service, name="kept"), use(Service, name="new")))
            assert CALLS == ["new startup"]
            await client.send_text("hello")
            assert await client.receive() == "hello"
            assert {stage.name for stage in app.middlewares if isinstance(stage, Service)} == {
                "kept",
                "old",
                "new",
            }
        assert CALLS == ["new startup", "old shutdown"]
    assert CALLS[2:] == ["application shutdown", "new shutdown", "kept shutdown"]


async def test_resources_that_nobody_needs_end_at_once() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="old")))
    await app.startup()
    await app.reload(one(use(Service, name="new")))
    assert CALLS == ["old startup", "new startup", "old shutdown"]


async def test_the_last_of_several_connections_ends_them() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="old")))
    with anyio.fail_after(10):
        async with connect(app):
            async with connect(app):
                await app.reload(one())
            assert CALLS == []
        assert CALLS == ["old shutdown"]


async def test_at_the_end_what_old_connections_need_is_shut_down_too() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="old")))
    with anyio.fail_after(10):
        await app.startup()
        async with connect(app):
            await app.reload(one(use(Service, name="new")))
            await app.shutdown()
            assert CALLS == ["old startup", "new startup", "new shutdown", "old shutdown"]
        assert len(CALLS) == 4


async def test_without_a_lifespan_nothing_is_started_but_what_is_done_with_ends() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="kept"), use(Service, name="old")))
    await app.reload(one(use(Service, name="kept"), use(Service, name="new")))
    assert CALLS == ["old shutdown"]


async def test_a_startup_in_a_reload_has_a_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "STARTUP_TIMEOUT", 0.01)
    app = ConfiguredMiddleware(echo, one(use(Service, name="old")))
    await app.startup()
    with pytest.raises(ConfigurationError) as caught:
        await app.reload(one(use(Service, name="new", fails="never starts")))
    assert str(caught.value) == ("configuration: cannot be started: it took more than 0.01 seconds")
    await app.shutdown()
    assert CALLS == ["old startup", "new startup", "old shutdown"]


async def test_what_an_old_stage_says_of_a_secret_is_withheld(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SERVICE", "s3cr3t")
    app = ConfiguredMiddleware(echo, one(use(Service, name="${SERVICE}", fails="shutdown")))
    await app.startup()
    await app.reload(one(use(Tag, word="new")))
    assert "its message is withheld" in caplog.text
    assert "s3cr3t" not in caplog.text


async def test_after_the_shutdown_nothing_is_started_or_shut_down() -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="old")))
    await app.startup()
    await app.shutdown()
    CALLS.clear()
    await app.reload(one(use(Service, name="new")))
    assert CALLS == []
    await app.startup()
    await app.startup()
    assert CALLS == ["new startup"]


async def test_a_startup_that_fails_is_refused_and_the_old_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SERVICE", "s3cr3t")
    app = ConfiguredMiddleware(echo, one(use(Tag, word="old")))
    await app.startup()
    before = app.config
    with pytest.raises(ConfigurationError) as caught:
        await app.reload(
            one(use(Service, name="first"), use(Service, name="${SERVICE}", fails="startup"))
        )
    assert str(caught.value) == (
        "configuration: cannot be started: "
        "OSError (its message is withheld, as it may tell what ${SERVICE} holds)"
    )
    assert caught.value.__cause__ is None
    assert CALLS == ["first startup", "s3cr3t startup", "first shutdown"]
    assert app.config is before
    assert await said(app) == "old hello"


async def test_a_shutdown_that_fails_is_logged_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = ConfiguredMiddleware(echo, one(use(Service, name="old", fails="shutdown")))
    await app.reload(one(use(Tag, word="new")))
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("wspipe", "ERROR")
    assert record.getMessage() == "a stage could not be shut down: OSError: no old"
    assert record.exc_info is None  # a traceback might tell what the environment holds
    assert await said(app) == "new hello"


async def test_reloads_wait_for_each_other() -> None:
    GATES.update({name: anyio.Event() for name in ("one", "two")})
    app = ConfiguredMiddleware(echo, one())
    await app.startup()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.reload, one(use(Held, name="one")))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(app.reload, one(use(Held, name="two")))
            await anyio.wait_all_tasks_blocked()
            assert CALLS == ["one begins"]
            GATES["two"].set()
            await anyio.wait_all_tasks_blocked()
            assert CALLS == ["one begins"]
            assert await said(app) == "hello"  # meanwhile, by the old one
            GATES["one"].set()
    assert CALLS == ["one begins", "one startup", "two begins", "two startup", "one shutdown"]
    (stage,) = app.config.stages
    assert stage.middleware == Held("two")


async def test_a_reload_that_is_cancelled_leaves_the_old_in_force() -> None:
    GATES["one"] = anyio.Event()
    app = ConfiguredMiddleware(echo, one(use(Tag, word="old")))
    await app.startup()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.reload, one(use(Service, name="first"), use(Held, name="one")))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert CALLS == ["first startup", "one begins", "first shutdown"]
    assert await said(app) == "old hello"
    await app.reload(one(use(Tag, word="new")))
    assert await said(app) == "new hello"


# One pipeline of a configuration.


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "wspipe.toml"
    path.write_text(
        'default = "base"\n'
        "[pipelines]\n"
        f'base.middlewares = [{{ use = "{__name__}:Tag", word = "base" }}]\n'
        f'chat.middlewares = [{{ use = "{__name__}:Tag", word = "chat" }}]\n'
    )
    return path


async def test_a_pipeline_of_a_file(file: Path) -> None:
    assert Pipeline.from_config(file) == Pipeline(Tag("base"))
    assert Pipeline.from_config(str(file), "chat") == Pipeline(Tag("chat"))
    config = Config.load(file)
    assert Pipeline.from_config(config, "chat") is config.pipelines["chat"].pipeline
    with pytest.raises(
        ConfigurationError,
        match=re.escape(
            f'{file}: there is no pipeline "chta"; did you mean "chat"? there are "base" and "chat"'
        ),
    ):
        Pipeline.from_config(file, "chta")


async def test_a_pipeline_of_a_file_inside_a_class(file: Path) -> None:
    class Chat(WebSocket, pipeline=Pipeline.from_config(file, "chat")): ...

    @websocket_app(websocket_class=Chat)
    async def app(socket: Chat) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    assert await said(app) == "chat hello"
