"""Where a message is handled: whether what receives it is the application's own task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contextvars import Token

_HOME: Final[ContextVar[None]] = ContextVar("wspipe_middlewares.home")


class Home:
    """The context (PEP 567) in which a connection began, which is that of the application's task.

    What is set in it is seen by the handler; what a task that only receives (in Quart, in Channels,
    in `asyncio.wait_for` before Python 3.12) sets in its own is not. Contexts have no identity to
    compare, but a token can only be reset in the one where it was made.
    """

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token: Token[None] = _HOME.set(None)

    def is_here(self) -> bool:
        """Tell whether the caller runs in it."""
        try:
            _HOME.reset(self._token)
        except ValueError:
            return False
        self._token = _HOME.set(None)
        return True
