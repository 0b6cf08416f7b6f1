"""The application that does not receive until the test says so, and then receives everything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from served.app import control
from served.observation import record_of

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, stall, then report on the messages, each of which begins with its number."""
    if scope["type"] == "lifespan" or scope["path"] == "/control":
        await control(scope, receive, send)
        return
    record, received, in_order = record_of(scope), 0, True
    await receive()
    await send({"type": "websocket.accept"})
    await record.may_go_on.wait()
    while (event := await receive())["type"] == "websocket.receive":
        in_order = in_order and int.from_bytes(event["bytes"][:8], "big") == received
        received += 1
    record.report = {"received": received, "in order": in_order}
    record.ended.set()
