"""`on_receive` and `on_send`: functions as middlewares."""

from __future__ import annotations

from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    WebSocket,
    on_receive,
    on_send,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Middleware

pytestmark = pytest.mark.anyio


def louder(event: Event, _: ASGIConnection) -> Event:
    return {**event, "text": event["text"].upper()}


async def louder_later(event: Event, connection: ASGIConnection) -> Event:
    await anyio.lowlevel.checkpoint()
    return louder(event, connection)


class Louder:
    def __call__(self, event: Event, connection: ASGIConnection) -> Event:
        return louder(event, connection)

    def method(self, event: Event, connection: ASGIConnection) -> Event:
        return louder(event, connection)

    async def async_method(self, event: Event, connection: ASGIConnection) -> Event:
        return await louder_later(event, connection)


class LouderLater:
    async def __call__(self, event: Event, connection: ASGIConnection) -> Event:
        return await louder_later(event, connection)


@wraps(louder_later)
def decorated(*args: Any) -> Any:
    return louder_later(*args)


def in_place(event: Event, _: ASGIConnection) -> Event:
    event["text"] = event["text"].upper()
    return event


LOUDER = [
    louder,
    louder_later,
    Louder(),
    LouderLater(),
    Louder().method,
    Louder().async_method,
    partial(louder),
    partial(partial(louder_later)),
    partial(LouderLater()),
    decorated,
    in_place,
]


async def echo(pipeline: Middleware, *messages: str) -> list[str]:
    """Send messages to an echoing handler; give what comes back until it closes."""

    @websocket_app(pipeline=pipeline)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        while (message := await socket.receive_text()).lower() != "end":
            await socket.send_text(message)
        await socket.send_text(message)

    replies: list[str] = []
    async with connect(app) as client:
        for message in (*messages, "end"):
            await client.send_text(message)
        with anyio.fail_after(5):
            while (reply := await client.receive()).lower() != "end":  # type: ignore[union-attr]
                replies.append(str(reply))
    return replies


@pytest.mark.parametrize("function", LOUDER)
async def test_any_callable_of_event_and_connection_changes_messages(function: Any) -> None:
    assert await echo(on_receive(function), "one", "two") == ["ONE", "TWO"]
    assert await echo(on_send(function), "one", "two") == ["ONE", "TWO"]


@pytest.mark.parametrize("decorator", [on_receive, on_send])
@pytest.mark.parametrize("is_async", [False, True])
async def test_none_drops_a_message(decorator: Any, *, is_async: bool) -> None:
    def without_secrets(event: Event, _: ASGIConnection) -> Event | None:
        return None if event["text"] == "secret" else event

    async def async_without_secrets(event: Event, connection: ASGIConnection) -> Event | None:
        return without_secrets(event, connection)

    function = async_without_secrets if is_async else without_secrets
    assert await echo(decorator(function), "one", "secret", "secret", "two") == ["one", "two"]


async def test_the_function_gets_the_connection() -> None:
    def signed(event: Event, connection: ASGIConnection) -> Event:
        return {**event, "text": f"{event['text']} {connection.scope['path']}"}

    @websocket_app(pipeline=on_send(signed))
    async def app(socket: WebSocket) -> None:
        await socket.send_text("hello")

    async with connect(app, "/here") as client:
        assert await client.receive() == "hello /here"


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("lifecycle", [False, True])
async def test_only_with_lifecycle_are_the_other_events_seen(
    *, lifecycle: bool, is_async: bool
) -> None:
    seen: list[str] = []

    def note(event: Event, _: ASGIConnection) -> Event:
        seen.append(event["type"].removeprefix("websocket."))
        return event

    async def async_note(event: Event, connection: ASGIConnection) -> Event:
        return note(event, connection)

    function = async_note if is_async else note
    both = Pipeline(
        on_receive(function, lifecycle=lifecycle), on_send(function, lifecycle=lifecycle)
    )

    @websocket_app(pipeline=both)
    async def app(socket: WebSocket) -> None:
        await socket.send_text(await socket.receive_text())
        await socket.close()
        await socket.receive()

    async with connect(app) as client:
        await client.send_text("hello")
        await client.receive()
    everything = ["connect", "accept", "receive", "send", "close", "disconnect"]
    assert seen == (everything if lifecycle else ["receive", "send"])


