"""Checks that the options of several middlewares share."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import iscoroutinefunction, signature
from math import inf
from typing import Any

from wspipe import ImproperlyConfiguredException, is_sendable_code, truncate_reason


def refusal(option: str, given: object, right: str) -> ImproperlyConfiguredException:
    """Make the error that refuses an option: what was given, and what would be right."""
    return ImproperlyConfiguredException(detail=f"{option}={given!r} must be {right}")


def check_seconds(option: str, given: Any, *, least: float = 0, most: float | None = None) -> None:
    """Refuse what is no number of seconds in the range.

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if not number or not least <= given or not (most is None or given <= most):
        span = f", {least} or more" if most is None else f" from {least} to {most}"
        raise refusal(option, given, f"a number of seconds{span}")


def check_limit(option: str, given: Any) -> float:
    """Refuse what is neither `None` nor a limit in seconds, of a tenth or more.

    Returns:
        The limit, infinity for none.

    Raises:
        ImproperlyConfiguredException: It is neither.
    """
    if given is None:
        return inf
    check_seconds(option, given, least=0.1)
    return float(given)


def check_count(option: str, given: Any, *, least: int = 1, most: int | None = None) -> None:
    """Refuse what is no whole number in the range.

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    if type(given) is not int or given < least or not (most is None or given <= most):
        span = f", {least} or more" if most is None else f" from {least} to {most}"
        raise refusal(option, given, f"a whole number{span}")


def check_close_code(option: str, given: Any) -> None:
    """Refuse a close code that may not be sent.

    Raises:
        ImproperlyConfiguredException: It may not.
    """
    if not is_sendable_code(given):
        right = "a code that may be sent: 1000 to 1014 without 1004, 1005, 1006, or 3000 to 4999"
        raise refusal(option, given, right)


def check_reason(option: str, given: Any) -> None:
    """Refuse a close reason that does not fit into the close frame (RFC 6455 section 5.5).

    Raises:
        ImproperlyConfiguredException: It does not, or is no text.
    """
    if not isinstance(given, str) or truncate_reason(given) != given:
        raise refusal(option, given, "a text of at most 123 bytes in UTF-8")


def check_flag(option: str, given: Any) -> None:
    """Refuse what is neither true nor false.

    Raises:
        ImproperlyConfiguredException: It is neither.
    """
    if not isinstance(given, bool):
        raise refusal(option, given, "True or False")


def check_mapping(option: str, given: Any) -> None:
    """Refuse what is no mapping.

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    if not isinstance(given, Mapping):
        raise refusal(option, given, "a mapping")


def check_choice(option: str, given: Any, known: tuple[str, ...]) -> None:
    """Refuse what is none of the names.

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    if not isinstance(given, str) or given not in known:
        raise refusal(option, given, f"one of {', '.join(map(repr, known))}")


def check_function(
    option: str, given: Any, right: str, parameters: int, *, may_be_async: bool = False
) -> None:
    """Refuse what is no function that can be called with so many arguments.

    Args:
        option: The option's name.
        given: What was given.
        right: What would be right, as a text.
        parameters: How many arguments it is called with.
        may_be_async: Whether an async function is right too.

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    if not callable(given):
        raise refusal(option, given, right)
    called = getattr(given, "__call__", None)  # noqa: B004 - an object's may be async
    if not may_be_async and (iscoroutinefunction(given) or iscoroutinefunction(called)):
        raise refusal(option, given, f"a plain function, not an async one: {right}")
    try:
        signature(given).bind(*[None] * parameters)
    except (TypeError, ValueError) as error:
        raise refusal(option, given, f"{right}: {error}") from None
