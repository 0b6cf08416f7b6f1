"""The source of a configuration: a TOML or JSON file, a table of `pyproject.toml`, a dictionary."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from wspipe.config.positions import MAX_DEPTH, KeyPath, Position, positions
from wspipe.config.problems import ConfigurationError, Problem, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any] | None
"""A file, a dictionary, or `None` for the file in the current directory."""

FILE = "wspipe.toml"
PYPROJECT = "pyproject.toml"
_TABLE: Final = ("tool", "wspipe")
_TOP: Final = 5  # keys, as many as lead to an option of a stage
_LEAST, _MOST = -(2**63), 2**63 - 1  # https://toml.io/en/v1.0.0#integer
_CLEARER: Final = {
    "Cannot overwrite a value": "this key has a value already",
    "Illegal character '\\n'": "a text does not end in its line",
}
_AT = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")


class UnreadableSource(ConfigurationError):
    """There is no such file, or it cannot be read."""


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration as it was given, not yet looked into.

    Args:
        name: How messages call it: the file's name as it was given.
        data: The tables.
        source: What it was read from.
        file: The file, `None` where there is none.
        positions: Where keys stand in it, by path, for those that the file has.
        table: The table of the file that it is, where it is not the whole file.
        content: The bytes of the file.
    """

    name: str
    data: Mapping[str, Any]
    source: Source = None
    file: Path | None = None
    positions: Mapping[KeyPath, Position] = field(default_factory=dict[KeyPath, Position])
    table: KeyPath = ()
    content: bytes = b""

    @classmethod
    def read(cls, source: Source = None) -> Document:
        """Read a configuration.

        Args:
            source: A file ending in `.toml` or `.json`; of a `pyproject.toml` the table
                `[tool.wspipe]` is read. A mapping is taken as it is. Left out, it is
                `wspipe.toml` in the current directory, or else its `pyproject.toml`.

        Raises:
            UnreadableSource: There is no such file, or it cannot be read.
            ConfigurationError: It is not TOML or JSON, has no such table, or is beyond all measure.
        """
        document = cls._taken(source)
        document.check()
        return replace(document, data=_plain(document.data))

    @classmethod
    def _taken(cls, source: Source) -> Document:
        if isinstance(source, Mapping):
            return cls("configuration", source, source)
        file = _find() if source is None else Path(source)
        name = str(file)
        read = _read_json if file.suffix == ".json" else _read_toml
        content = _content_of(name, file)
        data, places = read(name, _text_of(name, content))
        if file.name == PYPROJECT:
            return cls(name, _table_of(name, data), file, file, places, _TABLE, content)
        return cls(name, data, file, file, places, content=content)

    def position_of(self, path: KeyPath) -> Position | None:
        """Tell where a key stands, or would stand: in the table around it.

        Args:
            path: The keys that lead there.
        """
        for length in range(len(path), 0, -1):
            if position := self.positions.get(self.table + path[:length]):
                return position
        return None

    def check(self) -> None:
        """Refuse what is nested so deeply, or is so long a number, that it would not go well later.

        Raises:
            ConfigurationError: There is such.
        """
        waiting: list[tuple[KeyPath, Any]] = [((), self.data)]
        while waiting:
            path, value = waiting.pop()
            if len(path) > MAX_DEPTH:
                message = f"is nested too deeply: at most {MAX_DEPTH} tables and arrays may be"
            elif isinstance(value, int) and not _LEAST <= value <= _MOST:
                message = "is too long a number: at most 64 bits may be"
            else:
                waiting += [((*path, key), each) for key, each in reversed(_items(value))]
                continue
            path = path[:_TOP]
            problem = Problem(message, self.table + path, self.name, self.position_of(path))
            raise ConfigurationError([problem])

    def order_of(self, path: KeyPath) -> tuple[int, ...]:
        """Give what sorts as keys stand in the source, also where no positions are known.

        Args:
            path: The keys that lead there.
        """
        if position := self.position_of(path):
            return position
        order: list[int] = []
        value: Any = self.data
        for part in path:
            items = _items(value)
            index = next((i for i, (key, _) in enumerate(items) if key == part), None)
            if index is None:
                break
            order.append(index)
            value = items[index][1]
        return tuple(order)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Give what is in a table or an array, with its keys or indexes."""
    if isinstance(value, Mapping):
        return list(cast("Iterable[tuple[Any, Any]]", value.items()))
    if isinstance(value, list | tuple):
        return list(enumerate(cast("Iterable[Any]", value)))
    return []


def _plain(value: Any) -> Any:
    """Make tables of mappings, and arrays of what else holds several."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in cast("Iterable[tuple[Any, Any]]", value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in cast("Iterable[Any]", value)]
    return value


