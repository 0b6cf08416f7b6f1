"""The echo on raw ASGI: the base of all that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import orjson

if TYPE_CHECKING:
    from wspipe import ASGIApp

Kind: TypeAlias = Literal["text", "binary", "json"]


async def echo_text(_scope: Any, receive: Any, send: Any) -> None:
    """Echo text on raw ASGI."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})


async def echo_binary(_scope: Any, receive: Any, send: Any) -> None:
    """Echo bytes on raw ASGI."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event["bytes"]})


async def echo_json(_scope: Any, receive: Any, send: Any) -> None:
    """Echo JSON on raw ASGI, with orjson."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        answer = orjson.dumps(orjson.loads(event["text"])).decode()
        await send({"type": "websocket.send", "text": answer})


RAW: dict[Kind, ASGIApp] = {"text": echo_text, "binary": echo_binary, "json": echo_json}
