"""Sockets in front of a server made of lists, and the ways to wrap a socket."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import anyio
import pytest

from wspipe import ASGIConnection, WebSocket, on_receive, on_send
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Receive, Send

Made: TypeAlias = "tuple[WebSocket, Server]"


class Server:
    """A server that gives what is in `events` and keeps what it takes in `sent`."""

    def __init__(self, *events: Any) -> None:
        self.events = deque(events)
        self.sent: list[Any] = []
        self.fault: Exception | None = None

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        event: Event = self.events.popleft()
        return event

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        self.sent.append(event)


def _pass_on(event: Event, _: ASGIConnection) -> Event:
    return event


def _around(receive: Receive) -> Receive:
    async def receive_around() -> Event:
        return await receive()

    return receive_around


def _before(send: Send) -> Send:
    async def send_before(event: Event) -> None:
        await send(event)

    return send_before


class Intercepted(WebSocket, pipeline=on_receive(_pass_on) | on_send(_pass_on)):
    """Passes everything through stages."""


class Overridden(WebSocket):
    """Wraps what its base class assembled."""

    def receive_wrapper(self, receive: Receive) -> Receive:
        return _around(super().receive_wrapper(receive))

    def send_wrapper(self, send: Send) -> Send:
        return _before(super().send_wrapper(send))


def replaced(*args: Any) -> WebSocket:
    """Make a socket whose `receive` and `send` somebody replaced."""
    socket: WebSocket = WebSocket(*args)
    socket.receive, socket.send = _around(socket.receive), _before(socket.send)
    return socket


@pytest.fixture(scope="session")
def serve() -> Callable[..., Made]:
    """Give what makes a socket of a class, with a server that has the given events."""

    def make(kind: Callable[..., WebSocket], *events: Any, **scope: Any) -> Made:
        server = Server(*events)
        return kind({**websocket_scope(), **scope}, server.receive, server.send), server

    return make


@pytest.fixture(params=[WebSocket, Intercepted, Overridden, replaced], ids=lambda it: it.__name__)
def make(request: pytest.FixtureRequest, serve: Callable[..., Made]) -> Callable[..., Made]:
    """Give the same for each way in which a socket can be wrapped: another path in the code."""
    return partial(serve, request.param)
