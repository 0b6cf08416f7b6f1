"""How a connection ended, in the words that its log line, its span and its metrics share."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from wspipe import known_code
from wspipe_middlewares.names import RATE_LIMIT_KEY
from wspipe_middlewares.redaction import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe import ASGIConnection, Traffic

VALUE_LIMIT: Final = 256
"""How many characters of a value from outside are shown."""

_TRACEBACK_LINES: Final = 100

UNANSWERED: Final = "unanswered"
"""The error type of a handshake that the server's side left without an answer."""


class Outcome(NamedTuple):
    """What observers tell of a connection that has ended.

    Args:
        status: The HTTP status that answered the handshake; 101 is accepted.
        code: The close code.
        reason: The close reason, escaped and cut.
        closed_by: Who ended it; a middleware by the name of its class.
        error: The application's exception; neither a cancellation nor the news that the
            conversation is over.
        error_type: What is wrong with this end, `None` where nothing is.
        traffic: Messages and bytes.
        limited: What rate limits decided, and how often.
    """

    status: int | None
    code: int | None
    reason: str
    closed_by: str
    error: Exception | None
    error_type: str | None
    traffic: Traffic
    limited: Mapping[str, int]

    @classmethod
    def of(cls, connection: ASGIConnection) -> Outcome:
        """Read the outcome from a connection that has ended."""
        status, ending = connection.handshake_status, connection.ending
        code, by = ending.code, ending.by
        error = _without_cancellations(connection.error)
        return cls(
            status=status,
            code=code,
            reason=printable(ending.reason, VALUE_LIMIT),
            closed_by="unknown" if by is None else name_of(by),
            error=error,
            error_type=_error_type(error, status, code, by),
            traffic=connection.traffic,
            limited=connection.scope.get(RATE_LIMIT_KEY) or {},
        )


def name_of(by: object) -> str:
    """Name who closed: text as it is, fit for a log line; a middleware by its class."""
    return printable(by, VALUE_LIMIT) if isinstance(by, str) else type(by).__name__


def type_of(error: BaseException) -> str:
    """Name an exception's class, with its module unless it is built in."""
    kind = type(error)
    if kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def text_of(error: BaseException) -> str:
    """Give an exception's text, escaped and cut."""
    try:
        return printable(str(error), VALUE_LIMIT)
    except Exception:  # noqa: BLE001 - an observer must not fail where the error cannot be shown
        return "<str() failed>"


def traceback_of(error: BaseException) -> str:
    """Render a traceback here, because the exception may quote the client.

    Each line is escaped, and indented, so that none can pass for a log line.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  {printable(line, VALUE_LIMIT)}" for line in lines[-_TRACEBACK_LINES:])


def _without_cancellations(error: BaseException | None) -> Exception | None:
    if isinstance(error, BaseExceptionGroup):
        # What is no Exception in it is a cancellation, which is no error.
        error, _ = cast("BaseExceptionGroup[BaseException]", error).split(Exception)
    return error if isinstance(error, Exception) else None


def _error_type(
    error: Exception | None, status: int | None, code: int | None, by: object
) -> str | None:
    if error is not None:
        return type_of(error)
    if status is None:
        # A client that leaves while it waits for the answer is nobody's fault.
        left = isinstance(by, str) and by in {"client", "unknown"}
        return None if left else UNANSWERED
    if status != 101:
        return str(status) if status >= 500 else None
    known = known_code(code)
    return None if code is None or (known and known.is_ordinary) else str(code)
