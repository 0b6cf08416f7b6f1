"""The web server: uvicorn, which says goodbye before it stops."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from anyio import CancelScope, Event, create_task_group, move_on_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from types import FrameType

    from anyio.abc import TaskGroup

    from wspipe import ASGIApp


_TICK: Final = 0.1
"""Seconds between two looks for a second signal; those of uvicorn's own are as long."""

_log = logging.getLogger("uvicorn.error")


class ListenError(Exception):
    """The server cannot listen there; the message says why."""


def listen(host: str, port: int, backlog: int | None = None) -> socket.socket:
    """Open a listening socket.

    Args:
        host: A name or an address, of IPv4 or IPv6.
        port: The port; 0 takes a free one.
        backlog: How many connections may wait; by default a few.

    Raises:
        ListenError: The port is in use or not ours to take, or there is no such host.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family, backlog=backlog)
    except (socket.gaierror, UnicodeError):
        raise ListenError(f"there is no host {host!r}; choose another --host") from None
    except OSError as error:
        why = os.strerror(error.errno or 0).lower()
        raise ListenError(
            f"cannot listen on {host} port {port}: {why}; choose another --port or --host"
        ) from None


class Server(uvicorn.Server):
    """A uvicorn server that a signal stops without an error.

    Args:
        app: The application.
        started: Called once connections are welcome.
        stopping: Awaited when no new ones are taken any more, before uvicorn ends those that are
            still open; cancelled by a second signal.
        beside: Runs from when connections are welcome until the server stops.
        **options: For `uvicorn.Config`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        started: Callable[[], None],
        stopping: Callable[[], Awaitable[object]],
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(uvicorn.Config(app, log_config=None, **options))
        _log.addFilter(_is_right)
        self._announce = started
        self._say_goodbye = stopping
        self._serving: CancelScope  # made where there is an event loop
        self._tasks: TaskGroup  # likewise
        self._beside = beside

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal comes."""
        self._serving = CancelScope()
        async with create_task_group() as self._tasks:
            await super().serve(sockets)

    async def _run(self, beside: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with self._serving:
            await beside()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell; where that fails, log why, and leave `started` false."""
        try:
            await super().startup(sockets)
        except SystemExit:  # some versions of uvicorn leave by it, and have logged why
            self.should_exit = True
        except OSError as error:
            where = self.config.uds or f"file descriptor {self.config.fd}"
            why = os.strerror(error.errno or 0).lower()
            _log.error("cannot listen on %s: %s", where, why)
            await self.lifespan.shutdown()
            self.should_exit = True
        if self.started:
            self._announce()
            if self._beside is not None:
                self._tasks.start_soon(self._run, self._beside)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye, then stop."""
        self._serving.cancel()
        for server in self.servers:
            server.close()
        said = Event()

        async def say_goodbye() -> None:
            await self._say_goodbye()
            said.set()

        async with create_task_group() as tasks:
            tasks.start_soon(say_goodbye)
            # The second signal sets a flag in a handler, where nothing but a look at it is safe.
            while not said.is_set() and not self.force_exit:
                with move_on_after(_TICK):
                    await said.wait()
            tasks.cancel_scope.cancel()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop on a signal, at once on a second one; uvicorn's own method would raise it again."""
        self.force_exit: bool = self.should_exit
        self.should_exit: bool = True


def _is_right(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of every denial response by mistake (its issue 3138)."""
    return record.msg != "ASGI callable returned without completing handshake."
