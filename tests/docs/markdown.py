"""The fenced blocks of a page in Markdown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_FENCE = re.compile(
    r"^(?:<!-- (?P<remark>(?:save as|not run:|needs:) [^\n]+) -->\n)?"
    r"(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_OPTION = re.compile(r"^:([a-z-]+):(?: (.*))?\n", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: of `{code-block} text` the language is `text`."""

    line: int
    language: str
    options: dict[str, str]
    body: str
    remark: str
    """What a comment on the line above says: `save as NAME`, `not run: WHY` or `needs: COMMAND`."""

    @property
    def directive(self) -> str:
        """Of `{literalinclude} echo.py` the first; empty for code."""
        return self.language.split()[0] if self.language.startswith("{") else ""

    @property
    def saved_as(self) -> str:
        """The name of the file that the reader is told to save this as, or nothing."""
        if self.remark.startswith("save as "):
            return self.remark.removeprefix("save as ")
        return self.options.get("caption", "").strip('"`')

    def shows(self, what: str) -> bool:
        """Tell whether the block is of this class."""
        return what in self.options.get("class", "").split()


def blocks_of(page: Path) -> list[Block]:
    """Take the fenced blocks out of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        body, info = match["body"], match["info"].strip()
        options = {}
        if info.startswith("{"):
            head, blank, rest = body.partition("\n\n")
            if info.startswith("{literalinclude}"):
                options = dict(_OPTION.findall(body))
            elif _OPTION.match(body) and blank:
                options, body = dict(_OPTION.findall(f"{head}\n")), rest
        found.append(
            Block(
                line=text.count("\n", 0, match.start("fence")) + 1,
                language=info.removeprefix("{code-block} "),
                options=options,
                body=body,
                remark=match["remark"] or "",
            )
        )
    return found
