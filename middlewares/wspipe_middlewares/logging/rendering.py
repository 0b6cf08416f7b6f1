"""Rendering lines whatever is in them: a log must not fail on what it is given."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable

    from structlog.typing import WrappedLogger


def dump(line: Any, default: Callable[[Any], Any]) -> bytes:
    """Write a line as JSON, by orjson; a value that has no JSON form by its `repr`.

    Args:
        line: The line.
        default: Handles what orjson does not know.
    """
    try:
        return orjson.dumps(line, default)
    except TypeError:
        return orjson.dumps({as_text(key): _json(value, default) for key, value in line.items()})


def encodable(_logger: WrappedLogger, _method: str, line: Any) -> str:
    """Escape what the standard output cannot encode: a processor for structlog, the last one."""
    encoding = sys.stdout.encoding or "utf-8"
    return str(line).encode(encoding, "backslashreplace").decode(encoding)


def _json(value: Any, default: Callable[[Any], Any]) -> orjson.Fragment:
    try:
        return orjson.Fragment(orjson.dumps(value, default, orjson.OPT_NON_STR_KEYS))
    except TypeError:
        return orjson.Fragment(orjson.dumps(as_text(value)))


def as_text(value: object) -> str:
    """Give text as it is, anything else by its `repr`, fit for UTF-8.

    Args:
        value: Anything at all.
    """
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - also what cannot be shown has its place in the line
        text = f"<{type(value).__name__} that cannot be shown>"
    return text.encode("utf-8", "backslashreplace").decode()
