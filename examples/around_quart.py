"""Put a pipeline around an application of Quart, and tell it the patterns of Quart's routes.

Run it from this folder:

    uvicorn around_quart:app
"""

from __future__ import annotations

from quart import Quart, websocket
from werkzeug.exceptions import HTTPException

from wspipe import ASGIConnection, PipelineMiddleware, Receive, Send
from wspipe_middlewares import Logging

app = Quart(__name__)


@app.websocket("/rooms/<int:room>")
async def talk(room: int) -> None:
    while True:
        message = await websocket.receive()
        await websocket.send(f"room {room}: {message!r}")


def tell_route(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Ask Quart's map for the rule that it will choose."""
    routes = app.url_map.bind("")
    try:
        rule, _ = routes.match(connection.scope["path"], websocket=True, return_rule=True)
    except HTTPException:
        return receive, send  # Quart will answer that there is none
    connection.scope["wspipe.route"] = rule.rule
    return receive, send


pipeline = tell_route | Logging()
app.asgi_app = PipelineMiddleware(app.asgi_app, pipeline)  # type: ignore[arg-type, assignment]
