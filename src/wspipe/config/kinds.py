"""The kind of value that an option takes, by its annotation: how a file says it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import PurePath
from typing import Any, Final, Union

import msgspec
from msgspec import inspect

from wspipe.config.annotations import is_object, members_of
from wspipe.config.containers import container
from wspipe.config.environment import Secret
from wspipe.config.objects import UnfitValue, object_of
from wspipe.config.problems import listed, nearest_to, shown
from wspipe.config.schemas import NAMED, any_of, schemas_of
from wspipe.config.wording import object_words, words

NONE: Final = "none"
"""How TOML, which has no null, says nothing."""


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
        members = members_of(annotation)
        objects = tuple(each for each in members if is_object(each))
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
        if self.optional and (value is None or (value == NONE and self._knows_none)):
            return None
        if self.objects and value not in self.choices:
            named = object_of(value, self.objects, str(self))
            if named is not None:
                return named
        if self.data is None:
            raise self._unfit(value)
        for member in members_of(self.data):
            if made := container(member, value, Kind.of):
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
        try:
            made = msgspec.convert(
                value,
                self.data,
                strict=strict,
                str_keys=True,
                dec_hook=_convert_object,
            )
        except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError):
            raise self._unfit(value) from None
        if isinstance(made, float) and not isfinite(made):
            raise self._unfit(value)
        return made

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

    @property
    def _knows_none(self) -> bool:
        """Whether `NONE` says nothing: not where a text may mean something else."""
        texts = (inspect.StrType, inspect.AnyType, inspect.LiteralType, inspect.EnumType)
        plain = bool(self._infos) and not any(isinstance(info, texts) for info in self._infos)
        return self.optional and plain and not self.objects

    def __str__(self) -> str:
        """Read as what a person may give."""
        said = [] if self.data is None else [words(inspect.type_info(self.data))]
        if self.objects:
            said.append(f'{listed(map(object_words, self.objects), "or")} as "module:attribute"')
        if self._knows_none:
            said.insert(0, shown(NONE))  # first, where it cannot be taken for the item of an array
        return listed(said, "or") if said else "nothing"

    def schema(self) -> dict[str, Any]:
        """Give the JSON Schema of it."""
        some = [] if self.data is None else schemas_of(self.data)
        if self.objects:
            some += NAMED
        if self.optional:
            some.append({"type": "null"})
        if self._knows_none:
            some.append({"const": NONE})
        return any_of(some)


def _convert_object(kind: type, value: Any) -> Any:
    """Make what msgspec does not know: a path, or an object within what is not gone through."""
    if isinstance(value, str) and issubclass(kind, PurePath):
        return kind(value)
    named = object_of(value, (kind,), f'{object_words(kind)} as "module:attribute"')
    if named is None:
        raise msgspec.ValidationError
    return named
