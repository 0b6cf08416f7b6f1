"""Objects that a file names: imported, or made of a class and options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast, get_origin

from wspipe.config.environment import Secret, secrets_in, told_safely
from wspipe.config.problems import shown
from wspipe.config.references import UnresolvedReference, is_reference, resolve

if TYPE_CHECKING:
    from wspipe.config.positions import KeyPath

USE: Final = "use"
"""The key of a table that names what the rest of the table is for."""
_ADDRESS: Final = re.compile(" at 0x[0-9a-fA-F]+")


class UnfitValue(Exception):
    """An option does not take a value.

    Args:
        message: What was given, and what it takes.
        allowed: The texts that it takes, where they are a few.
        nearest: The one that is most like the given one.

    Attributes:
        path: Where within the value the fault is.
    """

    path: KeyPath = ()

    def __init__(
        self, message: str, allowed: tuple[str, ...] = (), nearest: str | None = None
    ) -> None:
        super().__init__(message)
        self.allowed = allowed
        self.nearest = nearest


def object_of(value: Any, kinds: tuple[Any, ...], allowed: str) -> Any:
    """Give the object that a value names, `None` where it does not name one.

    Args:
        value: `"module:attribute"`, or a table that names a class as `use` and has the arguments.
        kinds: The types of which it may be.
        allowed: What the option takes, in words.

    Raises:
        UnfitValue: There is no such object, or it is of another type.
    """
    given: Any = value
    # What comes from the environment is not run, whatever it looks like.
    if isinstance(value, str) and not isinstance(value, Secret) and is_reference(value):
        named = _resolved(value)
    elif isinstance(value, dict) and USE in value:
        named = _made(cast("dict[str, Any]", given))
    else:
        return None
    if any(_fits(named, kind) for kind in kinds):
        return named
    advice = ""
    if isinstance(named, type):
        advice = f"; to make one of the class, write {{ {USE} = {shown(given)} }}"
    raise UnfitValue(f"must be {allowed}, not {shown(given)}, which is {told_of(named)}{advice}")


def told_of(named: Any) -> str:
    """Tell what an object is, without the address that Python adds."""
    return _ADDRESS.sub("", repr(named))


def _resolved(reference: str) -> Any:
    try:
        return resolve(reference)
    except UnresolvedReference as error:
        raise UnfitValue(str(error)) from error


def _made(table: dict[str, Any]) -> Any:
    reference, options = table[USE], {key: each for key, each in table.items() if key != USE}
    if isinstance(reference, Secret) or not (
        isinstance(reference, str) and is_reference(reference)
    ):
        raise UnfitValue(f'has {USE} = {shown(reference)}, which must be a "module:attribute"')
    made = _resolved(reference)
    if not isinstance(made, type):
        raise UnfitValue(f"has {USE} = {shown(reference)}, which is no class to make one of")
    try:
        return made(**options)
    # A class may do anything when it is called, such as to exit.
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is told
        why = told_safely(error, secrets_in(options))
        raise UnfitValue(f"{shown(reference)} cannot be made: {why}") from None


def _fits(named: Any, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    if origin is Callable:
        return callable(named)
    try:
        # Of a class, one might find the methods that a protocol asks of its instances.
        return isinstance(named, origin) and not isinstance(named, type)
    except TypeError:  # a protocol that says nothing at run time, or Any
        return origin is Any or not isinstance(named, type)
