"""The application that every server serves: `/handlers/echo`, `/plain/echo` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wspipe import WebSocket, websocket_app

from served import handlers, plain
from served.observation import gates, live, reports

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send


@websocket_app
async def control(socket: WebSocket) -> None:
    """Do what the test asks about the connections that it names."""
    command, *names = await socket.receive_json()
    if command == "report":
        await socket.send_json([await reports[name] for name in names])
    elif command == "evict":
        for name in names:
            await live[name].close(4003, "go away", by="operator")
    elif command == "go on":
        for name in names:
            gates[name].set()


routes = {
    "/control": control,
    **{f"/handlers/{handler.__name__}": handler for handler in handlers.conversations},
    **{f"/plain/{name}": app for name, app in plain.conversations.items()},
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path; the lifespan is that of a pipeline with resources."""
    if scope["type"] == "lifespan":
        await handlers.echo(scope, receive, send)
    else:
        await routes[scope["path"]](scope, receive, send)
