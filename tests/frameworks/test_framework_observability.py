"""Around any framework, logs, spans and metrics tell its route and know the handler's time."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from tests.frameworks.observing import (
    Observed,
    channels_app,
    fastapi_app,
    impatient_app,
    litestar_app,
    plain_app,
    quart_app,
    starlette_app,
)
from tests.observed import id_of, links_of, parent_of, trace_of
from wspipe.testing import ConnectionDenied

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe import ASGIApp, Receive, Scope, Send

PATTERNS = {
    starlette_app: {
        "/rooms/7": "/rooms/{room}",
        "/halls/7": "/halls/{hall:int}",
        "/api/rooms/7": "/api/rooms/{room}",
        "/api/v2/rooms/7": "/api/v{version}/rooms/{room}",
        "/sub/rooms/7": "/sub/rooms/{room}",
        "/plain/old/asgi/7": "/plain/{kind}",
        "/hosted/7": "/hosted/{room}",
        "/refused/you": "/refused/{who}",
        "/api/refused/you": "/api/refused/{who}",
        "/api/v2/refused/you": "/api/v{version}/refused/{who}",
        "/sub/refused/you": "/sub/refused/{who}",
        "/plain/old/refused": "/plain/{kind}",
    },
    fastapi_app: {
        "/rooms/7": "/rooms/{room}",
        "/more/rooms/7": "/more/rooms/{room}",
        "/api/us/rooms/7": "/api/{tenant}/rooms/{room}",
        "/api/us/v2/rooms/7": "/api/{tenant}/v{version}/rooms/{room}",
        "/sub/rooms/7": "/sub/rooms/{room}",
        "/refused/you": "/refused/{who}",
        "/more/refused/you": "/more/refused/{who}",
        "/api/us/refused/you": "/api/{tenant}/refused/{who}",
        "/api/us/v2/refused/you": "/api/{tenant}/v{version}/refused/{who}",
        "/sub/refused/you": "/sub/refused/{who}",
    },
    # Litestar's template leaves the types out.
    litestar_app: {
        "/rooms/7": "/rooms/{room}",
        "/halls/7/seats/a1": "/halls/{hall}/seats/{seat}",
        "/api/us/rooms/7": "/api/{tenant}/rooms/{room}",
        "/api/us/halls/7/seats/a1": "/api/{tenant}/halls/{hall}/seats/{seat}",
        "/listener/ada": "/listener/{name}",
        "/refused/you": "/refused/{who}",
        "/api/us/refused/you": "/api/{tenant}/refused/{who}",
    },
}
ROUTES = [
    (app, path, pattern)
    for app, patterns in PATTERNS.items()
    for path, pattern in {**patterns, "/nowhere/7": None}.items()
]
WITH_TRIO = (starlette_app, fastapi_app, litestar_app, plain_app)
WITHOUT_TRIO = (quart_app, channels_app, impatient_app)
EACH = [
    *((app, backend) for app in WITH_TRIO for backend in ("asyncio", "trio")),
    *((app, "asyncio") for app in WITHOUT_TRIO),
]
IN_THE_HANDLERS_TASK = [*((app, "/rooms/7") for app in WITH_TRIO), (litestar_app, "/listener/ada")]


@pytest.fixture
def observe(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Observed]]:
    """Give the observation of an application, which must leave nothing open, nor a complaint."""
    observed = []

    def observe(*application: Any, **tracing: Any) -> Observed:
        observed.append(Observed(*application, **tracing))
        return observed[-1]

    yield observe
    for each in observed:
        each.close()
    records = caplog.get_records("call")
    assert [each for each in records if each.name.startswith("opentelemetry")] == []


@pytest.mark.anyio
@pytest.mark.parametrize("tracing", [{}, {"span": "connection", "messages": "all"}])
@pytest.mark.parametrize(("app", "path", "route"), ROUTES)
async def test_all_tell_the_pattern_of_the_route(
    observe: Any, app: Any, path: str, route: str | None, tracing: Any
) -> None:
    observed = observe(app(), **tracing)
    accepted = not {"refused", "nowhere"} & {*path.split("/")}
    if accepted:
        assert await observed.converse(path, "hi") == ["hi ada"]
    else:
        with pytest.raises(ConnectionDenied):
            await observed.converse(path)
    assert observed.routes() == {route}
    events = [line["event"] for line in observed.observers.lines]
    assert events == ["websocket.open"] * accepted + ["websocket.close"]


def outside(app: ASGIApp, wrap: Any) -> Any:
    return wrap(Starlette(routes=[Mount("/outer/{id}", app)]))


def as_middleware(app: ASGIApp, wrap: Any) -> Any:
    return Starlette(routes=[Mount("/outer/{id}", app)], middleware=[Middleware(wrap)])


def in_a_mount(app: ASGIApp, wrap: Any) -> Any:
    return Starlette(routes=[Mount("/outer/{id}", wrap(app))])


def behind_a_proxy(app: ASGIApp, wrap: Any) -> Any:
    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        scope["root_path"] = "/proxied"
        scope["path"] = f"/proxied{scope['path']}"
        await outside(app, wrap)(scope, receive, send)

    return proxied


@pytest.mark.anyio
@pytest.mark.parametrize("place", [outside, as_middleware, in_a_mount, behind_a_proxy])
@pytest.mark.parametrize("app", [starlette_app, fastapi_app])
async def test_the_pattern_is_whole_wherever_the_pipeline_stands(
    observe: Any, app: Any, place: Any
) -> None:
    observed = observe(app(), place, messages="all")
    assert await observed.converse("/outer/5/sub/rooms/7", "hi") == ["hi ada"]
    assert observed.routes() == {"/outer/{id}/sub/rooms/{room}"}


@pytest.mark.anyio
async def test_the_scope_stays_as_the_application_got_it(observe: Any) -> None:
    changed = set()

    async def watchful(scope: Scope, receive: Receive, send: Send) -> None:
        before = dict(scope)
        await plain_app()(scope, receive, send)
        changed.update(scope.keys() - before.keys())

    await observe(watchful).converse("/", "hi")
    # Litestar warns where an application that is mounted in it does not leave the scope alone.
    assert changed == set()


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["/rooms/7", "/refused/you"])
@pytest.mark.parametrize("app", [quart_app, channels_app, plain_app])
async def test_without_a_template_the_route_is_what_the_scope_says(
    observe: Any, app: Any, path: str
) -> None:
    async def name_the_route(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        scope["wspipe.route"] = "/<page>/<id>"
        await app(scope, receive, send)

    unnamed, named = observe(app()), observe(partial(name_the_route, app()))
    for observed, route in ((unnamed, None), (named, "/<page>/<id>")):
        if path == "/rooms/7":
            assert await observed.converse(path, "hi") == ["hi ada"]
        else:
            with pytest.raises(ConnectionDenied):
                await observed.converse(path)
        assert observed.routes() == {route}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/rooms/7", "/refused/you"])
@pytest.mark.parametrize(("app", "anyio_backend"), EACH)
async def test_before_the_accept_the_handlers_spans_hang_under_the_handshake(
    observe: Any, app: Any, path: str
) -> None:
    observed = observe(app())
    if path == "/rooms/7":
        await observed.converse(path, "hi")
    else:
        with pytest.raises(ConnectionDenied):
            await observed.converse(path)
    before, handshake = observed.spans.only("before"), observed.connection
    assert (trace_of(handshake), parent_of(handshake)) == (int("1" * 32, 16), int("2" * 16, 16))
    assert (trace_of(before), parent_of(before)) == (trace_of(handshake), id_of(handshake))
    assert handshake.start_time <= before.start_time <= before.end_time <= handshake.end_time
    assert before.attributes["user"] == "ada"


@pytest.mark.anyio
@pytest.mark.parametrize(("app", "anyio_backend"), EACH)
async def test_after_the_accept_the_handlers_spans_are_roots(observe: Any, app: Any) -> None:
    observed = observe(app())
    await observed.converse("/rooms/7", "one", "two")
    one, two = observed.spans.named("work")
    assert parent_of(one) is parent_of(two) is None
    assert len({trace_of(span) for span in (one, two, observed.connection)}) == 3
    assert [span.attributes["user"] for span in (one, two)] == ["ada", "ada"]


@pytest.mark.anyio
@pytest.mark.parametrize(("app", "anyio_backend"), EACH)
async def test_a_span_of_the_whole_connection_has_the_handlers_under_it(
    observe: Any, app: Any
) -> None:
    observed = observe(app(), span="connection")
    await observed.converse("/rooms/7", "hi")
    own = [observed.spans.only(name) for name in ("before", "work")]
    assert [parent_of(span) for span in own] == [id_of(observed.connection)] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("span", ["handshake", "connection"])
@pytest.mark.parametrize(("app", "path"), IN_THE_HANDLERS_TASK)
async def test_the_handlers_spans_hang_under_the_message(
    observe: Any, app: Any, path: str, span: str
) -> None:
    observed = observe(app(), span=span, messages="all")
    assert await observed.converse(path, "one", "two") == ["one ada", "two ada"]
    messages = observed.of_kind("CONSUMER")
    assert [parent_of(message) for message in messages] == [None, None]
    assert [links_of(message) for message in messages] == [[id_of(observed.connection)]] * 2
    for inner in (observed.spans.named("work"), observed.of_kind("PRODUCER")):
        for message, each in zip(messages, inner, strict=True):
            assert (trace_of(each), parent_of(each)) == (trace_of(message), id_of(message))
            assert message.start_time <= each.start_time <= each.end_time <= message.end_time
    assert sum(observed.measured.values("wspipe.message.process.duration").values()) == 2


# asyncio.wait_for receives in the handler's own task from Python 3.12 on.
ELSEWHERE = WITHOUT_TRIO if sys.version_info < (3, 12) else WITHOUT_TRIO[:2]


@pytest.mark.asyncio
@pytest.mark.parametrize("app", ELSEWHERE)
async def test_where_another_task_receives_a_message_claims_no_time(observe: Any, app: Any) -> None:
    observed = observe(app(), messages="all")
    assert await observed.converse("/rooms/7", "one", "two") == ["one ada", "two ada"]
    messages = observed.of_kind("CONSUMER")
    assert [message.end_time - message.start_time for message in messages] == [0, 0]
    for message in (*messages, *observed.of_kind("PRODUCER")):
        assert parent_of(message) is None
        assert links_of(message) == [id_of(observed.connection)]
    assert [parent_of(own) for own in observed.spans.named("work")] == [None, None]
    assert observed.measured.values("wspipe.message.process.duration") == {}
