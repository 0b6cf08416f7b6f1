"""Talk to those who show a token, for as long as it is good.

Run it from this folder:

    uvicorn auth:app
"""

from __future__ import annotations

from time import time

from wspipe import ASGIConnection, WebSocket, websocket_app
from wspipe_middlewares import AuthDeadline, Logging, authenticated

TOKENS = {"t-ann": ("ann", 3600), "t-bob": ("bob", 2)}  # of whom, and good for how many seconds
tickets = {"once": "t-ann"}
revoked: set[str] = set()


def is_good(connection: ASGIConnection) -> bool:
    return connection.scope["token"] not in revoked


deadline = AuthDeadline(within=3, recheck=is_good, every=1)


def login(socket: WebSocket, token: str) -> bool:
    """Note who it is and for how long; false where the token is nobody's, or somebody else's."""
    user, seconds = TOKENS.get(token, (None, 0))
    if user is None or token in revoked or socket.scope.get("user", user) != user:
        return False
    socket.scope["user"], socket.scope["token"] = user, token
    return authenticated(socket.scope, expires_at=time() + seconds)


@websocket_app(pipeline=Logging() | deadline)
async def app(socket: WebSocket) -> None:
    ticket = socket.query_params.get("ticket")
    if ticket and not login(socket, tickets.pop(ticket, "")):
        await socket.send_denial_response(401)
        return
    await socket.accept()
    async for text in socket.iter_text():
        command, _, token = text.partition(" ")
        if command == "login":
            if not login(socket, token):
                await socket.close(3003 if "user" in socket.scope else 3000, "not your token")
        elif "user" not in socket.scope:
            await socket.close(3000, "log in first")
        elif command == "logout":
            revoked.add(socket.scope["token"])
        else:
            await socket.send_text(f"{socket.user}: {text}")
