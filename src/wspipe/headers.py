"""Header lists: what ASGI wants, made of what people have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeAlias, cast, runtime_checkable


@runtime_checkable
class _HeaderList(Protocol):
    """Headers as Litestar and Starlite keep them."""

    def to_header_list(self) -> list[tuple[bytes, bytes]]: ...


@runtime_checkable
class _MultiItems(Protocol):
    """Headers as Starlette keeps them."""

    def multi_items(self) -> Iterable[tuple[str, str]]: ...


HeadersInput: TypeAlias = (
    Mapping[str, str] | Iterable[tuple[bytes, bytes]] | _HeaderList | _MultiItems
)
"""Headers in any of the usual forms.

A mapping or multidict, pairs of bytes, or an object with `to_header_list()` or `multi_items()`.
"""


def header_list(headers: HeadersInput | None) -> list[tuple[bytes, bytes]]:
    """Make the list of pairs that ASGI events carry.

    Names given as text become lower case, as ASGI demands; pairs of bytes stay as they are.

    Args:
        headers: The headers; `None` gives an empty list.
    """
    if headers is None:
        return []
    if isinstance(headers, _HeaderList):
        return headers.to_header_list()
    if isinstance(headers, _MultiItems):
        items = headers.multi_items()
    elif isinstance(headers, Mapping):
        items = cast("Mapping[str, str]", headers).items()
    else:
        return list(headers)
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in items]
