"""Closing from a task of a middleware's own, where nobody could catch what goes wrong."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from wspipe import ASGIConnection

LINGER: Final = 5.0
"""Seconds that a server has to tell the application of the end, after a close."""

_logger = logging.getLogger("wspipe")


async def close(
    connection: ASGIConnection, code: int, reason: str, by: object, *, linger: float = LINGER
) -> None:
    """Close a connection, also for an application that waits for a client that has vanished.

    Where the server refuses that, it is logged. The stage has called
    `connection.allow_interruption`.

    Args:
        connection: The connection.
        code: The close code.
        reason: The close reason.
        by: The middleware that closes.
        linger: Seconds that the connection has to end after the close, until its receive is ended.
    """
    try:
        await connection.close(code, reason, by=by, linger=linger)
    except Exception as error:  # noqa: BLE001 - the application is out already
        _logger.warning("a server took no close: %r", error)
