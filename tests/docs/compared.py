"""What a page shows, compared with what is printed."""

from __future__ import annotations

import re

_VARIABLE = {
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?": "<time>",
    r"127\.0\.0\.1:\d+": "<address>",
    r"duration([=:\"' ]+)[\d.e-]+": r"duration\1<seconds>",
    r"Python/[\d.]+ websockets/[\d.]+": "<agent>",
    r"in \d+\.\d+s\b": "in <seconds>",
    r"retry after \d+ s": "retry after <seconds> s",
    r"\x1b\[[0-9;]*m": "",
}
_ID = re.compile(r"\b([0-9a-f]{16}){1,2}\b")
_FIGURE = re.compile(r"\d+(\.\d+)?( (ns|µs|ms|%))?")


def settled(text: str) -> str:
    """Take out what differs from run to run; the same id is the same again."""
    for pattern, name in _VARIABLE.items():
        text = re.sub(pattern, name, text)
    ids: dict[str, int] = {}
    return _ID.sub(lambda found: f"<id {ids.setdefault(found[0], len(ids) + 1)}>", text)


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
    """Have `...` stand for anything: in a line for what is in it, alone for lines."""
    parts = re.split(r"(?m)(^\.\.\.$)|(?<!\.)\.\.\.(?!\.)", shown)
    pattern = [re.escape(parts[0])]
    for lines, literal in zip(parts[1::2], parts[2::2], strict=True):
        pattern += [".*" if lines else "[^\\n]*", re.escape(literal)]
    return "".join(pattern)


def _whole(word: str) -> str:
    """Have the word match no part of a longer one."""
    begin = r"(?<!\w)" if re.match(r"\w", word) else ""
    return begin + _pattern(word) + (r"(?!\w)" if re.search(r"\w$", word) else "")


def entries(shown: str) -> list[str]:
    """Join the lines of a log that a page had to wrap: what goes on is indented."""
    return re.sub(r"\n[ \t]+", " ", shown.strip()).splitlines()


def is_in(entry: str, line: str) -> bool:
    """Tell whether the line is the entry: if that has a time the whole, else these words of it."""
    words = [_whole(word) for word in settled(entry).split()]
    printed = " ".join(settled(line).split())
    if settled(entry).startswith("<time>"):
        return re.fullmatch(" ".join(words), printed) is not None
    return re.search(".*?".join(words), printed) is not None
