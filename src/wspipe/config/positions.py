"""Where each key and value of a TOML document stands, which `tomllib` does not tell.

The scanner reads what `tomllib` has accepted. It does not validate; at what it cannot read it
stops. The grammar is that of https://toml.io/en/v1.0.0, with the newlines and trailing commas that
TOML 1.1 allows in inline tables.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress
from itertools import count
from typing import NamedTuple, TypeAlias

MAX_DEPTH = 64
"""The longest path that is described: what is nested deeper ends the scan."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""The keys and indices that lead from the document to a value."""

_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE_AND_COMMAS = re.compile(r"(?:[ \t\r\n,]|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"\.")
_VALUE_AHEAD = re.compile(r"[ \t]*(?=[^,\]}#\s])")
# What opens with three quotes and is not closed must not pass for an empty string.
_STRING = re.compile(
    r'''"""(?:[^\\]|\\.)*?"{3,5}|"(?!"")(?:[^"\\\n]|\\.)*"'''
    r"""|'{3}.*?'{3,5}|'(?!'')[^'\n]*'""",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\[\]{}#\n]+")  # a date and its time may have a space between them


class Position(NamedTuple):
    """A line and a column in it, in characters, both counted from 1."""

    line: int
    column: int


class Place(NamedTuple):
    """Where a key and its value stand.

    Args:
        key: Where the key, the last part of the table's header or the array's element begins; for
            a table that is only implied by a longer header or key, where that first names it.
        value: Where the value begins. The same as `key` for elements of arrays and for tables
            that a header or a dotted key makes.
    """

    key: Position
    value: Position


def positions(text: str) -> dict[KeyPath, Place]:
    """Find each key, table and array element of a TOML document.

    It never raises, and takes time in proportion to the text.

    Args:
        text: What `tomllib.loads` accepts. Of other text, what can be read from its beginning.

    Returns:
        The places by path, such as `("pipelines", "chat", "middlewares", 0, "rate")`: all of the
        document, or those before the first path that has more than `MAX_DEPTH` parts.
    """
    scanner = _Scanner(text)
    with suppress(_Unreadable, tomllib.TOMLDecodeError):
        scanner.document()
    return scanner.places


class _Unreadable(Exception):
    """The scanner cannot go on."""


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.places: dict[KeyPath, Place] = {}
        self.last_elements: dict[KeyPath, int] = {}  # of arrays of tables
        self.line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]

    def document(self) -> None:
        table: KeyPath = ()
        self.take(_SPACE)
        while self.index < len(self.text):
            if self.skip("[["):
                table = self.header("]]")
            elif self.skip("["):
                table = self.header("]")
            else:
                self.pair(table)
            self.take(_SPACE)

    def header(self, end: str) -> KeyPath:
        path, index = self.key((), end)
        if end == "]]":
            element = self.last_elements.get(path, -1) + 1
            self.last_elements[path] = element
            if element == 0:
                self.record(path, index, index)
            path = (*path, element)
        self.record(path, index, index)
        return path

    def pair(self, table: KeyPath) -> None:
        self.value(*self.key(table, "="))

    def key(self, path: KeyPath, end: str) -> tuple[KeyPath, int]:
        while True:
            self.take(_BLANK)
            index = self.index
            path = (*path, _name(self.take(_KEY)))
            self.take(_BLANK)
            if self.skip(end):
                return path, index
            self.take(_DOT)
            if path not in self.places:
                self.record(path, index, index)
            if path in self.last_elements:
                path = (*path, self.last_elements[path])

    def value(self, path: KeyPath, key_index: int) -> None:
        self.take(_VALUE_AHEAD)
        self.record(path, key_index, self.index)
        if self.skip("["):
            self.array(path)
        elif self.skip("{"):
            self.inline_table(path)
        elif self.text.startswith(('"', "'"), self.index):
            self.take(_STRING)
        else:
            self.take(_SCALAR)

    def array(self, path: KeyPath) -> None:
        elements = count()
        self.take(_SPACE_AND_COMMAS)
        while not self.skip("]"):
            self.value((*path, next(elements)), self.index)
            self.take(_SPACE_AND_COMMAS)

    def inline_table(self, path: KeyPath) -> None:
        self.take(_SPACE_AND_COMMAS)
        while not self.skip("}"):
            self.pair(path)
            self.take(_SPACE_AND_COMMAS)

    def take(self, token: re.Pattern[str]) -> str:
        match = token.match(self.text, self.index)
        if match is None:
            raise _Unreadable
        self.index = match.end()
        return match[0]

    def skip(self, mark: str) -> bool:
        found = self.text.startswith(mark, self.index)
        self.index += len(mark) * found
        return found

    def record(self, path: KeyPath, key_index: int, value_index: int) -> None:
        if len(path) > MAX_DEPTH:
            raise _Unreadable
        self.places[path] = Place(self.position(key_index), self.position(value_index))

    def position(self, index: int) -> Position:
        line = bisect_right(self.line_starts, index)
        return Position(line, index - self.line_starts[line - 1] + 1)


def _name(token: str) -> str:
    if token[0] not in "\"'":
        return token
    name: str = tomllib.loads(f"key = {token}")["key"]
    return name
