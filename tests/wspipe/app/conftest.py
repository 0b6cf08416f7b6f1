"""One connection of a `websocket_app`, from a server made of lists to its last word."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import ASGIConnection, Pipeline, WebSocketApp, websocket_app
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import Event, Middleware, Receive, Send


class Run:
    """Serves a handler, and watches it from the outermost stage.

    Attributes:
        sent: What the server took: the type of each event, with its code or status.
        seen: What the exit callback read: close code, who closed, error, HTTP status.
        raised: What the server was raised.
        fault: What the server's send raises, once set.
    """

    def __init__(self, *events: Event, denial: bool = True) -> None:
        self.events = deque([{"type": "websocket.connect"}, *events])
        self.scope = websocket_scope(extensions=["websocket.http.response"] if denial else [])
        self.sent: list[str] = []
        self.seen: list[tuple[Any, ...]] = []
        self.raised: BaseException | None = None
        self.fault: Exception | None = None
        self.connection: ASGIConnection = ASGIConnection({})

    async def serve(self, handler: Any, inner: Middleware | None = None) -> Run:
        """Run a handler to its end; in the end all agree on how it went."""
        app = self.app(handler, inner)
        with anyio.fail_after(5):
            try:
                await app(self.scope, self.receive, self.send)
            except BaseException as error:
                self.raised = error
                if not isinstance(error, Exception):
                    raise
            finally:
                assert self.seen == [self.known()], "the callback ran once and read the truth"
        return self

    def app(self, handler: Any, inner: Middleware | None) -> WebSocketApp:
        """Make the application, with the watch around it."""
        return websocket_app(handler, pipeline=Pipeline(self.watch, *([inner] if inner else [])))

    def watch(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Be the outermost stage."""
        self.connection = connection
        connection.exit_stack.callback(lambda: self.seen.append(self.known()))
        return receive, send

    def known(self) -> tuple[Any, ...]:
        """Tell what the connection knows of its end."""
        it = self.connection
        return it.close_code, it.closed_by, it.error, it.handshake_status

    async def receive(self) -> Event:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            await anyio.sleep_forever()
        return self.events.popleft()

    async def send(self, event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if self.fault is not None:
            raise self.fault
        told = event.get("code", event.get("status", ""))
        self.sent.append(f"{event['type'].removeprefix('websocket.')} {told}".rstrip())


@pytest.fixture(scope="session")
def new_run() -> Callable[..., Run]:
    """Give the maker of runs: the events after connect, and whether the server has denials."""
    return Run
