"""The middlewares that come with wspipe, by their names in a configuration."""

from __future__ import annotations

BUILT_IN = [
    "AuthDeadline",
    "ConnectionLimit",
    "Drain",
    "Logging",
    "MessageSizeLimit",
    "Metrics",
    "OriginCheck",
    "RateLimit",
    "Recovery",
    "SendQueue",
    "StateValidation",
    "Timeouts",
    "Tracing",
]
