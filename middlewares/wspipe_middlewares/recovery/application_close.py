"""The closes that the application sends by itself: mapped, and made to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wspipe import truncate_reason
from wspipe_middlewares.options import refusal
from wspipe_middlewares.recovery.close import Close, close_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe import Event


class CloseTable:
    """What becomes of an application's close, by its code.

    Args:
        closes: Close codes or ends by the code of the application.

    Raises:
        ImproperlyConfiguredException: A key is no number, or a value no end.
    """

    def __init__(self, closes: Mapping[int, int | Close]) -> None:
        self._closes: dict[int, Close] = {}
        for code, given in closes.items():
            if type(code) is not int:
                raise refusal("closes", code, "a close code that the application sends, a number")
            self._closes[code] = close_of(f"closes[{code}]", given)

    def told(self, event: Event) -> Event:
        """Give the close that the client is to have, which is the event where nothing changes."""
        close = self._closes.get(event.get("code", 1000))
        if close is not None:
            return {**event, "code": close.code, "reason": close.reason}
        reason = event.get("reason")
        fitting = truncate_reason(reason) if isinstance(reason, str) else None
        return event if fitting == reason else {**event, "reason": fitting}
