"""An application that fails in every way, behind every policy of `Recovery`: `/table/known`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wspipe import PipelineMiddleware, WebSocketException, websocket_app
from wspipe_middlewares.recovery import Close, Recovery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Receive, Scope, Send


class RoomError(Exception):
    """An application's own error."""


class RoomFull(RoomError):
    """A special case of it."""


async def known(_: Send) -> None:
    raise RoomFull("internal detail")


async def known_group(_: Send) -> None:
    raise ExceptionGroup("internal detail", [ExceptionGroup("", [RoomFull()]), RoomError()])


async def protocol_code(_: Send) -> None:
    raise PermissionError("internal detail")


async def unknown(_: Send) -> None:
    raise KeyError("internal detail")


async def unknown_group(_: Send) -> None:
    raise ExceptionGroup("internal detail", [RoomFull(), KeyError()])


async def own_exception(_: Send) -> None:
    raise WebSocketException(detail="internal detail", code=4003)


async def returns(_: Send) -> None:
    return


async def closes_as_a_framework(send: Send) -> None:
    await send({"type": "websocket.close", "code": 4500, "reason": "internal detail"})


async def closes_kept(send: Send) -> None:
    await send({"type": "websocket.close", "code": 4404, "reason": "é" * 100})


acts: dict[str, Callable[[Send], Awaitable[None]]] = {
    act.__name__: act
    for act in (
        known,
        known_group,
        protocol_code,
        unknown,
        unknown_group,
        own_exception,
        returns,
        closes_as_a_framework,
        closes_kept,
    )
}
policies = {
    "default": Recovery(),
    "table": Recovery(
        {RoomError: 4000, RoomFull: Close(4001, "the room is full", 429), PermissionError: 1008}
    ),
    "own": Recovery(code=4510, reason="désolé", status=503, returned=4100),
    "closes": Recovery(closes={4500: 4011, 4404: Close(4004, "no such room")}),
    "closes-1011": Recovery(closes={4500: 1011}),
}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says: at once where the query is `early`, else at the first message."""
    await receive()
    if scope["query_string"] != b"early":
        await send({"type": "websocket.accept"})
        if (await receive())["type"] == "websocket.disconnect":
            return
    await acts[scope["path"].rpartition("/")[2]](send)


@websocket_app
async def lifespan(_: object) -> None:
    """Answer the lifespan; nobody comes here."""


applications = {
    name: PipelineMiddleware(application, recovery) for name, recovery in policies.items()
}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Choose the policy by the path."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    else:
        await applications[scope["path"].split("/")[1]](scope, receive, send)
