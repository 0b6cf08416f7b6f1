"""An application whose connections end in ways in which the demo's do not; it serves metrics."""

from __future__ import annotations

from wspipe import ASGIConnection, Composable, ConnectionRejected, Receive, Send, WebSocket
from wspipe import websocket_app as application
from wspipe.cli.telemetry import Telemetry, with_metrics
from wspipe_middlewares import Metrics, RateLimit

# Nobody listens there.
limit = RateLimit("1000/second", store="redis://127.0.0.1:1")


class Door(Composable):
    """Is closed at /closed."""

    def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        if connection.scope["path"] == "/closed":
            raise ConnectionRejected(503)


@application(pipeline=Metrics() | Door() | limit)
async def fail(socket: WebSocket) -> None:
    async for message in socket.iter_bytes():
        await socket.send_bytes(message)
        raise LookupError("this handler fails")


Telemetry(prometheus=True, collector=None)
app = with_metrics(fail)
