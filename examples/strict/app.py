"""A chat that believes nobody, behind the strict pipeline of `wspipe.toml` beside it.

Run it from this folder:

    uvicorn app:app
"""

from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
from sessions import Forbidden, Session, Unauthorized, read, revoke

from wspipe import PipelineMiddleware, WebSocket, WebSocketDisconnect, websocket_app
from wspipe_middlewares.auth_deadline import authenticated
from wspipe_middlewares.logging import configure


class Message(msgspec.Struct, tag=str.lower, forbid_unknown_fields=True):
    """What a client may send: `{"type": "say", "text": "hello"}`, and the two below."""


class Login(Message):
    """The first message of a client without a cookie; later, a token in place of an old one."""

    token: Annotated[str, msgspec.Meta(max_length=2000)]


class Say(Message):
    """Something for all in the room."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Logout(Message):
    """The end of the session, on all its connections."""


_messages = msgspec.json.Decoder(Login | Say | Logout)
_rooms: defaultdict[str, set[WebSocket]] = defaultdict(set)


@websocket_app
async def chat(socket: WebSocket) -> None:
    """Let those with a session talk; tell the others no more than these words."""
    try:
        await talk(socket)
    except Unauthorized:
        await refuse(socket, 3000, 401, "unauthorized")
    except Forbidden:
        await refuse(socket, 3003, 403, "forbidden")
    except (msgspec.DecodeError, RecursionError):
        await refuse(socket, 1007, 400, "invalid message")


async def talk(socket: WebSocket) -> None:
    """Do what a client says, as far as its session goes."""
    if cookie := socket.cookies.get("__Host-session"):
        enter(socket, read(cookie))
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        match _messages.decode(event.get("text") or ""):  # bytes are no message
            case Login(token):
                enter(socket, read(token))
            case _ if "auth" not in socket.scope:
                raise Unauthorized
            case Say(said) if socket.auth.may_speak:
                await tell(room_of(socket), {"user": socket.auth.user, "text": said})
            case Logout():
                revoke(socket.auth)
            case _:
                raise Forbidden


async def refuse(socket: WebSocket, code: int, status: int, reason: str) -> None:
    """End a connection, accepted or not."""
    if socket.connection_state in {"init", "connect"}:
        await socket.send_denial_response(status)
    else:
        await socket.close(code, reason)


def enter(socket: WebSocket, session: Session) -> None:
    """Let somebody into the room, or have them stay with a newer session."""
    before = socket.scope.get("auth")
    if before is not None and before.user != session.user:
        raise Forbidden
    room = room_of(socket)
    if room not in session.rooms:
        raise Forbidden
    socket.scope["auth"] = session
    authenticated(socket.scope, expires_at=session.expires_at)
    if before is None:
        _rooms[room].add(socket)
        socket.exit_stack.callback(leave, room, socket)


def leave(room: str, socket: WebSocket) -> None:
    """Forget a member, and the room with the last one."""
    _rooms[room].discard(socket)
    if not _rooms[room]:
        del _rooms[room]


def room_of(socket: WebSocket) -> str:
    """Give the room that a path is of."""
    return str(socket.scope["path"]).removeprefix("/chat/")


async def tell(room: str, message: dict[str, str]) -> None:
    """Tell all in a room; who does not read holds up nobody, for each has a queue."""
    for member in tuple(_rooms[room]):
        with suppress(WebSocketDisconnect):  # it has just left
            await member.send_json(message)


configure(json=True)  # which also hides the secrets in the server's own lines
app = PipelineMiddleware.from_config(chat, Path(__file__).with_name("wspipe.toml"))