@pytest.mark.parametrize("is_async", [False, True])
async def test_the_other_events_cannot_be_dropped(*, is_async: bool) -> None:
    def drop(_: Event, __: ASGIConnection) -> None:
        return None

    async def async_drop(_: Event, __: ASGIConnection) -> None:
        return None

    function = async_drop if is_async else drop
    both = on_receive(function, lifecycle=True), on_send(function, lifecycle=True)
    ended = False

    @websocket_app(pipeline=Pipeline(*both))
    async def app(socket: WebSocket) -> None:
        nonlocal ended
        await socket.send_text("dropped on its way")
        async for _ in socket.iter_text():
            pytest.fail("a dropped message arrived")
        ended = True

    async with connect(app) as client:
        await client.send_text("dropped as well")
    assert ended


async def test_a_denial_cannot_be_dropped() -> None:
    @websocket_app(pipeline=on_send(lambda _, __: None, lifecycle=True))
    async def app(socket: WebSocket) -> None:
        await socket.send_denial_response(404, body="not here")

    with pytest.raises(ConnectionDenied) as denied:
        async with connect(app):
            pass
    assert (denied.value.status, denied.value.body) == (404, b"not here")


@pytest.mark.parametrize("decorator", [on_receive, on_send])
@pytest.mark.parametrize("result", [True, "text", ["event"], 0])
async def test_a_result_that_is_no_event_is_refused(decorator: Any, result: Any) -> None:
    def wrong(_: Event, __: ASGIConnection) -> Any:
        return result

    with pytest.raises(
        ImproperlyConfiguredException, match=r"wrong\) returned .* must return the event"
    ):
        await echo(decorator(wrong), "hello")


@pytest.mark.parametrize("decorator", [on_receive, on_send])
async def test_an_error_of_the_function_goes_to_the_application(decorator: Any) -> None:
    def fail(_: Event, __: ASGIConnection) -> Event:
        raise LookupError("my own")

    with pytest.raises(LookupError, match="my own"):
        await echo(decorator(fail), "hello")


@pytest.mark.parametrize("decorator", [on_receive, on_send])
def test_both_decorators_can_be_written_with_and_without_arguments(decorator: Any) -> None:
    @decorator
    def bare(event: Event, _: ASGIConnection) -> Event:
        return event

    @decorator()
    def called(event: Event, _: ASGIConnection) -> Event:
        return event

    @decorator(lifecycle=True)
    def with_lifecycle(event: Event, _: ASGIConnection) -> Event:
        return event

    name = decorator.__name__
    where = f"{test_both_decorators_can_be_written_with_and_without_arguments.__name__}.<locals>"
    assert repr(bare) == f"{name}({where}.bare)"
    assert repr(called) == f"{name}({where}.called)"
    assert repr(with_lifecycle) == f"{name}({where}.with_lifecycle, lifecycle=True)"
    assert len(bare | called | with_lifecycle) == 3


def test_the_repr_of_an_unnamed_callable_shows_the_callable() -> None:
    function = partial(louder)
    assert repr(on_send(function)) == f"on_send({function!r})"


def test_equality_is_that_of_direction_function_and_lifecycle() -> None:
    assert on_receive(louder) == on_receive(louder)
    assert on_receive(louder) != on_send(louder)
    assert on_receive(louder) != on_receive(louder, lifecycle=True)
    assert on_receive(louder) != on_receive(louder_later)


@pytest.mark.parametrize(
    "function", [None.__str__, 5, lambda: None, lambda event: event, lambda a, b, c: (a, b, c)]
)
@pytest.mark.parametrize("decorator", [on_receive, on_send])
def test_what_does_not_take_two_arguments_is_refused(
    decorator: Callable[..., Any], function: Any
) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"no.* function of \(event, connect"):
        decorator(function)


def test_only_its_own_direction_is_wrapped() -> None:
    async def receive() -> Event:
        return {"type": "websocket.connect"}

    async def send(_: Event) -> None: ...

    connection = ASGIConnection(websocket_scope())
    assert on_receive(louder)(connection, receive, send)[1] is send
    assert on_send(louder)(connection, receive, send)[0] is receive
