"""Keep a broadcast from sending a client what it said itself.

Check the file that has it, from this folder:
    wspipe check
"""

from collections import deque
from dataclasses import dataclass

from anyio import current_time

from wspipe import ASGIConnection, Composable, Event, Receive, Send


@dataclass(frozen=True)
class NoEcho(Composable):
    """Know a text again that came from the client at most so many `seconds` and texts before."""

    texts: int = 100
    seconds: float = 5.0

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        """Remember what comes, as hashes; drop what goes out and is among it."""
        said: deque[tuple[int, float]] = deque(maxlen=self.texts)

        async def remember() -> Event:
            event = await receive()
            if event.get("text") is not None:
                said.append((hash(event["text"]), current_time() + self.seconds))
            return event

        async def drop_own(event: Event) -> None:
            for text, until in said:
                if text == hash(event.get("text")) and current_time() < until:
                    said.remove((text, until))
                    return
            await send(event)

        return remember, drop_own
