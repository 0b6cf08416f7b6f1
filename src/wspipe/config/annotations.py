"""Annotations, taken apart into what a file can say and what it can only name."""

from __future__ import annotations

import types
from pathlib import PurePath
from typing import Annotated, Any, Final, Union, get_args, get_origin

from msgspec import Meta, inspect


def members_of(annotation: Any) -> tuple[Any, ...]:
    """Give the types of which a value may be.

    Args:
        annotation: A type, a union, or what stands for one.
    """
    # Since Python 3.12, what a `type` statement makes.
    while type(annotation).__name__ == "TypeAliasType":
        annotation = annotation.__value__
    if get_origin(annotation) is Final:
        return members_of(*get_args(annotation))
    if get_origin(annotation) is Annotated:
        plain, *notes = get_args(annotation)
        if not any(isinstance(note, Meta) for note in notes):
            return members_of(plain)  # they are for others than msgspec
    if get_origin(annotation) in {Union, types.UnionType}:
        return tuple(inner for each in get_args(annotation) for inner in members_of(each))
    return (annotation,)


def is_object(annotation: Any) -> bool:
    """Tell whether a file can only name it.

    Args:
        annotation: One of the members of an annotation.

    Raises:
        TypeError: msgspec does not know such a type.
    """
    if isinstance(annotation, type) and issubclass(annotation, PurePath):
        return False
    return isinstance(inspect.type_info(annotation), inspect.CustomType | inspect.AnyType)
