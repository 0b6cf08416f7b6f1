"""The results as Markdown: what the client gets, and what the application gets."""

from __future__ import annotations

from collections import defaultdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from docs.servers.scenarios import SCENARIOS, SHUTDOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from docs.servers.running import Results
    from docs.servers.scenarios import Scenario

COLUMNS: Final = {
    "uvicorn `websockets`": ["uvicorn-websockets"],
    "uvicorn `websockets-sansio`": ["uvicorn-websockets-sansio"],
    "uvicorn `wsproto`": ["uvicorn-wsproto"],
    "Hypercorn": ["hypercorn", "hypercorn-trio"],
    "Granian": ["granian"],
    "Daphne": ["daphne"],
}
"""The columns, and the servers in each: Hypercorn has one worker for asyncio and one for trio."""

_ROWS: Final = (*SCENARIOS, SHUTDOWN)
_SIDES: Final = ("client", "application")
_SILENCE: Final = {"", "nothing"}


class Unexplained(Exception):
    """With wspipe the servers differ and nobody says why, or the other way round."""


def markdown(results: Results) -> str:
    """Write the tables.

    Args:
        results: What came of all scenarios.

    Raises:
        Unexplained: A footnote is missing, or one too many.
    """
    lines = ["% Written by generate.py; change it there.", "", _versions(), ""]
    notes: list[str] = []
    for side, title in enumerate(_SIDES):
        lines += [f"## What the {title} gets", "", *_table(results, side, notes), ""]
    lines += [f"[^servers-{i}]: {note}" for i, note in enumerate(notes, 1)]
    return "\n".join(lines) + "\n"


def _versions() -> str:
    names = ("uvicorn", "Hypercorn", "Granian", "Daphne", "websockets", "wsproto", "autobahn")
    return f"Measured with {', '.join(f'{name} {version(name)}' for name in names)}."


def _table(results: Results, side: int, notes: list[str]) -> Iterator[str]:
    yield _line(["", *COLUMNS, "with wspipe"])
    yield _line(["---"] * (len(COLUMNS) + 2))
    for row in _ROWS:
        bare, wrapped = (
            {column: _cell(results, names, row, style, side) for column, names in COLUMNS.items()}
            for style in ("bare", "wspipe")
        )
        if _SILENCE.issuperset([*bare.values(), *wrapped.values()]):
            continue
        why = (row.why_client, row.why_application)[side]
        if bool(why) != (len(set(wrapped.values())) > 1):
            raise Unexplained(f"{row.title}, {_SIDES[side]}: {wrapped}, because {why!r}")
        yield _line([row.title, *bare.values(), _summary(wrapped) + _mark(why, notes)])


def _cell(results: Results, names: Iterable[str], row: Scenario, style: str, side: int) -> str:
    values = dict.fromkeys(results[name, row.title, style][side] for name in names)
    return " / ".join(values)


def _summary(cells: dict[str, str]) -> str:
    """Give the one value, or the most frequent and who differs."""
    columns: defaultdict[str, list[str]] = defaultdict(list)
    for column, value in cells.items():
        columns[value].append(column)
    usual, *others = sorted(columns, key=lambda value: -len(columns[value]))
    return "; ".join([usual, *(f"{', '.join(columns[value])}: {value}" for value in others)])


def _mark(why: str, notes: list[str]) -> str:
    if not why:
        return ""
    if why not in notes:
        notes.append(why)
    return f" [^servers-{notes.index(why) + 1}]"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
