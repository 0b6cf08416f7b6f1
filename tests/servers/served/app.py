"""The application that every server serves: `/handlers/echo`, `/plain/echo` and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from served import handlers, plain
from served.observation import records

from wspipe import ASGIConnection, Event, PipelineMiddleware, WebSocket, on_receive, websocket_app

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send


@on_receive
def pass_on(event: Event, _: ASGIConnection) -> Event:
    """Do nothing, but be there."""
    return event


@websocket_app
async def control(socket: WebSocket) -> None:
    """Do to the named connections what the test asks for."""
    command, *names = await socket.receive_json()
    answer = []
    for name in names:
        record = records[name]
        if command == "report":
            await record.ended.wait()
            answer.append(record.report)
        elif command.startswith("evict with "):
            code = int(command.removeprefix("evict with "))
            await record.connection.close(code, "go away", by="operator")
        elif command == "go on":
            record.may_go_on.set()
    await socket.send_json(answer)
    # Hypercorn's trio worker dies where both sides close at the same moment: the client may.
    await socket.receive()


routes = {
    "/control": control,
    **{f"/handlers/{name}": app for name, app in handlers.conversations.items()},
    "/nested/echo": PipelineMiddleware(PipelineMiddleware(handlers.conversations["echo"]), pass_on),
    **{f"/plain/{name}": app for name, app in plain.conversations.items()},
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose by the path; the lifespan goes to one that has a pipeline with resources."""
    path = "/handlers/echo" if scope["type"] == "lifespan" else scope["path"]
    await routes[path](scope, receive, send)
