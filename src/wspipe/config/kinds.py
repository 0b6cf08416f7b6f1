"""The kind of value that an option takes, by its annotation: how a file says it."""

from __future__ import annotations

import types
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from math import isfinite
from pathlib import PurePath
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Final,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec
from msgspec import inspect

from wspipe.config.environment import Secret, secrets_in, told_safely
from wspipe.config.objects import UnfitValue, object_of
from wspipe.config.problems import listed, nearest_to, shown
from wspipe.config.schemas import NAMED, any_of, schemas_of
from wspipe.config.wording import object_words, words

if TYPE_CHECKING:
    from collections.abc import Generator

_ARRAYS: Final[dict[Any, Any]] = {tuple: tuple, set: set, frozenset: frozenset}
"""What is made of an array; a list of any other."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What an option takes.

    Args:
        data: The type of what a file can say directly, `None` where there is no such.
        objects: The types of what it can only name, as `"module:attribute"`.
        optional: Whether it may be nothing.
    """

    data: Any
    objects: tuple[Any, ...]
    optional: bool

    @classmethod
    def of(cls, annotation: Any) -> Kind:
        """Read an annotation.

        Raises:
            TypeError: msgspec does not know such a type.
        """
        members = _members(annotation)
        objects = tuple(each for each in members if _is_object(each))
        data = tuple(each for each in members if each not in {None, type(None), *objects})
        kind = cls(
            # The subscript makes a union of types that are known at run time only.
            data=Union[data] if data else None,  # noqa: UP007
            objects=objects,
            optional=len(data) + len(objects) < len(members),
        )
        if data:
            inspect.type_info(kind.data)
        return kind

    def convert(self, value: Any) -> Any:
        """Make of a file's value what the option is given.

        Args:
            value: The value, with what comes from the environment put in.

        Raises:
            UnfitValue: The option does not take it.
        """
        if value is None and self.optional:
            return None
        if self.objects and value not in self.choices:
            named = object_of(value, self.objects, str(self))
            if named is not None:
                return named
        if self.data is None:
            raise self._unfit(value)
        for member in _members(self.data):
            if isinstance(value, list) and (item := _item_of(member)) is not None:
                return _array(member, item, value)
            if isinstance(value, dict) and (made := _table(member, cast("dict[str, Any]", value))):
                return made[0]
        # The environment has nothing but texts, so there "5" may be a number.
        return self._scalar(value, strict=not isinstance(value, Secret))

    def convert_key(self, key: str) -> Any:
        """Make of a table's key, which is always a text, what the type says.

        Args:
            key: The key.

        Raises:
            UnfitValue: It cannot be.
        """
        return self._scalar(key, strict=False)

    def _scalar(self, value: Any, *, strict: bool) -> Any:
        if isinstance(value, float) and not isfinite(value):
            raise self._unfit(value)
        try:
            return msgspec.convert(
                value,
                self.data,
                strict=strict,
                str_keys=True,
                dec_hook=_convert_object,
            )
        except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError):
            raise self._unfit(value) from None

    def _unfit(self, given: Any) -> UnfitValue:
        if isinstance(given, Secret):
            return UnfitValue(f"must be {self}, which {shown(given)} is not", self.choices)
        nearest = nearest_to(given, self.choices) if isinstance(given, str) else None
        advice = f"; did you mean {shown(nearest)}?" if nearest else ""
        message = f"must be {self}, not {shown(given)}{advice}"
        return UnfitValue(message, self.choices, nearest)

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it takes, where they are a few."""
        values: list[Any] = []
        for info in self._infos:
            if isinstance(info, inspect.LiteralType):
                values += info.values
            elif isinstance(info, inspect.EnumType):
                values += [each.value for each in info.cls]
        return tuple(value for value in values if isinstance(value, str))

    @property
    def _infos(self) -> tuple[inspect.Type, ...]:
        if self.data is None:
            return ()
        info = inspect.type_info(self.data)
        return info.types if isinstance(info, inspect.UnionType) else (info,)

    def __str__(self) -> str:
        """Read as what a person may give."""
        said = [] if self.data is None else [words(inspect.type_info(self.data))]
        if self.objects:
            said.append(f'{listed(map(object_words, self.objects), "or")} as "module:attribute"')
        return listed(said, "or")

    def schema(self) -> dict[str, Any]:
        """Give the JSON Schema of it."""
        some = [] if self.data is None else schemas_of(self.data)
        if self.objects:
            some += NAMED
        if self.optional:
            some.append({"type": "null"})
        return any_of(some)


def _item_of(member: Any) -> Any:
    """Give the type of an array's items, `None` where they have not the same."""
    arguments = get_args(member)
    if not isinstance(inspect.type_info(member), inspect.CollectionType) or not arguments:
        return None
    return arguments[0]


def _array(member: Any, item: Any, value: Any) -> Any:
    kind, items = Kind.of(item), list[Any]()
    for i, each in enumerate(value):
        with _within(i):
            items.append(kind.convert(each))
    return _ARRAYS.get(get_origin(member) or member, list)(items)


def _table(member: Any, value: dict[str, Any]) -> tuple[Any] | None:
    """Make a table of its parts; `None` where the type says nothing of them."""
    info = inspect.type_info(member)
    if isinstance(info, inspect.DictType) and get_args(member):
        key_kind, kind = map(Kind.of, get_args(member))
        made: dict[Any, Any] = {}
        for key, each in value.items():
            with _within(key):
                made[key_kind.convert_key(key)] = kind.convert(each)
        return (made,)
    if is_dataclass(member):
        return (_dataclass(cast("type[Any]", member), value),)
    return None


def _dataclass(made: type[Any], value: dict[str, Any]) -> Any:
    hints = get_type_hints(made, include_extras=True)
    kinds = {each.name: Kind.of(hints[each.name]) for each in fields(made) if each.init}
    values: dict[str, Any] = {}
    for key, each in value.items():
        with _within(key):
            if key not in kinds:
                nearest = nearest_to(key, kinds)
                advice = f"; did you mean {shown(nearest)}?" if nearest else ""
                known = listed(map(shown, kinds)) or "none"
                raise UnfitValue(
                    f"is no key here{advice}; there are {known}", tuple(kinds), nearest
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


def _members(annotation: Any) -> tuple[Any, ...]:
    # Since Python 3.12, what a `type` statement makes.
    while type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if get_origin(annotation) is Final:
        return _members(*get_args(annotation))
    if get_origin(annotation) is Annotated and not _is_known(annotation):
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(inner for each in get_args(annotation) for inner in _members(each))
    return (annotation,)


def _is_known(annotation: Any) -> bool:
    """Tell whether msgspec has more to say of it than that it is a class."""
    try:
        return not isinstance(inspect.type_info(annotation), inspect.CustomType | inspect.AnyType)
    except TypeError:
        return False


def _is_object(annotation: Any) -> bool:
    """Tell whether a file can only name it."""
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return False
    return isinstance(inspect.type_info(annotation), inspect.CustomType | inspect.AnyType)


def _convert_object(kind: type, value: Any) -> Any:
    """Make what msgspec does not know: a path, or an object within what is not gone through."""
    if isinstance(value, str) and issubclass(kind, PurePath):
        return kind(value)
    named = object_of(value, (kind,), f'{object_words(kind)} as "module:attribute"')
    if named is None:
        raise msgspec.ValidationError
    return named
