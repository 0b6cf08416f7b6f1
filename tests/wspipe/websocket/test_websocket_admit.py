"""`WebSocket`: admission where no runner is there to ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import ASGIConnection, Composable, ConnectionRejected, WebSocket

if TYPE_CHECKING:
    from wspipe import Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}


@dataclass(frozen=True)
class Door(Composable):
    """Asks the scope whether to admit."""

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        notes = connection.scope.setdefault("notes", [])
        connection.exit_stack.callback(lambda: notes.append(("ended by", connection.closed_by)))
        return receive, send

    async def admit(self, connection: ASGIConnection) -> None:
        connection.scope["notes"].append("admit")
        if connection.scope.get("rejects"):
            raise ConnectionRejected(401, code=4001)


class Guarded(WebSocket, pipeline=Door()): ...


async def test_admission_is_asked_once_when_the_application_accepts(serve: Any) -> None:
    socket, server = serve(Guarded, CONNECT)
    await socket.accept()
    await socket.accept()
    assert socket.scope["notes"] == ["admit"]
    assert server.sent == [ACCEPT]


async def test_admission_is_not_asked_again_where_the_accept_is_tried_again(serve: Any) -> None:
    socket, server = serve(Guarded, CONNECT)
    server.fault = RuntimeError("not now")
    with pytest.raises(RuntimeError, match="not now"):
        await socket.accept()
    server.fault = None
    await socket.accept()
    assert socket.scope["notes"] == ["admit"]
    assert server.sent == [ACCEPT]


@pytest.mark.parametrize("method", ["accept", "send_text", "receive_text"])
async def test_a_rejection_denies_and_ends_where_the_application_accepts(
    serve: Any, method: str
) -> None:
    socket, server = serve(Guarded, CONNECT, rejects=True)
    with pytest.raises(ConnectionRejected) as rejected:
        await getattr(socket, method)(*["x"] if method == "send_text" else [])
    assert rejected.value.by == Door()
    assert [event.get("status") for event in server.sent] == [401, None]
    assert socket.scope["notes"] == ["admit", ("ended by", Door())]
    assert socket.connection_state == "disconnect"


async def test_a_close_in_place_of_the_accept_asks_nobody(serve: Any) -> None:
    socket, server = serve(Guarded, CONNECT, rejects=True)
    await socket.close(4000)
    assert socket.scope["notes"] == [("ended by", "application")]
    assert server.sent == [{"type": "websocket.close", "code": 4000, "reason": ""}]
