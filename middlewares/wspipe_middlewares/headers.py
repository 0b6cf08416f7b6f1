"""Reading single request headers: parsed as a whole they would stay with an idle connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wspipe import Scope


def header_values(scope: Scope, name: str) -> list[str]:
    """Give the values of a request header, in their order.

    Args:
        scope: The ASGI scope.
        name: The header's name, in lower case.
    """
    wanted, length = name.encode("latin-1"), len(name)
    return [
        value.decode("latin-1")
        for key, value in scope.get("headers") or ()
        if len(key) == length and key.lower() == wanted
    ]


def header(scope: Scope, name: str) -> str | None:
    """Give the first value of a request header, `None` where it is not there.

    Args:
        scope: The ASGI scope.
        name: The header's name, in lower case.
    """
    return next(iter(header_values(scope, name)), None)
