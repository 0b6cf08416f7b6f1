"""Write tables.txt, by running every scenario on every server.

Run it after a change to the engine or to the versions of servers, from the root of the tree:
`python -m docs.servers.generate`. It takes less than a minute.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from docs.servers.running import run
from docs.servers.table import markdown

FILE = Path(__file__).with_name("tables.txt")


def tables() -> str:
    """Give the file as it should be."""
    return markdown(asyncio.run(run()))


if __name__ == "__main__":
    FILE.write_text(tables(), encoding="utf-8")
