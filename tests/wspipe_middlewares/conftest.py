"""A structlog logger that keeps its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog

if TYPE_CHECKING:
    from structlog.typing import EventDict


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """The lines that `logger` kept, each with its level."""
    return []


@pytest.fixture
def logger(lines: list[dict[str, Any]]) -> Any:
    """A logger that keeps every line, with what is bound in the context."""

    def keep(_: Any, level: str, event: EventDict) -> EventDict:
        lines.append({**event, "level": level})
        raise structlog.DropEvent

    return structlog.wrap_logger(
        None,
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
