"""Testing without a server, for those who write applications and for those who write middlewares.

A client in memory drives any ASGI application, a fake clock makes waiting take no time, strategies
for hypothesis generate conversations, and `check_middleware` runs a middleware through them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from wspipe.exceptions import ImproperlyConfiguredException
from wspipe.testing.check import MiddlewareFault, check_middleware
from wspipe.testing.client import Client, ConnectionDenied, connect, websocket_scope
from wspipe.testing.clock import FakeClock
from wspipe.testing.conversation import Conversation, Messages, Step
from wspipe.testing.loop import NeverEnds

if TYPE_CHECKING:
    from wspipe.testing.strategies import conversations, illegal_conversations

__all__ = [
    "Client",
    "ConnectionDenied",
    "Conversation",
    "FakeClock",
    "Messages",
    "MiddlewareFault",
    "NeverEnds",
    "Step",
    "check_middleware",
    "connect",
    "conversations",
    "illegal_conversations",
    "websocket_scope",
]

# These need hypothesis. Whoever runs a server with wspipe need not have it.
_WITH_HYPOTHESIS = {
    "conversations": "wspipe.testing.strategies",
    "illegal_conversations": "wspipe.testing.strategies",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_HYPOTHESIS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(_WITH_HYPOTHESIS[name]), name)
    except ModuleNotFoundError as error:
        raise ImproperlyConfiguredException(
            detail=f"wspipe.testing.{name} needs hypothesis: pip install 'wspipe[testing]'"
        ) from error
    globals()[name] = value
    return value
