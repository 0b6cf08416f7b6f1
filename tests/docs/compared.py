"""What a page shows, compared with what is printed."""

from __future__ import annotations

import re

_VARIABLE = {
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?": "<time>",
    r"127\.0\.0\.1:\d+": "<address>",
    r"\b[0-9a-f]{32}\b": "<trace>",
    r"\b[0-9a-f]{16}\b": "<id>",
    r"duration([=:\"' ]+)[\d.e-]+": r"duration\1<seconds>",
    r"Python/[\d.]+ websockets/[\d.]+": "<agent>",
    r"in \d+\.\d+s\b": "in <seconds>",
    r"\x1b\[[0-9;]*m": "",
}
_FIGURE = re.compile(r"\d+(\.\d+)?( (ns|µs|ms|%))?")


def settled(text: str) -> str:
    """Take out what differs from run to run."""
    for pattern, name in _VARIABLE.items():
        text = re.sub(pattern, name, text)
    return text


def is_shown(printed: str, shown: str, *, measured: bool = False) -> bool:
    """Compare line by line; `...` stands for anything, and with `measured` figures are any."""
    if measured:
        printed, shown = _FIGURE.sub("<figure>", printed), _FIGURE.sub("<figure>", shown)
    there, here = (
        "\n".join(" ".join(line.split()) if measured else line.rstrip() for line in each)
        for each in (settled(printed).rstrip().splitlines(), settled(shown).rstrip().splitlines())
    )
    return re.fullmatch(_pattern(here), there, re.DOTALL) is not None


def _pattern(shown: str) -> str:
    return re.escape(shown).replace(re.escape("..."), ".*")


def entries(shown: str) -> list[str]:
    """Join the lines of a log that a page had to wrap: what goes on is indented."""
    return re.sub(r"\n[ \t]+", " ", shown.strip()).splitlines()


def is_in(entry: str, line: str) -> bool:
    """Tell whether the line is the entry: if that has a time the whole, else these words of it."""
    words = [_pattern(word) for word in settled(entry).split()]
    printed = " ".join(settled(line).split())
    if settled(entry).startswith("<time>"):
        return re.fullmatch(" ".join(words), printed) is not None
    return re.search(".*?".join(words), printed) is not None
