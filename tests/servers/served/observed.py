"""The application of conversations under observation: `/whole/echo`, `/default/echo` and so on."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import context
from served import handlers, plain
from served.app import control
from served.observation import Turnstile, record_of
from served.telemetry import Telemetry

from wspipe import ASGIConnection, Composable, Pipeline, PipelineMiddleware, websocket_app
from wspipe_middlewares.names import ROUTE_KEY

if TYPE_CHECKING:
    from wspipe import ASGIApp, Event, Receive, Scope, Send, WebSocket

STYLES: dict[str, dict[str, Any]] = {
    "whole": {"span": "connection", "messages": "all"},
    "default": {"span": "handshake", "messages": "off"},
    "logged": {"span": "connection", "messages": "all"},
    "unrouted": {"span": "connection", "messages": "all"},
}


@dataclass(frozen=True, slots=True)
class Limit(Composable):
    """Close at any message: it is one too many."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Wrap the receive."""

        async def receive_and_close() -> Event:
            event = await receive()
            if event["type"] == "websocket.receive":
                await connection.close(1008, "too much", by=self)
                return await receive()
            return event

        return receive_and_close, send


@dataclass(frozen=True, slots=True)
class Clock(Composable):
    """Note when events pass, on one side of the observers."""

    times: list[tuple[str, int]]

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap both."""

        async def receive_and_note() -> Event:
            self.times.append(("receive", time_ns()))
            event = await receive()
            self.times.append((event["type"], time_ns()))
            return event

        async def send_and_note(event: Event) -> None:
            self.times.append((event["type"], time_ns()))
            await send(event)
            self.times.append(("sent", time_ns()))

        return receive_and_note, send_and_note


async def accept_twice(socket: WebSocket) -> None:
    """Break the specification at the first message."""
    await socket.receive_text()
    await socket.send({"type": "websocket.accept"})


async def welcome(socket: WebSocket) -> None:
    """Send first; then answer a message when the test says so, and wait for the next."""
    await socket.send_text("welcome")
    text = await socket.receive_text()
    await socket.send_text("at work")
    await record_of(socket.scope).may_go_on.wait()
    await socket.send_text(text)
    await socket.receive()


async def annoy_opentelemetry(socket: WebSocket) -> None:
    """Do what it complains of."""
    token = context.attach(context.get_current())
    context.detach(token)
    context.detach(token)
    await socket.receive()


async def leave(_: Scope, receive: Receive, send: Send) -> None:
    """Return at the first message, without a close."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


async def ignore(_: Scope, receive: Receive, __: Send) -> None:
    """Return without an answer to the handshake."""
    await receive()


def conversation(name: str, pipeline: Pipeline) -> ASGIApp:
    """Give a conversation behind a pipeline."""
    if name in PLAIN:
        return PipelineMiddleware(PLAIN[name], pipeline=pipeline)
    handler, *inner = HANDLERS[name]
    return websocket_app(handler, pipeline=Pipeline(pipeline, *inner))


HANDLERS: dict[str, tuple[Any, ...]] = {
    **{name: (app.handler,) for name, app in handlers.conversations.items()},
    "rejected": (handlers.rejected.handler, Turnstile()),
    "limit": (handlers.echo.handler, Limit()),
    "accept_twice": (accept_twice,),
    "welcome": (welcome,),
    "annoy_opentelemetry": (annoy_opentelemetry,),
}
PLAIN: dict[str, ASGIApp] = {
    "plain_fail": plain.fail,
    "plain_fail_early": plain.fail_early,
    "plain_leave": leave,
    "plain_ignore": ignore,
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve a conversation with observers of its own, and report when all is over."""
    if scope["type"] == "lifespan" or scope["path"] == "/control":
        await control(scope, receive, send)
        return
    _, style, name = scope["path"].split("/")
    telemetry, record = Telemetry(**STYLES[style]), record_of(scope)
    if style != "unrouted":
        scope[ROUTE_KEY] = f"/{style}/{{conversation}}"
    outside, inside = Clock([]), Clock([])
    pipeline = outside | telemetry.pipeline | inside
    try:
        await conversation(name, pipeline)(scope, receive, send)
    finally:
        record.report = telemetry.report() | {"outside": outside.times, "inside": inside.times}
        record.ended.set()
        if style == "logged":
            # For a test that stops the server, and so cannot ask it.
            sys.stderr.write(f"report {json.dumps(record.report)}\n")
