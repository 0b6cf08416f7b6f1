"""Small values that a connection hands out."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any, NamedTuple


class Address(NamedTuple):
    """The address of a peer.

    Args:
        host: An IP address, or what the server has in its place.
        port: The port.
    """

    host: str
    port: int


class State(MutableMapping[str, Any]):
    """The scope's `state`, with its keys as attributes too. Changes go to the scope.

    Args:
        values: The scope's `state`.
    """

    __slots__ = ("_values",)

    _values: dict[str, Any]

    def __init__(self, values: dict[str, Any]) -> None:
        object.__setattr__(self, "_values", values)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"State({self._values!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return State, (self._values,)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}; it has {list(self)}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self._values[name]
        except KeyError:
            raise AttributeError(f"the state has no {name!r}; it has {list(self)}") from None
