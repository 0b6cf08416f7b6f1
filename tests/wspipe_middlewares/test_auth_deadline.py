"""`AuthDeadline` closes who is not authenticated in time, or not any more."""

from __future__ import annotations

import asyncio
import copy
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import inf, nan
from threading import Thread
from time import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from tests.virtual import in_virtual_time
from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    WebSocketDisconnect,
    select,
    websocket_app,
)
from wspipe.testing import Client, ConnectionDenied, FakeClock, connect, websocket_scope
from wspipe_middlewares import AuthDeadline, Timeouts, authenticated

if TYPE_CHECKING:
    import starlette.websockets

    from wspipe import ASGIApp

SLACK = 0.15


@websocket_app
async def desk(socket: WebSocket) -> None:
    """Take `login` for a password, and `login 20` for one that expires."""
    async for text in socket.iter_text():
        word, *seconds = text.split()
        if word == "login":
            expires_at = time() + float(seconds[0]) if seconds else None
            authenticated(socket.scope, expires_at=expires_at)
        await socket.send_text(text)


def guarded(app: ASGIApp = desk, **options: Any) -> PipelineMiddleware:
    return PipelineMiddleware(app, AuthDeadline(**options))


async def closed(client: Client) -> tuple[int | None, str, float]:
    start = anyio.current_time()
    with suppress(WebSocketDisconnect):
        while True:
            await client.receive()
    return client.close_code, client.close_reason, anyio.current_time() - start


# In time.


@in_virtual_time
async def test_who_does_not_authenticate_in_time_is_closed() -> None:
    async with connect(guarded(within=5)) as client:
        await client.send_text("hello")
        code, reason, took = await closed(client)
    assert (code, reason) == (3000, "not authenticated in time")
    assert 5 - SLACK <= took <= 5 + SLACK


