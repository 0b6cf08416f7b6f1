"""The options of a middleware are the fields of its frozen dataclass."""

from __future__ import annotations

import sys
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any, Final, get_origin, get_type_hints

from wspipe.config.keys import STAGE_KEYS
from wspipe.config.kinds import Kind


class UnfitClass(Exception):
    """A class cannot be configured; the message says why."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a middleware.

    Args:
        name: The name of the field, which is the key in a file.
        kind: What it takes.
        default: What it is where it is not given; `MISSING` where it must be, `COMPUTED` where it
            is worked out each time.
    """

    name: str
    kind: Kind
    default: Any

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING


def options_of(middleware: Any) -> dict[str, Option]:
    """Give the options of a middleware by their names.

    Args:
        middleware: A frozen dataclass whose instances are middlewares.

    Raises:
        UnfitClass: It is no such class, or a field's type says nothing at run time.
    """
    if not (isinstance(middleware, type) and is_dataclass(middleware) and _is_frozen(middleware)):
        raise UnfitClass("is no frozen dataclass, whose fields would be its options")
    if "__call__" not in dir(middleware):
        raise UnfitClass("is no middleware: it has no __call__(connection, receive, send)")
    given = (each for each in fields(middleware) if each.init and not each.name.startswith("_"))
    return {each.name: _option(middleware, each) for each in given}


def _is_frozen(middleware: type[Any]) -> bool:
    parameters: Any = middleware.__dataclass_params__
    return bool(parameters.frozen)


def _option(middleware: type[Any], of: Field[Any]) -> Option:
    if of.name in STAGE_KEYS:
        raise UnfitClass(
            f"has a field {of.name!r}, which a file could not set: it has another meaning there"
        )
    try:
        kind = Kind.of(_annotation(middleware, of.name))
    except Exception as error:
        raise UnfitClass(
            f"has a field {of.name!r} whose type {of.type!r} means nothing at run time: {error}"
        ) from error
    default = _default(of)
    if default is None:
        kind = replace(kind, optional=True)  # `Any` does not say so
    return Option(of.name, kind, default)


def _annotation(middleware: type[Any], name: str) -> Any:
    """Evaluate one annotation, where it was written: the others may be for type checkers only."""
    owner = next(base for base in middleware.__mro__ if name in vars(base).get(_ANNOTATIONS, {}))
    only = type(owner.__name__, (), {_ANNOTATIONS: {name: vars(owner)[_ANNOTATIONS][name]}})
    names = vars(sys.modules[owner.__module__])
    return get_type_hints(only, names, dict(vars(owner)), include_extras=True)[name]


def _default(of: Field[Any]) -> Any:
    if of.default_factory is MISSING:
        return of.default
    made = get_origin(of.default_factory) or of.default_factory
    # Any other may look at the environment, fail, or give something else each time.
    return made() if made in _EMPTY else COMPUTED


COMPUTED: Final = object()
"""The default of an option that a function works out each time."""
_EMPTY: Final[tuple[Any, ...]] = (dict, frozenset, list, set, tuple)
_ANNOTATIONS = "__annotations__"
