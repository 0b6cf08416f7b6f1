"""Arrays and tables, made part by part, so that a fault tells where it is."""

from __future__ import annotations

from collections.abc import MutableSet
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Protocol,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import inspect

from wspipe.config.environment import secrets_in, told_safely
from wspipe.config.objects import UnfitValue
from wspipe.config.problems import listed, nearest_to, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

_ARRAYS: Final[dict[Any, Any]] = {
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    AbstractSet: frozenset,
    MutableSet: set,
}
"""What is made of an array; a list of any other."""


class Converter(Protocol):
    """What makes a part of a value."""

    def convert(self, value: Any) -> Any:
        """Make of a file's value what the type says."""
        ...

    def convert_key(self, key: str) -> Any:
        """Make of a table's key what the type says."""
        ...


def container(
    member: Any, value: Any, converter_of: Callable[[Any], Converter]
) -> tuple[Any] | None:
    """Make an array or a table.

    Args:
        member: A type.
        value: A file's value.
        converter_of: Gives what makes a value of a type.

    Returns:
        What was made; `None` where the type or the value is no such, or the type says nothing of
        the parts.

    Raises:
        UnfitValue: A part does not fit.
    """
    if get_origin(member) is Annotated:
        return None  # it says something of the whole
    if isinstance(value, list):
        items = cast("list[object]", value)
        kinds = _kinds_of(member, len(items))
        return None if kinds is None else (_array(member, map(converter_of, kinds), items),)
    if isinstance(value, dict):
        return _table(member, cast("dict[str, Any]", value), converter_of)
    return None


def _kinds_of(member: Any, count: int) -> list[Any] | None:
    """Give the types of so many items of an array, `None` where it says nothing of them."""
    arguments, info = get_args(member), inspect.type_info(member)
    if isinstance(info, inspect.TupleType) and len(arguments) == count:
        return list(arguments)
    return (
        [arguments[0]] * count if isinstance(info, inspect.CollectionType) and arguments else None
    )


def _array(member: Any, converters: Iterable[Converter], value: list[object]) -> Any:
    items: list[Any] = []
    for i, (each, converter) in enumerate(zip(value, converters, strict=True)):
        with _within(i):
            items.append(converter.convert(each))
    return _ARRAYS.get(get_origin(member) or member, list)(items)


def _table(
    member: Any, value: dict[str, Any], converter_of: Callable[[Any], Converter]
) -> tuple[Any] | None:
    info = inspect.type_info(member)
    if isinstance(info, inspect.DictType) and get_args(member):
        keys, values = map(converter_of, get_args(member))
        made: dict[Any, Any] = {}
        for key, each in value.items():
            with _within(key):
                made[keys.convert_key(key)] = values.convert(each)
        return (made,)
    if is_dataclass(member):
        return (_dataclass(cast("type[Any]", member), value, converter_of),)
    return None


def _dataclass(
    made: type[Any], value: dict[str, Any], converter_of: Callable[[Any], Converter]
) -> Any:
    hints = get_type_hints(made, include_extras=True)
    kinds = {each.name: converter_of(hints[each.name]) for each in fields(made) if each.init}
    values: dict[str, Any] = {}
    for key, each in value.items():
        with _within(key):
            if key not in kinds:
                nearest = nearest_to(key, kinds)
                advice = f" did you mean {shown(nearest)}?" if nearest else ""
                known = listed(map(shown, kinds)) if kinds else "none"
                raise UnfitValue(
                    f"is no key here;{advice} there are {known}", tuple(kinds), nearest
                )
            values[key] = kinds[key].convert(each)
    try:
        return made(**values)
    # A class may do anything when it is called, such as to exit.
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is told
        why = told_safely(error, secrets_in(value))
        raise UnfitValue(f"cannot be used: {why}") from None


@contextmanager
def _within(part: str | int) -> Generator[None]:
    """Have a fault tell where it is."""
    try:
        yield
    except UnfitValue as error:
        error.path = (part, *error.path)
        raise
