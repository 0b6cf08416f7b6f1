"""What is wrong with a configuration: where, what was given, what would be right."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from wspipe.exceptions import ImproperlyConfiguredException

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wspipe.config.document import Document
    from wspipe.config.positions import KeyPath, Position

Level: TypeAlias = Literal["error", "warning"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_LONGEST = 80
_WHOLE: Final[dict[type, str]] = {dict: "a table", list: "an array"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, or legal but probably not meant.

    Args:
        message: What was given, what is allowed, and the nearest right name for a typo.
        path: The keys that lead there, such as `("pipelines", "chat", "extends")`.
        source: The name of the file, or what the configuration was given as.
        position: The line and the column, both from 1, where the source is a TOML file.
        given: What was given, as it would stand in a file.
        allowed: What is allowed, where that is a few names.
        nearest: The allowed name that is most like the given one.
        level: `"error"`, or `"warning"` for what `wspipe check` only advises against.
    """

    message: str
    path: KeyPath = ()
    source: str = ""
    position: Position | None = None
    given: str | None = None
    allowed: tuple[str, ...] = ()
    nearest: str | None = None
    level: Level = "error"

    @property
    def place(self) -> str:
        """The file with line and column, as editors and terminals link it."""
        return ":".join((self.source, *map(str, self.position or ())))

    @property
    def key(self) -> str:
        """The table and the key, such as `pipelines.chat.middlewares[0].rate`."""
        return dotted(self.path)

    def __str__(self) -> str:
        """Read as one line: place, level where it is a warning, key, message."""
        warning = "warning" if self.level == "warning" else ""
        return ": ".join(part for part in (self.place, warning, self.key, self.message) if part)

    def as_dict(self) -> dict[str, Any]:
        """Give it for a machine to read."""
        line, column = self.position or (None, None)
        return {
            "level": self.level,
            "file": self.source,
            "line": line,
            "column": column,
            "key": self.key,
            "message": self.message,
            "given": self.given,
            "allowed": list(self.allowed),
            "nearest": self.nearest,
        }


class ConfigurationError(ImproperlyConfiguredException):
    """A configuration cannot be used. It reads as one line for each problem.

    Args:
        problems: All that is wrong, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__(detail="\n".join(map(str, self.problems)))


class Problems:
    """Collects what is wrong with one configuration, so that all of it is told at once.

    Args:
        document: The configuration.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: list[Problem] = []

    def add(  # noqa: PLR0913 - what a problem consists of
        self,
        path: KeyPath,
        message: str,
        *,
        given: Any = None,
        allowed: Iterable[str] = (),
        nearest: str | None = None,
        level: Level = "error",
    ) -> None:
        """Note a problem.

        Args:
            path: The keys that lead there.
            message: What was given, and what would be right.
            given: What was given.
            allowed: What is allowed, where that is a few names.
            nearest: The allowed name that is most like the given one.
            level: How bad it is.
        """
        self._found.append(
            Problem(
                printable(message),
                self._document.table + path,
                self._document.name,
                self._document.position_of(path),
                None if given is None else shown(given),
                tuple(allowed),
                nearest,
                level,
            )
        )

    def unknown(self, path: KeyPath, what: str, name: str, allowed: Iterable[str]) -> None:
        """Note a name that there is not.

        Args:
            path: The keys that lead there.
            what: Who knows no such name, such as "RateLimit has no option".
            name: The name.
            allowed: The names that there are.
        """
        names = sorted(allowed)
        nearest = nearest_to(name, names)
        advice = f"did you mean {shown(nearest)}? " if nearest else ""
        known = f"there are {listed(map(shown, names))}" if names else "there is none"
        if len(names) == 1:
            known = f"there is only {shown(names[0])}"
        self.add(
            path,
            f"{what} {shown(name)}; {advice}{known}",
            given=name,
            allowed=names,
            nearest=nearest,
        )

    def __bool__(self) -> bool:
        return bool(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        """Go through them in the order of the file."""
        table = len(self._document.table)
        return iter(
            sorted(self._found, key=lambda problem: self._document.order_of(problem.path[table:]))
        )

    def raise_if_any(self) -> None:
        """Stop here where something is wrong.

        Raises:
            ConfigurationError: Something is.
        """
        if self._found:
            raise ConfigurationError(self)


def dotted(path: KeyPath) -> str:
    """Write a path as TOML does, with indexes in brackets."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            # A dictionary may have keys that are no texts.
            name = str(part)
            name = name if _BARE_KEY.fullmatch(name) else shown(name)
            text += f".{name}" if text else name
    return text


def shown(value: object) -> str:
    """Write a value as a file would, cut where it is long."""
    if isinstance(value, float):
        return repr(value)  # JSON has no inf and no nan
    try:
        text = json.dumps(_as_written(value), ensure_ascii=False, default=str)
    except (TypeError, ValueError):  # a key of a dictionary is no text
        text = _WHOLE.get(type(value), f"a {type(value).__name__}")
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def printable(text: str) -> str:
    """Escape what would break the line, command a terminal, or is half of a character."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def _as_written(value: Any) -> Any:
    """Give a value with placeholders for what comes from the environment."""
    if isinstance(value, str):
        return getattr(value, "placeholder", value)
    if isinstance(value, Mapping):
        items = cast("Iterable[tuple[Any, Any]]", value.items())
        return {key: _as_written(each) for key, each in items}
    if isinstance(value, list | tuple):
        return [_as_written(each) for each in cast("Iterable[Any]", value)]
    return value


def listed(names: Iterable[str], word: str = "and") -> str:
    """Write names as a sentence lists them."""
    *some, last = names
    return f"{', '.join(some)} {word} {last}" if some else last


def nearest_to(name: str, names: Iterable[str]) -> str | None:
    """Give the name that was probably meant, if one is near enough; case does not matter."""
    by_case = {each.casefold(): each for each in names}
    found = get_close_matches(name.casefold(), by_case, n=1)
    return by_case[found[0]] if found else None
