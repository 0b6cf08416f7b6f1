"""The middlewares that come with wspipe. Each uses only the public names of the engine."""

from wspipe_middlewares.auth_deadline import AuthDeadline, authenticated
from wspipe_middlewares.connection_limit import ConnectionLimit
from wspipe_middlewares.drain import Drain
from wspipe_middlewares.logging import Logging
from wspipe_middlewares.message_size_limit import MessageSizeLimit, MessageTooBig
from wspipe_middlewares.metrics import Metrics
from wspipe_middlewares.origin_check import OriginCheck
from wspipe_middlewares.rate_limit import RateLimit
from wspipe_middlewares.recovery import Recovery
from wspipe_middlewares.send_queue import SendQueue
from wspipe_middlewares.timeouts import Timeouts
from wspipe_middlewares.tracing import Tracing

__all__ = [
    "AuthDeadline",
    "ConnectionLimit",
    "Drain",
    "Logging",
    "MessageSizeLimit",
    "MessageTooBig",
    "Metrics",
    "OriginCheck",
    "RateLimit",
    "Recovery",
    "SendQueue",
    "Timeouts",
    "Tracing",
    "authenticated",
]
