"""Asking again whether a connection is still authenticated."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from anyio import fail_after, get_cancelled_exc_class

from wspipe import ASGIConnection
from wspipe_middlewares.background import is_being_cancelled

if TYPE_CHECKING:
    from wspipe_middlewares.auth_deadline import AuthDeadline

Recheck: TypeAlias = Callable[[ASGIConnection], bool | Awaitable[bool]]
"""Tells whether a connection is still authenticated."""

_logger = logging.getLogger("wspipe")


async def ask(recheck: Recheck, connection: ASGIConnection, config: AuthDeadline) -> bool:
    """Give the answer of a function, sync or async; where it fails, the one that is configured.

    Args:
        recheck: The function.
        connection: What it is asked about.
        config: How long it may take, and what a failure means.
    """
    try:
        with fail_after(config.every):
            answer = recheck(connection)
            if inspect.isawaitable(answer):
                answer = await answer
            return bool(answer)
    except BaseException as error:
        cancelled = isinstance(error, get_cancelled_exc_class()) and is_being_cancelled()
        if cancelled or isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        _logger.warning("a recheck failed (%s): %r", config.on_recheck_error, error)
        return config.on_recheck_error == "keep"
