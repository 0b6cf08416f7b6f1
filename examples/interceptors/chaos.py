"""Lose, delay and cut what is sent, to test clients; `?seed=7` makes it the same each time.

Check the file that has it, from this folder:
    wspipe check
"""

from dataclasses import dataclass
from random import Random

from anyio import Lock, sleep

from wspipe import ASGIConnection, Composable, Event, Receive, Send


@dataclass(frozen=True)
class Chaos(Composable):
    """How probable it is that a message is lost, or the connection cut; the longest delay."""

    lose: float = 0.0
    cut: float = 0.0
    delay: float = 0.0  # seconds

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Leave the receiving side alone: to a client, no request is as good as no answer."""
        dice, turn = Random(connection.query_params.get("seed", connection.id)), Lock()

        async def risky_send(event: Event) -> None:
            async with turn:
                if event["type"] == "websocket.send":
                    await sleep(self.delay * dice.random())
                    if dice.random() < self.cut:
                        await connection.close(1012, "chaos", by=self)
                    elif dice.random() < self.lose:
                        return
                await send(event)

        return receive, risky_send