def _find() -> Path:
    for file in (Path(FILE), Path(PYPROJECT)):
        if file.is_file() and (file.name == FILE or _has_table(file)):
            return file
    raise _unreadable(
        str(Path.cwd()),
        f"there is no {FILE} here, and no {PYPROJECT} with a table [tool.wspipe]; name the file",
    )


def _has_table(file: Path) -> bool:
    try:
        return "wspipe" in tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {})
    except (OSError, TypeError, ValueError, RecursionError):
        return True  # reading it will tell what is wrong


def _content_of(name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _unreadable(name, f"cannot be read: {why.lower()}") from None


def _text_of(name: str, content: bytes) -> str:
    try:
        # Only this much is a new line in TOML; reading as text would take a lone "\r" for one too.
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode("utf-8-sig", "replace")
        raise _failure(name, f"is not UTF-8: {error.reason}", _end_of(before)) from None


def _read_toml(name: str, text: str) -> tuple[dict[str, Any], dict[KeyPath, Position]]:
    data = _parse(name, "TOML", tomllib.loads, text)
    return data, {path: place.key for path, place in positions(text).items()}


def _read_json(name: str, text: str) -> tuple[dict[str, Any], dict[KeyPath, Position]]:
    data = _parse(name, "JSON", _loads_json, text)
    if not isinstance(data, dict):
        raise _failure(name, "must hold one JSON object, with the key pipelines")
    return cast("dict[str, Any]", data), {}


class _Unfit(ValueError):
    """JSON allows it, but a configuration does not."""


def _loads_json(text: str) -> Any:
    data = json.loads(text, object_pairs_hook=_table)
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        character = ascii(error.object[error.start])[1:-1]
        raise _Unfit(f"{character} is half of a character") from None
    return data


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise _Unfit(f"a table has the key {shown(key)} twice")
        table[key] = value
    return table


def _parse(name: str, language: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except json.JSONDecodeError as error:
        at_json = Position(error.lineno, error.colno)
        raise _failure(name, f"is not {language}: {_lowered(error.msg)}", at_json) from None
    except RecursionError:
        raise _failure(name, f"is not {language} that can be read: nested too deeply") from None
    except ValueError as error:
        message = str(error)
        if not isinstance(error, tomllib.TOMLDecodeError):
            why = message if isinstance(error, _Unfit) else "a number has too many digits"
            raise _failure(name, f"is not {language} that can be read: {why}") from None
        at = _AT.search(message)
        position = _position_of(at, text) if at else None
        problem = message[: at.start()] if at else message
        problem = _CLEARER.get(problem, _lowered(problem))
        raise _failure(name, f"is not {language}: {problem}", position) from None


def _position_of(at: re.Match[str], text: str) -> Position:
    if at["line"]:
        return Position(int(at["line"]), int(at["column"]))
    return _end_of(text)


def _end_of(text: str) -> Position:
    lines = text.split("\n")
    return Position(len(lines), len(lines[-1]) + 1)


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]


def _table_of(name: str, data: dict[str, Any]) -> dict[str, Any]:
    table: Any = data
    for key in _TABLE:
        table = cast("dict[str, Any]", table).get(key) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        raise _failure(name, "has no table [tool.wspipe]")
    return cast("dict[str, Any]", table)


def _unreadable(name: str, message: str) -> UnreadableSource:
    return UnreadableSource([Problem(message, source=name)])


def _failure(name: str, message: str, position: Position | None = None) -> ConfigurationError:
    return ConfigurationError([Problem(message, source=name, position=position)])
