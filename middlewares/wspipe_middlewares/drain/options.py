"""The options of `Drain`, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wspipe import ImproperlyConfiguredException

if TYPE_CHECKING:
    from wspipe_middlewares.drain import Drain


def check(config: Drain) -> None:
    """Refuse what could not work.

    Raises:
        ImproperlyConfiguredException: An option makes no sense.
    """
    deadline, spacing, reason = _any(config.deadline), _any(config.spacing), _any(config.reason)
    if not _is_number(deadline) or not 0 <= deadline <= 3600:
        raise _refusal("deadline", deadline, "a number of seconds from 0 to 3600")
    if not _is_number(spacing) or not spacing >= 0:
        raise _refusal("spacing", spacing, "a number of seconds, 0 or more")
    if not _is_sendable(config.code):
        right = "a code that may be sent: 1000 to 1014 without 1004, 1005, 1006, or 3000 to 4999"
        raise _refusal("code", config.code, right)
    # RFC 6455 section 5.5: a control frame holds 125 bytes, two of which are the code.
    if not isinstance(reason, str) or len(reason.encode("utf-8", "replace")) > 123:
        raise _refusal("reason", reason, "a text of at most 123 bytes in UTF-8")


def _any(given: Any) -> Any:
    # What a user gave may be of any type.
    return given


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def _is_sendable(code: object) -> bool:
    # RFC 6455 sections 7.4.1 and 7.4.2 and its IANA registry.
    if not isinstance(code, int) or isinstance(code, bool):
        return False
    return (1000 <= code <= 1014 and code not in {1004, 1005, 1006}) or 3000 <= code <= 4999


def _refusal(option: str, given: object, right: str) -> ImproperlyConfiguredException:
    return ImproperlyConfiguredException(detail=f"{option}={given!r} must be {right}")
