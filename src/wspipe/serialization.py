"""JSON by orjson, and what becomes of the values that orjson does not know."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from typing import Any, Final, TypeAlias

import orjson

from wspipe.exceptions import SerializationException

Serializer: TypeAlias = Callable[[Any], Any]
"""Turns a value that orjson does not know into one that it does, or raises `TypeError`."""


def _list(values: Iterable[Any]) -> list[Any]:
    return list(values)


_ENCODERS: Final[Mapping[Any, Serializer]] = {
    tuple: _list,  # a named one: orjson takes only the plain tuple
    set: _list,
    frozenset: _list,
    deque: _list,
    Decimal: str,
    PurePath: str,
    IPv4Address: str,
    IPv4Interface: str,
    IPv4Network: str,
    IPv6Address: str,
    IPv6Interface: str,
    IPv6Network: str,
}


def default_serializer(value: Any) -> Any:
    """Give the JSON form of what orjson does not serialize by itself.

    orjson knows dataclasses, datetimes, UUIDs and enums. This adds sets and deques (as lists),
    `Decimal` (as text, which loses nothing), paths and IP addresses (as text), pydantic models and
    msgspec structs.

    Args:
        value: Anything.

    Raises:
        TypeError: The value has no JSON form.
    """
    for base in type(value).__mro__:
        if base in _ENCODERS:
            return _ENCODERS[base](value)
    # The marks of an instance; a class of these kinds has them too.
    if not isinstance(value, type):
        if hasattr(value, "__struct_fields__"):
            # Only msgspec makes such a class, so that it is imported already.
            to_builtins = sys.modules["msgspec"].to_builtins
            return to_builtins(value, str_keys=True, enc_hook=default_serializer)
        if hasattr(value, "__pydantic_serializer__"):
            return value.model_dump(mode="json")
        if hasattr(value, "__fields_set__"):
            return value.dict()
    raise TypeError(f"{type(value).__name__} has no JSON form; give a serializer that knows it")


def encode_json(value: Any, serializer: Serializer) -> bytes:
    """Serialize a value whose keys may be other than plain strings, as `json.dumps` does.

    Numbers, dates and subclasses of `str`, such as the keys of a multidict. orjson is slower with
    them, so it is asked without them first.

    Args:
        value: The value.
        serializer: Handles what orjson does not.

    Raises:
        SerializationException: The value has no JSON form.
    """
    try:
        return orjson.dumps(value, serializer, orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise SerializationException(
            detail=f"cannot send {type(value).__name__} as JSON: {error.__cause__ or error}",
            code=1011,
        ) from error


def not_json(error: orjson.JSONDecodeError) -> SerializationException:
    """Make the error for a message that is not JSON; it tells where, not what.

    Args:
        error: What orjson says.
    """
    return SerializationException(
        detail=f"the message is not JSON: {error.msg} at position {error.pos}", code=1007
    )
