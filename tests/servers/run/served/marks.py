"""A middleware that tells on each message which pipeline it went through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wspipe import ASGIConnection, Composable, Receive, Send

if TYPE_CHECKING:
    from wspipe import Event


@dataclass(frozen=True)
class Mark(Composable):
    """Put a mark before each message that the application sends."""

    mark: str

    def __call__(
        self,
        connection: ASGIConnection,  # noqa: ARG002 - all are alike
        receive: Receive,
        send: Send,
    ) -> tuple[Receive, Send]:
        """Watch for messages."""

        async def marked_send(event: Event) -> None:
            if event["type"] == "websocket.send":
                event = {**event, "text": f"{self.mark} {event['text']}"}
            await send(event)

        return receive, marked_send


@dataclass(frozen=True)
class Broken(Mark):
    """One that fails when it is looked at."""

    @property
    def owns_resources(self) -> bool:
        """Fail."""
        raise RuntimeError("broken")
