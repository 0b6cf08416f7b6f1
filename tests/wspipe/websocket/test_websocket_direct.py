"""`WebSocket` without stages, or with steps, passes its wire by, and must do what that would do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wspipe import (
    ASGIConnection,
    Pipeline,
    StateValidation,
    WebSocket,
    WebSocketException,
    on_receive,
)
from wspipe.connection import empty_receive, empty_send
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wspipe import Event, Receive, Send

CONNECT = {"type": "websocket.connect"}
METHODS = ["text", "bytes", "json"]
FAULTS = [None, None, OSError("gone"), RuntimeError("no")]

texts = st.text(st.characters(exclude_categories=()), max_size=20) | st.just('{"a": [1]}')
datas = st.binary(max_size=20) | st.just(b"[1]")
values = st.none() | texts | datas | st.integers() | st.builds(bytearray, datas)
from_server = st.fixed_dictionaries(
    {"type": st.sampled_from(["websocket.receive"] * 5 + ["websocket.disconnect", "", None])},
    optional={"text": values, "bytes": values, "code": st.just(4001)},
)
property_of_messages = settings(derandomize=True, database=None, deadline=None, max_examples=300)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


def indirect(*args: Any) -> WebSocket:
    """Make a socket that finds a wrapper around its wire, so that it has to ask it."""
    socket: WebSocket = WebSocket(*args)
    receive, send = socket.receive, socket.send
    socket.receive, socket.send = lambda: receive(), lambda event: send(event)  # noqa: PLW0108
    return socket


class Stepped(WebSocket, pipeline=on_receive(lambda event, _: event)):
    """Shows each message to a function that lets it pass."""

    __slots__ = ()


def all_kinds(serve: Callable[..., Any], *events: Any) -> list[tuple[WebSocket, Any]]:
    return [serve(kind, CONNECT, *events) for kind in (WebSocket, Stepped, indirect)]


async def opened(make: Any) -> WebSocket:
    socket, _ = make
    await socket.accept()
    return socket


def test_it_is_what_it_says(runner: asyncio.Runner, serve: Any) -> None:
    direct, stepped, asked = (runner.run(opened(made)) for made in all_kinds(serve))
    for wire, passed in ((direct.wire, True), (stepped.wire, True), (asked.wire, False)):
        assert (wire.direct_receive is not None) is passed
        assert (wire.direct_send is not None) is passed


def declining(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    return receive, send


def receiving(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    async def receive_through() -> Event:
        return await receive()

    return receive_through, send


def sending(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    async def send_through(event: Event) -> None:
        await send(event)

    return receive, send_through


@pytest.mark.parametrize(
    ("stages", "wrapped"),
    [
        ([declining] * 16, (False, False)),
        ([receiving, *[declining] * 16], (True, False)),
        ([declining, sending, declining], (False, True)),
    ],
)
def test_a_direction_that_all_stages_decline_is_the_wire_itself(
    stages: list[Any], wrapped: tuple[bool, bool]
) -> None:
    connection = ASGIConnection(websocket_scope())
    receive, send = Pipeline(StateValidation(), *stages)(connection, empty_receive, empty_send)
    wire = connection.wire
    for end, own, is_wrapped in zip(
        (receive, send), (wire.receive, wire.send), wrapped, strict=True
    ):
        assert (end != own) is is_wrapped
        assert (getattr(end, "__self__", None) is not wire) is is_wrapped


def test_a_socket_behind_stages_that_decline_calls_the_server_itself(
    runner: asyncio.Runner, serve: Any
) -> None:
    class Socket(WebSocket, pipeline=Pipeline(*[declining] * 16)):
        __slots__ = ()

    socket, server = serve(Socket, CONNECT)
    runner.run(socket.accept())
    assert socket.wire.direct_receive == server.receive
    assert socket.wire.direct_send == server.send


@pytest.mark.parametrize("key", ["text", "bytes"])
@pytest.mark.parametrize("key_after", ["text", "bytes"])
def test_a_step_may_change_the_event_it_was_given(
    runner: asyncio.Runner, serve: Any, key: str, key_after: str
) -> None:
    contents = {"text": "before", "bytes": b"before"}
    after = {"text": "after", "bytes": b"after"}

    def change(event: Event, _: ASGIConnection) -> Event:
        del event[key]
        event[key_after] = after[key_after]
        return event

    class Changing(WebSocket, pipeline=on_receive(change)):
        __slots__ = ()

    message = {"type": "websocket.receive", key: contents[key]}
    socket, _ = serve(Changing, CONNECT, message)
    runner.run(socket.accept())
    call = getattr(socket, f"receive_{key}")
    if key == key_after:
        assert runner.run(call()) == after[key]
    else:
        with pytest.raises(WebSocketException, match="expected"):
            runner.run(call())


async def outcome_of(socket: WebSocket, server: Any, call: Callable[[], Any]) -> Any:
    outcome: Any
    ends: list[str] = []
    socket.exit_stack.callback(lambda: ends.append(socket.connection_state))
    try:
        outcome = await call()
    except Exception as error:  # noqa: BLE001 - what it is, is compared
        outcome = type(error), str(error), type(error.__cause__)
    ending = socket.close_code, socket.close_reason, socket.closed_by
    return outcome, server.sent, socket.traffic, ending, socket.connection_state, ends


@property_of_messages
@given(event=from_server, method=st.sampled_from(METHODS), binary=st.booleans())
def test_it_receives_the_same(
    runner: asyncio.Runner, serve: Any, event: Any, method: str, *, binary: bool
) -> None:
    async def receive(socket: WebSocket, server: Any) -> Any:
        await socket.accept()
        arguments = ["binary"] if binary and method == "json" else []
        return await outcome_of(
            socket, server, lambda: getattr(socket, f"receive_{method}")(*arguments)
        )

    direct, stepped, asked = (runner.run(receive(*made)) for made in all_kinds(serve, event))
    assert direct == stepped == asked


@property_of_messages
@given(
    data=values,
    method=st.sampled_from([*METHODS, "data"]),
    accepted=st.booleans(),
    fault=st.sampled_from(FAULTS),
)
def test_it_sends_the_same(
    runner: asyncio.Runner, serve: Any, data: Any, method: str, fault: Any, *, accepted: bool
) -> None:
    async def send(socket: WebSocket, server: Any) -> Any:
        if accepted:
            await socket.accept()
            server.fault = fault
        return await outcome_of(socket, server, lambda: getattr(socket, f"send_{method}")(data))

    direct, stepped, asked = (runner.run(send(*made)) for made in all_kinds(serve))
    assert direct == stepped == asked
