"""The middlewares that come with wspipe. Each uses only the public names of the engine."""

from wspipe_middlewares.logging import Logging

__all__ = ["Logging"]
