"""`ConnectionLimit` counts what is open, and never keeps a slot of what has ended."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from starlette.authentication import SimpleUser, UnauthenticatedUser

from wspipe import (
    ASGIConnection,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    WebSocket,
    select,
    websocket_app,
)
from wspipe.cli.bench import measure
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares.connection_limit import ConnectionLimit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe import ASGIApp, Event, Receive, Scope, Send

PATIENCE = 20


@websocket_app
async def stay(socket: WebSocket) -> None:
    """Echo until the client leaves."""
    async for text in socket.iter_text():
        await socket.send_text(text)


def guarded(*stages: Any) -> ASGIApp:
    return PipelineMiddleware(stay, Pipeline(*stages))


def as_(app: ASGIApp, **changes: Any) -> ASGIApp:
    """Have an application serve connections with something else in their scopes."""

    async def changed(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, **changes}, receive, send)

    return changed


async def denial(app: ASGIApp, **options: Any) -> ConnectionDenied:
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app, **options):
            pass
    return denied.value


def keys_left(limit: ConnectionLimit) -> list[str]:
    """Tell what is still counted."""
    slots = limit._slots  # noqa: SLF001 - what it must not keep
    return [*(key for group in slots.groups for key in group.taken), *map(str, slots.lost)]


# The limits


@pytest.mark.anyio
async def test_in_all_so_many_are_open_and_the_next_is_denied_with_503() -> None:
    limit = ConnectionLimit(2, retry_after=7)
    app = guarded(limit)
    async with connect(app), connect(app) as second:
        assert limit.open == 2
        denied = await denial(app)
        assert (denied.status, denied.body) == (503, b"too many connections\n")
        assert dict(denied.headers) == {
            b"content-type": b"text/plain; charset=utf-8",
            b"retry-after": b"7",
        }
        plain = await denial(app, extensions=())
        assert (plain.status, plain.code, plain.reason) == (403, 1013, "too many connections")
        assert limit.open == 2
        await second.send_text("still")
        assert await second.receive() == "still"
    assert limit.open == 0
    async with connect(app):
        assert limit.open == 1
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_each_client_has_its_share_and_the_next_is_denied_with_429() -> None:
    limit = ConnectionLimit(per_client=1, retry_after=3)
    app = guarded(limit)
    one, other = (as_(app, client=(f"192.0.2.{number}", 5)) for number in (1, 2))
    async with connect(one), connect(other):
        denied = await denial(one)
        assert (denied.status, denied.body) == (429, b"too many connections from one address\n")
        assert dict(denied.headers)[b"retry-after"] == b"3"
        plain = await denial(one, extensions=())
        assert (plain.code, plain.reason) == (1008, "too many connections from one address")
        assert limit.open == 2
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_each_user_has_its_share_from_wherever_and_nobody_counts_as_none() -> None:
    limit = ConnectionLimit(per_user=1)
    app = guarded(limit)
    ada, grace = as_(app, user=SimpleUser("ada")), as_(app, user="grace")
    nobody = as_(app, user=UnauthenticatedUser())
    async with connect(ada), connect(grace), connect(nobody), connect(nobody):
        denied = await denial(as_(ada, client=("192.0.2.9", 5)))
        assert (denied.status, denied.body) == (429, b"too many connections of one user\n")
        plain = await denial(ada, extensions=())
        assert (plain.code, plain.reason) == (1008, "too many connections of one user")
        assert limit.open == 4
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_whoever_is_not_logged_in_counts_by_its_address() -> None:
    limit = ConnectionLimit(per_client=2, per_user=1)
    nobody = as_(guarded(limit), user=UnauthenticatedUser())
    async with connect(nobody), connect(nobody):
        assert (await denial(nobody)).status == 429
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_who_is_over_one_limit_takes_no_slot_of_another() -> None:
    limit = ConnectionLimit(4, per_client=2, per_user=1)
    app = guarded(limit)
    ada, grace = as_(app, user="ada"), as_(app, user="grace")
    async with connect(ada):
        for _ in range(5):
            assert (await denial(ada)).body == b"too many connections of one user\n"
        async with connect(grace):
            assert limit.open == 2
            denied = await denial(as_(app, user="joan"))
            assert denied.body == b"too many connections from one address\n"
            async with (
                connect(as_(app, user="joan", client=("192.0.2.1", 1))),
                connect(as_(app, user="edith", client=("192.0.2.2", 1))),
            ):
                assert (await denial(as_(app, user="jean"))).status == 503
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_clients_are_told_apart_behind_trusted_proxies_and_by_networks_of_ipv6() -> None:
    options: dict[str, Any] = {"proxies": ("127.0.0.1",), "proxy_header": "forwarded"}
    limit = ConnectionLimit(per_client=1, ipv6_prefix=56, **options)
    app = guarded(limit)

    def behind(address: str) -> dict[str, Any]:
        return {"headers": {"forwarded": f'for="[{address}]"', "x-forwarded-for": "192.0.2.1"}}

    async with (
        connect(app, **behind("2001:db8:0:100::1")),
        connect(app, **behind("2001:db8:0:200::1")),
    ):
        assert (await denial(app, **behind("2001:db8:0:1ff::9"))).status == 429
    untrusting = ConnectionLimit(per_client=1)
    app = guarded(untrusting)
    async with connect(app, **behind("2001:db8:0:100::1")):
        assert (await denial(app, **behind("2001:db8:0:200::1"))).status == 429


@pytest.mark.anyio
async def test_clients_without_an_address_count_together() -> None:
    app = as_(guarded(ConnectionLimit(per_client=1)), client=None)
    async with connect(app):
        assert (await denial(app)).status == 429


@pytest.mark.anyio
async def test_the_user_is_asked_for_only_where_there_is_a_limit_for_it() -> None:
    async with connect(guarded(ConnectionLimit(1, per_client=1))):
        pass
    limit = ConnectionLimit(1, per_user=1)
    said = r"ConnectionLimit\(per_user=...\) finds no user.*or leave per_user out"
    with pytest.raises(ImproperlyConfiguredException, match=said):
        async with connect(guarded(limit)):
            pass
    said = r"ConnectionLimit\(per_user=...\) cannot tell who SimpleNamespace is"
    with pytest.raises(ImproperlyConfiguredException, match=said):
        async with connect(as_(guarded(limit), user=SimpleNamespace())):
            pass
    assert keys_left(limit) == []


# Composition


@pytest.mark.anyio
async def test_two_applications_with_the_same_object_share_its_slots() -> None:
    limit = ConnectionLimit(1)
    one, other = guarded(limit), websocket_app(stay.handler, pipeline=limit)
    async with connect(one):
        assert (await denial(other)).status == 503
    async with connect(other):
        assert (await denial(one)).status == 503
    equal = ConnectionLimit(1)
    assert equal == limit
    async with connect(one), connect(guarded(equal)):
        assert (limit.open, equal.open) == (1, 1)


@pytest.mark.anyio
async def test_a_connection_that_comes_by_twice_takes_two_slots() -> None:
    limit = ConnectionLimit(3)
    nested = PipelineMiddleware(guarded(limit), limit)
    async with connect(nested):
        assert limit.open == 2
        assert (await denial(nested)).status == 503
        assert limit.open == 2
    assert keys_left(limit) == []


@pytest.mark.anyio
async def test_only_selected_connections_count() -> None:
    def is_room(connection: ASGIConnection) -> bool:
        path: str = connection.scope["path"]
        return path == "/room"

    limit = ConnectionLimit(1)
    app = guarded(select(is_room, limit))
    async with connect(app, "/other"), connect(app, "/room"):
        assert limit.open == 1
        assert (await denial(app, url="/room")).status == 503
        async with connect(app, "/other"):
            assert limit.open == 1
    assert keys_left(limit) == []


class Refusing:
    """A stage that lets nobody in."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, _: ASGIConnection) -> None:
        await checkpoint()
        raise ConnectionRejected


