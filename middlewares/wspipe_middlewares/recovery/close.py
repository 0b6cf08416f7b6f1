"""How to end a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wspipe_middlewares.options import check_close_code, check_reason, refusal


@dataclass(frozen=True, slots=True)
class Close:
    """An end that `Recovery` makes.

    Args:
        code: The close code.
        reason: The close reason, at most 123 bytes in UTF-8 (RFC 6455 section 5.5).
        status: The HTTP status of the denial, 400 to 599, where the connection is not accepted yet;
            left out, the `status` of the `Recovery`.

    Raises:
        ImproperlyConfiguredException: One of them makes no sense.
    """

    code: int
    reason: str = ""
    status: int | None = None

    def __post_init__(self) -> None:
        """Refuse what could not be sent."""
        check_close_code("code", self.code)
        check_reason("reason", self.reason)
        if self.status is not None:
            check_status("status", self.status)


def check_status(option: str, given: Any) -> None:
    """Refuse what is no HTTP status of an error (RFC 9110 sections 15.5 and 15.6).

    Raises:
        ImproperlyConfiguredException: It is none.
    """
    if type(given) is not int or not 400 <= given <= 599:
        raise refusal(option, given, "an HTTP status of an error, 400 to 599")


def close_of(option: str, given: Any) -> Close:
    """Give the end that an option says, where a code alone will do.

    Raises:
        ImproperlyConfiguredException: It says none.
    """
    if isinstance(given, Close):
        return given
    check_close_code(option, given)
    return Close(given)
