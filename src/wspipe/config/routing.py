"""`Router`: the first of many routes that takes a connection, found without trying each."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from wspipe.config.patterns import host_of, regex_of, spellings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wspipe.config.patterns import HostPattern, PathPattern
    from wspipe.types import Scope

T = TypeVar("T")

_NONE: Final = sys.maxsize
"""The position of no route: behind all others."""

_KEPT: Final = 256
"""For how many hosts the indexes that count are remembered."""


class Router(Generic[T]):
    """Finds the target of the first route that matches.

    Args:
        routes: In order of precedence, each the paths it takes, the hosts it takes (None for any),
            and its target.
    """

    __slots__ = ("_any_host", "_below", "_hosts", "_indexes", "_only", "_targets")

    def __init__(self, routes: Iterable[tuple[PathPattern, HostPattern | None, T]]) -> None:
        self._targets: dict[int, T] = {}
        self._any_host = _Index()
        self._only: tuple[_Index, ...] = (self._any_host,)
        self._hosts: dict[str, _Index] = {}
        self._below: dict[str, _Index] = {}
        for position, (path, host, target) in enumerate(routes):
            self._targets[position] = target
            if host is None:
                index = self._any_host
            else:
                indexes = self._below if host.is_wildcard else self._hosts
                index = indexes.setdefault(host.host, _Index())
            index.add(path, position)
        # None where no route asks for a host.
        self._indexes = lru_cache(_KEPT)(self._find_indexes) if self._hosts or self._below else None

    def find(self, scope: Scope) -> T | None:
        """Give the target of the first route that takes a connection's path and host.

        The path counts without the `root_path` that it begins with. A slash at its end, and several
        in a row, make no difference: to some frameworks they do not.

        Args:
            scope: The connection's scope; its headers are read only where some route asks for a
                host.

        Returns:
            None where no route takes it.
        """
        path: str = scope["path"]
        root: str | None = scope.get("root_path")
        if root:
            # Where it is mounted is none of the file's business.
            root = root.rstrip("/")
            if path == root or path.startswith(f"{root}/"):
                path = path.removeprefix(root) or "/"
        if self._indexes is None:
            indexes = self._only
            position = self._any_host.first(path, _NONE)
        else:
            indexes, position = self._indexes(host_of(scope)), _NONE
            for index in indexes:
                position = index.first(path, position)
        if path[-1:] == "/" or "//" in path:
            for spelled in spellings(path):
                for index in indexes:
                    position = index.first(spelled, position)
        return self._targets.get(position)

    def _find_indexes(self, host: str | None) -> tuple[_Index, ...]:
        found = [self._any_host]
        if host is not None:
            found.append(self._hosts.get(host, _Index()))
            _, dot, parent = host.partition(".")
            while dot:
                found.append(self._below.get(parent, _Index()))
                _, dot, parent = parent.partition(".")
        return tuple(index for index in found if not index.is_empty)


def _take_all(path: str) -> bool:  # noqa: ARG001 - has the form of a regex's `match`
    return True


class _Node:
    """A place in the tree of segments: how the patterns with the same beginning go on."""

    __slots__ = ("depth", "end", "first", "globs", "literals", "name", "only_literals")

    def __init__(self, depth: int, first: int) -> None:
        self.depth = depth  # how many segments lead here
        self.first = first  # the first of all routes from here on
        self.end = _NONE  # the first route that ends here
        self.literals: dict[str, _Node] = {}
        self.name: _Node | None = None  # `{name}` as the whole next segment
        # Routes that go on with anything else, each with what tells whether it takes a path.
        self.globs: list[tuple[int, Callable[[str], object]]] = []
        self.only_literals = True  # neither of the two before has anything


class _Index:
    """The routes for one host or for any: a tree for those with wildcards, by segments."""

    __slots__ = ("depth", "literals", "root")

    def __init__(self) -> None:
        self.literals: dict[str, int] = {}
        self.root = _Node(0, _NONE)
        self.depth = 0

    @property
    def is_empty(self) -> bool:
        """Whether it has no route."""
        return not self.literals and self.root.first == _NONE

    def add(self, pattern: PathPattern, position: int) -> None:
        """Add a route, behind those that were added before."""
        for shape in pattern.shapes:
            self._add(shape, position)

    def _add(self, shape: str, position: int) -> None:
        if "*" not in shape and "{}" not in shape:
            self.literals.setdefault(shape, position)
            return
        node = self.root
        node.first = min(node.first, position)
        _, *segments = shape.split("/")
        self.depth = max(self.depth, len(segments))
        for depth, segment in enumerate(segments, 1):
            if segment == "{}":
                node.only_literals = False
                node.name = node.name or _Node(depth, position)
                node = node.name
            elif "*" in segment or "{}" in segment:
                node.only_literals = False
                takes_all = segment == "*" and depth == len(segments)
                node.globs.append((position, _take_all if takes_all else regex_of(shape).match))
                return
            else:
                node = node.literals.setdefault(segment, _Node(depth, position))
        node.end = min(node.end, position)

    def first(self, path: str, best: int) -> int:  # noqa: C901, PLR0912 - a call is a segment's time
        """Give the position of the first route that takes a path.

        A node is visited once at most, so the time has a bound that the routes set, not the path.

        Args:
            path: The path.
            best: The position of a route that takes it as well.
        """
        if self.literals.get(path, best) < best:
            best = self.literals[path]
        node = self.root
        if node.first >= best:
            return best
        # What is behind the longest pattern's segments may stay in one piece: none looks at it.
        segments = path.split("/", self.depth + 1)
        if segments.pop(0):
            return best
        rest = segments
        waiting: list[_Node] = []
        while True:
            for segment in rest:
                if node.only_literals:
                    if segment not in node.literals:
                        break
                    node = node.literals[segment]
                    continue
                for position, takes in node.globs:
                    if position >= best:
                        break
                    if takes(path):
                        best = position
                        break
                name = node.name if segment else None
                if node.literals and segment in node.literals:
                    if name is not None and name.first < best:
                        waiting.append(name)
                    node = node.literals[segment]
                elif name is not None:
                    node = name
                else:
                    break
            else:
                if node.end < best:  # noqa: PLR1730 - min() takes longer than a segment
                    best = node.end
            if not waiting:
                return best
            node = waiting.pop()
            rest = segments[node.depth :]