@pytest.mark.anyio
@pytest.mark.parametrize("stage_fails", ["admit", "composition", "exit"])
async def test_what_other_stages_do_gives_the_slot_back(stage_fails: str) -> None:
    def failing(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        if stage_fails == "composition":
            raise ZeroDivisionError

        def fail() -> None:
            raise ZeroDivisionError

        connection.exit_stack.callback(fail)
        return receive, send

    other = Refusing() if stage_fails == "admit" else failing
    limit = ConnectionLimit(1)
    for app in (
        guarded(limit, other),
        websocket_app(stay.handler, pipeline=Pipeline(limit, other)),
        guarded(other, limit),
    ):
        with suppress(ZeroDivisionError, ConnectionDenied):
            async with connect(app):
                pass
        assert limit.open == 0
    assert keys_left(limit) == []


# A class that nobody runs


class Counted(WebSocket, pipeline=ConnectionLimit(1)):
    """Has a limit of its own."""


counted: Any = Counted.pipeline.middlewares[1]


async def serve_in_block(scope: Scope, receive: Receive, send: Send) -> None:
    async with Counted(scope, receive, send) as socket:
        await socket.accept()
        raise ZeroDivisionError


async def serve_to_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    socket = Counted(scope, receive, send)
    async for text in socket.iter_text():
        await socket.send_text(text)


async def serve_and_close(scope: Scope, receive: Receive, send: Send) -> None:
    socket = Counted(scope, receive, send)
    await socket.accept()
    await socket.close()


@pytest.mark.anyio
@pytest.mark.parametrize("app", [serve_in_block, serve_to_the_end, serve_and_close])
async def test_a_socket_without_a_runner_has_its_slot_until_it_ends(app: ASGIApp) -> None:
    for _ in range(2):
        with suppress(ZeroDivisionError):
            async with connect(app):
                pass
        assert counted.open == 0


@pytest.mark.anyio
async def test_a_socket_without_a_runner_is_denied_at_its_accept() -> None:
    async with connect(serve_to_the_end):
        with suppress(ConnectionRejected):
            assert (await denial(serve_to_the_end)).status == 503
        assert counted.open == 1
    assert keys_left(counted) == []


@pytest.mark.anyio
async def test_a_socket_that_is_forgotten_without_an_end_loses_its_slot_with_it() -> None:
    async def forget(scope: Scope, receive: Receive, send: Send) -> None:
        socket = Counted(scope, receive, send)
        await socket.accept()
        raise ZeroDivisionError

    for _ in range(2):
        with suppress(ZeroDivisionError):
            async with connect(forget):
                pass
        gc.collect()
        assert counted.open == 0
    assert keys_left(counted) == []
    with suppress(ZeroDivisionError):
        async with connect(forget):
            pass
    gc.collect()
    async with connect(serve_to_the_end):  # finds the slot that was lost
        assert counted.open == 1


# However a connection ends


@dataclass
class Fate:
    """How one connection ends, and at which of its awaits."""

    how: str
    at: int
    client: str
    user: Any

    @classmethod
    def drawn(cls, random: Random) -> Fate:
        user = random.choice(["ada", "grace", 7, UnauthenticatedUser()])
        client = f"192.0.2.{random.randrange(20)}"
        return cls(random.choice(ENDS), random.randrange(12), client, user)


ENDS = [
    "the client leaves",
    "the client vanishes",
    "the application raises",
    "the application returns",
    "the application closes",
    "cancelled",
    "rejected before",
    "rejected behind",
    "closed by a middleware",
    "composition raises",
    "an exit raises",
    "an exit awaits",
    "the server fails",
]


class Fateful:
    """A stage that ends what is to end by a stage."""

    def __init__(self, place: str) -> None:
        self.place = place

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        fate: Fate = connection.scope["fate"]
        if fate.how == "composition raises" and fate.at % 2 == (self.place == "behind"):
            raise ZeroDivisionError
        if fate.how == "an exit raises":
            connection.exit_stack.callback(divmod, 1, 0)
        if fate.how == "an exit awaits":
            connection.exit_stack.push_async_callback(checkpoint)

        async def fateful_receive() -> Event:
            event = await receive()
            fate.at -= 1
            if fate.how == "closed by a middleware" and fate.at < 0:
                await connection.close(4000, by=self)
            return event

        return fateful_receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        await checkpoint()
        if connection.scope["fate"].how == f"rejected {self.place}":
            raise ConnectionRejected


class Server:
    """A server in memory, whose connections end as fate has it."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.awaits = 0
        self.received = 0
        self.cancelling = anyio.CancelScope()
        self.closed = anyio.Event()
        self.denial: bytes | None = None

    async def pause(self) -> None:
        """Await something, for the last time perhaps."""
        self.awaits += 1
        if self.awaits > self.fate.at:
            if self.fate.how == "cancelled":
                self.cancelling.cancel()
            elif self.fate.how == "the server fails":
                raise BufferError
        await checkpoint()

    async def receive(self) -> Event:
        await self.pause()
        self.received += 1
        if self.received == 1:
            return {"type": "websocket.connect"}
        if self.closed.is_set():
            return {"type": "websocket.disconnect", "code": 1006}
        if self.received > self.fate.at + 1:
            code = 1006 if self.fate.how == "the client vanishes" else 1001
            return {"type": "websocket.disconnect", "code": code}
        return {"type": "websocket.receive", "text": "hello"}

    async def send(self, event: Event) -> None:
        await self.pause()
        if self.fate.how == "the client vanishes" and self.awaits > self.fate.at:
            raise ConnectionResetError
        if event["type"] == "websocket.close":
            self.closed.set()
        elif event["type"] == "websocket.http.response.body":
            self.denial = event["body"]

    async def serve(self, app: ASGIApp) -> None:
        fate = self.fate
        scope = {**websocket_scope(), "client": (fate.client, 5), "user": fate.user, "fate": fate}
        with self.cancelling, suppress(ZeroDivisionError, BufferError, OSError, ConnectionRejected):
            await app(scope, self.receive, self.send)


class Running:
    """An application that ends as fate has it, and counts who is in it."""

    def __init__(self) -> None:
        self.clients: Counter[str] = Counter()
        self.users: Counter[Any] = Counter()
        self.most = self.most_of_a_client = self.most_of_a_user = 0

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, user = scope["client"][0], scope["user"]
        known = not isinstance(user, UnauthenticatedUser)
        self.clients[client] += 1
        self.users[user] += known
        self.most = max(self.most, self.clients.total())
        self.most_of_a_client = max(self.most_of_a_client, self.clients[client])
        self.most_of_a_user = max(self.most_of_a_user, self.users[user])
        try:
            await self.converse(scope["fate"], receive, send)
        finally:
            self.clients[client] -= 1
            self.users[user] -= known

    async def handle(self, socket: WebSocket) -> None:
        await self.serve(socket.scope, socket.receive, socket.send)

    async def converse(self, fate: Fate, receive: Receive, send: Send) -> None:
        left = fate.at
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            left -= 1
            if left < 0:
                if fate.how == "the application raises":
                    raise ZeroDivisionError
                if fate.how == "the application returns":
                    return
                if fate.how == "the application closes":
                    await send({"type": "websocket.close"})
                    return
            event = await receive()
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})


TOTAL, PER_CLIENT, PER_USER = 60, 5, 15


@pytest.mark.anyio
@pytest.mark.reports_failures
async def test_ten_thousand_connections_that_end_in_random_ways_leave_no_slot_taken() -> None:
    random = Random(20)  # noqa: S311 - the same connections each time
    limit = ConnectionLimit(TOTAL, per_client=PER_CLIENT, per_user=PER_USER)
    pipeline = Pipeline(Fateful("before"), limit, Fateful("behind"))
    running = Running()

    class Fated(WebSocket, pipeline=pipeline):
        pass

    async def serve_in_block(scope: Scope, receive: Receive, send: Send) -> None:
        async with Fated(scope, receive, send) as socket:
            await Running().handle(socket)

    apps: list[ASGIApp] = [
        PipelineMiddleware(running.serve, pipeline),
        websocket_app(running.handle, pipeline=pipeline),
        serve_in_block,
    ]
    fates = [Fate.drawn(random) for _ in range(10_000)]
    ended: Counter[str] = Counter()
    denied: Counter[bytes | None] = Counter()

    async def visit_one_after_the_other() -> None:
        while fates:
            server = Server(fates.pop())
            await server.serve(random.choice(apps))
            ended[server.fate.how] += 1
            denied[server.denial] += 1

    with anyio.fail_after(6 * PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(visit_one_after_the_other)
    assert set(ended) == set(ENDS)
    assert ended.total() == 10_000
    assert limit.open == 0
    assert keys_left(limit) == []
    # Each limit was reached, and nobody was in beyond it.
    assert denied.keys() >= {
        b"too many connections\n",
        b"too many connections from one address\n",
        b"too many connections of one user\n",
    }
    assert 0 < running.most <= TOTAL
    assert 0 < running.most_of_a_client <= PER_CLIENT
    assert 0 < running.most_of_a_user <= PER_USER
    assert running.clients.total() == running.users.total() == 0


@pytest.mark.asyncio
async def test_a_task_that_is_cancelled_at_any_of_its_awaits_leaves_no_slot_taken() -> None:
    limit = ConnectionLimit(1, per_client=1)
    for app in (guarded(limit), websocket_app(stay.handler, pipeline=limit)):
        for turns in range(40):
            event: Event = {"type": "websocket.connect"}
            events = iter([event, *([{"type": "websocket.receive", "text": "hello"}] * 9)])

            async def receive(events: Iterator[Event] = events) -> Event:
                await asyncio.sleep(0)
                return next(events, {"type": "websocket.disconnect", "code": 1000})

            async def send(_: Event) -> None:
                await asyncio.sleep(0)

            task = asyncio.ensure_future(app(websocket_scope(), receive, send))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            assert keys_left(limit) == []


# Options


@pytest.mark.parametrize("option", ["total", "per_client", "per_user", "retry_after"])
@pytest.mark.parametrize("given", [0, -1, 1.5, "5", True])
def test_numbers_are_whole_and_above_zero(option: str, given: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        ConnectionLimit(**{"total": 5, option: given})
    assert str(refused.value) == f"{option}={given!r} must be a whole number, 1 or more"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "total=None must be a number of connections where neither per_client nor per_user is"),
        ({"total": 1, "ipv6_prefix": 0}, "ipv6_prefix=0 must be a whole number from 1 to 128"),
        ({"total": 1, "ipv6_prefix": 129}, "ipv6_prefix=129 must be a whole number from 1 to 128"),
        ({"total": 1, "proxies": "10.0.0.1"}, "proxies='10.0.0.1' must be a tuple"),
        ({"total": 1, "proxies": ("localhost",)}, "proxies: one is an address"),
        ({"total": 1, "proxy_header": "x-real-ip"}, "proxy_header='x-real-ip' must be one of"),
    ],
)
def test_other_options_are_refused_by_name(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        ConnectionLimit(**options)
    assert str(refused.value).startswith(said)


def test_what_is_open_is_no_part_of_the_configuration() -> None:
    limit = ConnectionLimit(2, per_client=1)
    assert limit == ConnectionLimit(2, per_client=1)
    assert limit != ConnectionLimit(3, per_client=1)
    assert repr(limit) == (
        "ConnectionLimit(total=2, per_client=1, per_user=None, retry_after=10, proxies=(), "
        "proxy_header='x-forwarded-for', ipv6_prefix=64)"
    )


@pytest.mark.parametrize(
    "limit", [ConnectionLimit(1), ConnectionLimit(per_client=1), ConnectionLimit(per_user=1)]
)
def test_it_can_be_measured_with_slots_of_its_own(limit: ConnectionLimit) -> None:
    found = measure(Pipeline(limit), rounds=1)
    assert [stage.stage for stage in found.stages] == ["StateValidation", "ConnectionLimit"]
    assert keys_left(limit) == []
