"""The web server: uvicorn, which says goodbye before it stops."""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import FrameType

    from wspipe import ASGIApp


class ListenError(Exception):
    """The server cannot listen there; the message says why."""


def listen(host: str, port: int) -> socket.socket:
    """Open a listening socket.

    Args:
        host: A name or an address, of IPv4 or IPv6.
        port: The port; 0 takes a free one.

    Raises:
        ListenError: The port is in use or not ours to take, or there is no such host.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address, family=family)
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
            still open.
    """

    def __init__(
        self, app: ASGIApp, *, started: Callable[[], None], stopping: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                access_log=False,
                log_config=None,
                log_level="warning",
                timeout_graceful_shutdown=2,
                ws_max_size=64 * 1024,
            )
        )
        logging.getLogger("uvicorn.error").addFilter(_is_right)
        self._announce = started
        self._say_goodbye = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say goodbye, then stop."""
        for server in self.servers:
            server.close()
        await self._say_goodbye()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Stop on a signal, at once on a second one; uvicorn's own method would raise it again."""
        self.force_exit = self.should_exit
        self.should_exit = True


def _is_right(record: logging.LogRecord) -> bool:
    """Leave out what uvicorn says of every denial response by mistake (its issue 3138)."""
    return record.msg != "ASGI callable returned without completing handshake."
