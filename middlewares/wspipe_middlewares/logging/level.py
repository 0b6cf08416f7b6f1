"""The levels of a log line."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
"""The level of a log line."""

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
"""All levels, from the least."""
