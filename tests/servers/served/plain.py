"""The same conversations as plain ASGI applications behind a `PipelineMiddleware`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from served.observation import Turnstile, pipeline, record_of

from wspipe import PipelineMiddleware

if TYPE_CHECKING:
    from wspipe import Receive, Scope, Send


async def echo(_: Scope, receive: Receive, send: Send) -> None:
    """Answer each message with the same message until the client leaves."""
    await _accept(receive, send)
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def shake_hands(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept with all that an accept may have, and tell what the client asked for."""
    await receive()
    offered = scope["subprotocols"]
    headers = [(b"x-answer", b"yes")]
    await send({"type": "websocket.accept", "subprotocol": offered[-1], "headers": headers})
    answer = {"question": dict(scope["headers"])[b"x-question"].decode(), "offered": offered}
    await send({"type": "websocket.send", "text": json.dumps(answer)})
    await receive()


async def close(_: Scope, receive: Receive, send: Send) -> None:
    """Close at the first message."""
    await _accept(receive, send)
    await receive()
    await send({"type": "websocket.close", "code": 4002, "reason": "merci à tous"})


async def fail(_: Scope, receive: Receive, send: Send) -> None:
    """Raise at the first message."""
    await _accept(receive, send)
    raise RuntimeError(f"broken on purpose: {(await receive())['text']}")


async def fail_early(scope: Scope, receive: Receive, _: Send) -> None:
    """Raise before the accept."""
    await receive()
    raise RuntimeError(f"broken on purpose: {scope['query_string'].decode()}")


async def deny(scope: Scope, receive: Receive, send: Send) -> None:
    """Deny with a response, where the server can."""
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    headers = [(b"x-answer", b"no")]
    await send({"type": "websocket.http.response.start", "status": 451, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"not in this country"})


async def deny_in_parts(_: Scope, receive: Receive, send: Send) -> None:
    """Deny with a response whose body comes in two parts."""
    await receive()
    await send({"type": "websocket.http.response.start", "status": 451, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"not in ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"this country"})


async def rejected(_: Scope, __: Receive, ___: Send) -> None:
    """Never run: the turnstile rejects."""
    raise AssertionError("a rejected connection reached the application")


async def talk_on(scope: Scope, receive: Receive, send: Send) -> None:
    """Know that the client has left, and send all the same."""
    await _accept(receive, send)
    while (await receive())["type"] == "websocket.receive":
        pass
    await _send_some(scope, send)


async def talk_blindly(scope: Scope, receive: Receive, send: Send) -> None:
    """Send when the test says so, without a look at what came meanwhile."""
    await _accept(receive, send)
    await record_of(scope).may_go_on.wait()
    await _send_some(scope, send)


async def _accept(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})


async def _send_some(scope: Scope, send: Send) -> None:
    try:
        for _ in range(10):
            await send({"type": "websocket.send", "text": "is anyone there?"})
    except Exception as error:
        record_of(scope).notes.append(type(error).__name__)
        raise


conversations = {
    app.__name__: PipelineMiddleware(app, pipeline=pipeline)
    for app in (
        echo,
        shake_hands,
        close,
        fail,
        fail_early,
        deny,
        deny_in_parts,
        talk_on,
        talk_blindly,
    )
}
conversations["echo_bytes"] = conversations["echo"]
conversations["rejected"] = PipelineMiddleware(rejected, pipeline=pipeline | Turnstile())
