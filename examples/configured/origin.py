"""A guard of one's own, which a file names: only pages of our site may connect.

Check the file beside it, from this folder:

    wspipe check
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from wspipe import ASGIConnection, Composable, ConnectionRejected

if TYPE_CHECKING:
    from wspipe import Receive, Send


@dataclass(frozen=True)
class OurPages(Composable):
    """Refuse browsers on pages of other sites.

    Args:
        allow: The origins of our pages, such as `https://chat.example.com`.
    """

    checks_origin: ClassVar[bool] = True
    allow: tuple[str, ...]

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Wrap nothing: who is in needs no guarding."""
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        """Decide before the application sees the connection."""
        if connection.headers.get("origin") not in self.allow:
            raise ConnectionRejected(403, body="This is for our own pages.\n")
