"""What a type is called, for people who do not write Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Final, get_origin

from msgspec import inspect

from wspipe.config.problems import listed, shown

_SIMPLE: Final[dict[type[inspect.Type], str]] = {
    inspect.StrType: "a text",
    inspect.IntType: "a whole number",
    inspect.FloatType: "a number",
    inspect.BoolType: "true or false",
    inspect.DateTimeType: "a date and time",
    inspect.DataclassType: "a table",
    inspect.TypedDictType: "a table",
    inspect.NamedTupleType: "an array",
    inspect.DateType: "a date",
    inspect.TimeType: "a time",
    inspect.TimeDeltaType: "a duration in seconds",
    inspect.DecimalType: "a number",
    inspect.UUIDType: "a UUID",
    inspect.BytesType: "a text in Base64",
    inspect.ByteArrayType: "a text in Base64",
    inspect.AnyType: "anything",
    inspect.NoneType: "nothing",
}
_BOUNDS: Final = {
    "ge": "from",
    "gt": "above",
    "le": "up to",
    "lt": "below",
    "multiple_of": "that is a multiple of",
    "min_length": "with a length from",
    "max_length": "with a length up to",
    "pattern": "that matches",
}


def words(info: inspect.Type) -> str:  # noqa: PLR0911 - one for each type
    """Say what msgspec knows of a type.

    Args:
        info: What `msgspec.inspect.type_info` gives.
    """
    match info:
        case inspect.UnionType(types=members):
            return listed(map(words, members), "or")
        case inspect.LiteralType(values=values):
            return listed(map(shown, values), "or")
        case inspect.EnumType(cls=enum):
            return listed((shown(each.value) for each in enum), "or")
        case inspect.Metadata(type=inner):
            return words(inner)
        case inspect.TupleType(item_types=items):
            return f"an array of {listed(map(words, items))}"
        case inspect.CollectionType(item_type=item):
            bounds = "".join(f" {bound}" for bound in _bounds(info))
            return f"an array{bounds}, each item of which is {words(item)}"
        case inspect.DictType(key_type=key, value_type=value):
            return f"a table, each key of which is {words(key)} and each value {words(value)}"
        case inspect.CustomType(cls=kind) if issubclass(kind, PurePath):
            return "a path"
        case inspect.CustomType(cls=kind):
            return f'{object_words(kind)} as "module:attribute"'
        case _:
            name = type(info).__name__.removesuffix("Type").lower()
            return " ".join((_SIMPLE.get(type(info), f"a {name}"), *_bounds(info)))


def object_words(kind: Any) -> str:
    """Say what a type is called of which a file can only name an object.

    Args:
        kind: A class, a protocol, a callable's type or `Any`.
    """
    origin = get_origin(kind) or kind
    if origin is Callable:
        return "a function"
    return "an object" if origin is Any else f"a {origin.__name__}"


def _bounds(info: inspect.Type) -> list[str]:
    bounds = ((word, getattr(info, name, None)) for name, word in _BOUNDS.items())
    return [f"{word} {bound}" for word, bound in bounds if bound is not None]
