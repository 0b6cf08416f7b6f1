"""The middlewares that come with wspipe. Each uses only the public names of the engine."""

from wspipe_middlewares.drain import Drain
from wspipe_middlewares.logging import Logging
from wspipe_middlewares.metrics import Metrics
from wspipe_middlewares.rate_limit import RateLimit
from wspipe_middlewares.tracing import Tracing

__all__ = ["Drain", "Logging", "Metrics", "RateLimit", "Tracing"]
