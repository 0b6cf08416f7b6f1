"""Who the user of a connection is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wspipe import ImproperlyConfiguredException

if TYPE_CHECKING:
    from wspipe import Scope


def user_identity(scope: Scope, asking: str, otherwise: str) -> str | None:
    """Tell who the user in `scope["user"]` is, `None` where nobody is logged in.

    Args:
        scope: The ASGI scope.
        asking: Who asks, for the error.
        otherwise: What to do where there are no users, for the error.

    Raises:
        ImproperlyConfiguredException: Nothing has set the user, or nothing identifies it.
    """
    user: object = scope.get("user")
    if user is None:
        raise ImproperlyConfiguredException(
            detail=f"{asking} finds no user: nothing has set scope['user']; put the "
            f"authentication before it, or {otherwise}"
        )
    if isinstance(user, str | int):
        return str(user)
    if getattr(user, "is_authenticated", True) is False:
        return None
    # Of Django's and most ORMs' users; of Starlette's; of Starlette's `SimpleUser`.
    for name in ("pk", "id", "identity", "display_name"):
        try:
            value = getattr(user, name, None)
        except NotImplementedError:
            continue
        if value is not None and not callable(value):
            return str(value)
    raise ImproperlyConfiguredException(
        detail=f"{asking} cannot tell who {type(user).__name__} is: it has none of pk, id, "
        f"identity and display_name; {otherwise}"
    )