@in_virtual_time
async def test_who_is_not_even_accepted_is_denied() -> None:
    async def wait(_: Any, receive: Any, __: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(guarded(wait)):
            raise AssertionError("accepted")
    assert (denied.value.status, denied.value.code) == (403, 3000)


@in_virtual_time
async def test_who_authenticates_in_time_stays() -> None:
    async with connect(guarded(within=5)) as client:
        await anyio.sleep(4.9)
        await client.send_text("login")
        await anyio.sleep(10_000)
        assert client.close_code is None
        await client.send_text("hello")
        assert [await client.receive(), await client.receive()] == ["login", "hello"]


@in_virtual_time
async def test_an_application_may_authenticate_at_the_handshake() -> None:
    @websocket_app(pipeline=AuthDeadline(within=5, code=4401))
    async def app(socket: WebSocket) -> None:
        authenticated(socket.scope, expires_at=time() + 60)
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(app) as client:
        code, reason, took = await closed(client)
    assert (code, reason) == (4401, "authentication has expired")
    assert 60 - SLACK <= took <= 60 + SLACK


@in_virtual_time
async def test_no_deadline_is_none() -> None:
    async with connect(guarded(within=None)) as client:
        await anyio.sleep(10_000)
        await client.send_text("login 7")
        _, reason, took = await closed(client)
    assert reason == "authentication has expired"
    assert 7 - SLACK <= took <= 7 + SLACK


# Expiry.


@in_virtual_time
async def test_what_has_expired_closes() -> None:
    async with connect(guarded()) as client:
        await client.send_text("login 20")
        code, reason, took = await closed(client)
    assert (code, reason) == (3000, "authentication has expired")
    assert 20 - SLACK <= took <= 20 + SLACK


@in_virtual_time
async def test_what_had_expired_already_closes_at_once() -> None:
    async with connect(guarded()) as client:
        await client.send_text("login -100")
        _, reason, took = await closed(client)
    assert reason == "authentication has expired"
    assert took <= SLACK


@in_virtual_time
async def test_a_renewed_token_counts_from_then_on() -> None:
    async with connect(guarded()) as client:
        await client.send_text("login 20")
        await anyio.sleep(15)
        await client.send_text("login 100")
        assert 100 - SLACK <= (await closed(client))[2] <= 100 + SLACK
    async with connect(guarded()) as client:
        await client.send_text("login 20")
        await anyio.sleep(15)
        await client.send_text("login 1")
        assert (await closed(client))[2] <= 1 + SLACK
    async with connect(guarded()) as client:
        await client.send_text("login 20")
        await anyio.sleep(15)
        await client.send_text("login")
        await anyio.sleep(1000)
        assert client.close_code is None


@pytest.mark.parametrize(
    "expires_at", [lambda: time() + 30, lambda: datetime.now(UTC) + timedelta(seconds=30)]
)
@in_virtual_time
async def test_a_moment_may_be_a_number_or_a_datetime(expires_at: Any) -> None:
    @websocket_app(pipeline=AuthDeadline())
    async def app(socket: WebSocket) -> None:
        authenticated(socket.scope, expires_at=expires_at())
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(app) as client:
        assert 30 - SLACK <= (await closed(client))[2] <= 30 + SLACK


@pytest.mark.parametrize("given", ["tomorrow", nan, True, datetime(2030, 1, 1)])  # noqa: DTZ001
@pytest.mark.anyio
async def test_what_is_no_moment_is_refused(given: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"expires_at=.* must be seconds since"):
        authenticated(websocket_scope(), expires_at=given)


@pytest.mark.parametrize("given", [inf, -inf, 10**400, -(10**400)])
def test_what_is_no_time_at_all_is_refused(given: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"must be seconds since"):
        authenticated(websocket_scope(), expires_at=given)


@in_virtual_time
async def test_a_moment_may_be_far_away() -> None:
    @websocket_app(pipeline=AuthDeadline())
    async def app(socket: WebSocket) -> None:
        assert authenticated(socket.scope, expires_at=datetime.max.replace(tzinfo=UTC))
        assert authenticated(socket.scope, expires_at=10**15)
        with suppress(WebSocketDisconnect):
            await socket.receive_text()

    async with connect(app) as client:
        await anyio.sleep(10_000)
        assert client.close_code is None


def test_without_the_middleware_nobody_hears_it() -> None:
    assert not authenticated(websocket_scope())


@in_virtual_time
async def test_where_it_is_not_selected_nobody_hears_it() -> None:
    heard: list[bool] = []

    @websocket_app(pipeline=select(lambda c: c.scope["path"] == "/room", AuthDeadline()))
    async def app(socket: WebSocket) -> None:
        heard.append(authenticated(socket.scope))
        await socket.accept()

    for path in ("/room", "/lobby"):
        async with connect(app, path):
            pass
    assert heard == [True, False]


@pytest.mark.anyio
async def test_it_may_be_told_from_a_thread() -> None:
    app = guarded(in_a_thread, within=None)
    async with connect(app) as client:
        with anyio.fail_after(5):
            assert (await closed(client))[:2] == (3000, "authentication has expired")


@websocket_app
async def in_a_thread(socket: WebSocket) -> None:
    await socket.accept()
    thread = Thread(target=authenticated, args=[socket.scope], kwargs={"expires_at": time() + 0.3})
    thread.start()
    with suppress(WebSocketDisconnect):
        await socket.receive_text()
    thread.join()


@pytest.mark.anyio
async def test_the_scope_may_be_copied_deeply() -> None:
    connection: ASGIConnection = ASGIConnection(websocket_scope())
    ends = Pipeline().with_wire(strict=True)(connection, connection.receive, connection.send)
    AuthDeadline()(connection, *ends)
    assert authenticated(copy.deepcopy(connection.scope))
    await connection.finish(None)


def test_a_connection_is_made_in_an_event_loop() -> None:
    class Socket(WebSocket, pipeline=AuthDeadline()):
        pass

    with pytest.raises(ImproperlyConfiguredException, match=r"needs a running event loop"):
        Socket(websocket_scope())


# The recheck.


class Office:
    """Says whether a connection is still authenticated, and when it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[float] = []
        self.of: list[Any] = []

    def next(self, connection: ASGIConnection) -> bool:
        self.asked.append(anyio.current_time())
        self.of.append(connection.scope["path"])
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return bool(answer)

    async def later(self, connection: ASGIConnection) -> bool:
        await anyio.sleep(1)
        return self.next(connection)


@in_virtual_time
async def test_who_is_no_longer_authenticated_is_closed() -> None:
    office = Office("yes", "yes", "")
    async with connect(guarded(recheck=office.next, every=10), "/room") as client:
        await client.send_text("login")
        code, reason, took = await closed(client)
    assert (code, reason) == (3000, "no longer authenticated")
    assert 30 - SLACK <= took <= 30 + 3 * SLACK
    assert office.of == ["/room"] * 3


@in_virtual_time
async def test_who_was_authenticated_before_the_handshake_is_asked_about_from_the_start() -> None:
    office = Office("yes", "")
    async with connect(guarded(within=None, recheck=office.next, every=10)) as client:
        _, reason, took = await closed(client)
    assert reason == "no longer authenticated"
    assert 20 - SLACK <= took <= 20 + 3 * SLACK


@in_virtual_time
async def test_a_recheck_ends_with_its_connection() -> None:
    ended: list[str] = []

    async def hang(_: ASGIConnection) -> bool:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("recheck")
        return True

    async with connect(guarded(recheck=hang, every=1000)) as client:
        await client.send_text("login")
        await anyio.sleep(1001)
        await client.close()
        await anyio.sleep(1)
        assert ended == ["recheck"]


@in_virtual_time
async def test_an_async_recheck_is_awaited() -> None:
    office = Office("yes", "")
    async with connect(guarded(recheck=office.later, every=10)) as client:
        await client.send_text("login")
        _, reason, took = await closed(client)
    assert reason == "no longer authenticated"
    assert 22 - SLACK <= took <= 22 + 3 * SLACK


@in_virtual_time
async def test_nobody_is_asked_about_before_the_first_authentication_nor_after_the_end() -> None:
    office = Office(*[True] * 3)
    async with connect(guarded(within=100, recheck=office.next, every=10)) as client:
        await anyio.sleep(50)
        assert office.asked == []
        await client.send_text("login")
        await anyio.sleep(15)
        await client.send_text("login")  # which does not begin the time anew
        await anyio.sleep(6)
        assert len(office.asked) == 2
        await client.close()
    await anyio.sleep(100)
    assert len(office.asked) == 2


@in_virtual_time
async def test_an_expiry_during_a_recheck_closes() -> None:
    async def never(_: ASGIConnection) -> bool:
        await anyio.sleep_forever()
        return True

    async with connect(guarded(recheck=never, every=10)) as client:
        await client.send_text("login 12")
        _, reason, took = await closed(client)
    assert reason == "authentication has expired"
    assert 12 - SLACK <= took <= 12 + SLACK


@pytest.mark.parametrize("kind", ["next", "later"])
@in_virtual_time
async def test_a_recheck_that_fails_closes_by_default(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office("yes", ValueError("no database"))
    async with connect(guarded(recheck=getattr(office, kind), every=10)) as client:
        await client.send_text("login")
        assert (await closed(client))[1] == "no longer authenticated"
    warned = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert warned == ["a recheck failed (close): ValueError('no database')"]


@in_virtual_time
async def test_a_recheck_that_fails_keeps_where_that_is_wanted() -> None:
    office = Office(ValueError("no database"), "yes", "")
    app = guarded(recheck=office.next, every=10, on_recheck_error="keep")
    async with connect(app) as client:
        await client.send_text("login")
        assert 30 - SLACK <= (await closed(client))[2] <= 30 + 3 * SLACK


@in_virtual_time
async def test_a_recheck_that_takes_too_long_has_failed() -> None:
    async def never(_: ASGIConnection) -> bool:
        await anyio.sleep_forever()
        return True

    async with connect(guarded(recheck=never, every=10)) as client:
        await client.send_text("login")
        _, reason, took = await closed(client)
    assert reason == "no longer authenticated"
    assert 20 - SLACK <= took <= 20 + 2 * SLACK


class Panic(BaseException):
    """What a module in another language may raise."""


async def await_a_cancelled_task() -> bool:
    async def nothing() -> None:
        pass

    task = asyncio.ensure_future(nothing())
    task.cancel()
    await task
    return True


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("failure", ["panic", "cancelled"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_recheck_that_raises_what_is_no_exception_has_failed_too(
    backend: Any, failure: str, *, keep: bool
) -> None:
    if (backend, failure) == ("trio", "cancelled"):
        return  # nobody can raise it there but a cancel scope
    asked = []

    async def recheck(_: ASGIConnection) -> bool:
        asked.append(anyio.current_time())
        if failure == "panic":
            raise Panic
        return await await_a_cancelled_task()

    async def visit() -> None:
        policy = "keep" if keep else "close"
        app = guarded(recheck=recheck, every=10, on_recheck_error=policy)
        other = PipelineMiddleware(desk, Timeouts(lifetime=25))
        async with connect(app) as client, connect(other) as bystander:
            await client.send_text("login")
            await client.receive()
            await anyio.sleep(31)
            assert len(asked) == (3 if keep else 1)
            if not keep:
                assert (await closed(client))[0] == 3000
            assert client.close_code == (None if keep else 3000)
            await closed(bystander)
            assert bystander.close_code == 3008

    FakeClock(backend).run(visit)


@in_virtual_time
async def test_nobody_is_asked_about_who_has_ended_meanwhile() -> None:
    office = Office("yes", "yes", "yes")

    @websocket_app
    async def brief(socket: WebSocket) -> None:
        await socket.accept()
        authenticated(socket.scope)
        await anyio.sleep(10.5)

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        authenticated(scope, expires_at=time() + 500)
        scopes.append(scope)
        await anyio.sleep(10.5)

    scopes: list[Any] = []
    for app in (brief, plain):
        async with connect(guarded(app, recheck=office.later, every=10)):
            await anyio.sleep(100)
    assert len(office.asked) == 0
    authenticated(scopes[0], expires_at=time() + 1)  # which finds nothing to close any more
    await anyio.sleep(10)


@in_virtual_time
async def test_a_no_from_before_a_renewal_does_not_count() -> None:
    office = Office("", "yes")

    async with connect(guarded(recheck=office.later, every=10)) as client:
        await client.send_text("login")
        await anyio.sleep(10.5)  # it is being asked about
        await client.send_text("login")
        await anyio.sleep(5)
        assert client.close_code is None
        await client.send_text("hello")
        assert [await client.receive() for _ in range(3)] == ["login", "login", "hello"]


@in_virtual_time
async def test_nothing_is_done_about_who_has_left() -> None:
    office = Office("")

    async def brood(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await anyio.sleep(100)

    async with connect(guarded(brood, within=5, recheck=office.next)) as client:
        await client.close()
    assert office.asked == []


# Frameworks, nesting, options.


@in_virtual_time
async def test_a_framework_that_copies_the_scope_can_mark_it() -> None:
    async def endpoint(socket: starlette.websockets.WebSocket) -> None:
        await socket.accept()
        authenticated(socket.scope, expires_at=time() + 15)
        await socket.receive()

    routes = [Mount("/mounted", routes=[WebSocketRoute("/desk", endpoint)])]
    async with connect(guarded(Starlette(routes=routes)), "/mounted/desk") as client:
        assert 15 - SLACK <= (await closed(client))[2] <= 15 + SLACK


@in_virtual_time
async def test_several_deadlines_are_all_told() -> None:
    outer, inner = AuthDeadline(within=5), AuthDeadline(within=7)
    app = PipelineMiddleware(PipelineMiddleware(desk, inner), Pipeline(outer))
    async with connect(app) as client:
        await client.send_text("login")
        await anyio.sleep(100)
        assert client.close_code is None


def test_nothing_is_wrapped() -> None:
    async def wrapped() -> bool:
        connection: ASGIConnection = ASGIConnection(websocket_scope())
        ends = Pipeline().with_wire(strict=True)(connection, connection.receive, connection.send)
        same = AuthDeadline()(connection, *ends) == ends
        await connection.finish(None)
        return same

    assert anyio.run(wrapped)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": 0}, "within=0 must be a number of seconds, 0.1 or more"),
        ({"every": inf}, "every=inf must be a number of seconds from 0.1 to 86400"),
        ({"recheck": "yes"}, "recheck='yes' must be a function of the connection"),
        ({"on_recheck_error": "open"}, "on_recheck_error='open' must be one of 'close', 'keep'"),
        ({"code": 1005}, "code=1005 must be a code that may be sent"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        AuthDeadline(**options)
    assert str(refused.value).startswith(message)
