"""The conversations as handlers of `websocket_app`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from served.observation import Turnstile, pipeline, record_of

from wspipe import WebSocketDisconnect, websocket_app

if TYPE_CHECKING:
    from wspipe import WebSocket


@websocket_app(pipeline=pipeline)
async def echo(socket: WebSocket) -> None:
    """Answer text with the same text until the client leaves."""
    async for text in socket.iter_text():
        await socket.send_text(text)


@websocket_app(pipeline=pipeline)
async def echo_bytes(socket: WebSocket) -> None:
    """Answer binary data with the same data until the client leaves."""
    async for data in socket.iter_bytes():
        await socket.send_bytes(data)


@websocket_app(pipeline=pipeline)
async def shake_hands(socket: WebSocket) -> None:
    """Accept with all that an accept may have, and tell what the client asked for."""
    offered = socket.scope["subprotocols"]
    await socket.accept(offered[-1], {"x-answer": "yes"})
    await socket.send_json({"question": socket.headers["x-question"], "offered": offered})
    await socket.receive_text()


@websocket_app(pipeline=pipeline)
async def close(socket: WebSocket) -> None:
    """Close at the first message."""
    await socket.receive_text()
    await socket.close(4002, "merci à tous")


@websocket_app(pipeline=pipeline)
async def end(socket: WebSocket) -> None:
    """Return at the first message."""
    await socket.receive_text()


@websocket_app(pipeline=pipeline)
async def fail(socket: WebSocket) -> None:
    """Raise at the first message."""
    raise RuntimeError(f"broken on purpose: {await socket.receive_text()}")


@websocket_app(pipeline=pipeline)
async def fail_early(socket: WebSocket) -> None:
    """Raise before the accept."""
    raise RuntimeError(f"broken on purpose: {socket.query_params['name']}")


@websocket_app(pipeline=pipeline)
async def deny(socket: WebSocket) -> None:
    """Deny with a response."""
    await socket.send_denial_response(451, {"x-answer": "no"}, "not in this country")


@websocket_app(pipeline=pipeline | Turnstile())
async def rejected(_: WebSocket) -> None:
    """Never run: the turnstile rejects."""
    raise AssertionError("a rejected connection reached the application")


@websocket_app(pipeline=pipeline)
async def talk_on(socket: WebSocket) -> None:
    """Know that the client has left, and send all the same."""
    async for _ in socket.iter_text():
        pass
    await _send_some(socket)


@websocket_app(pipeline=pipeline)
async def talk_blindly(socket: WebSocket) -> None:
    """Send when the test says so, without a look at what came meanwhile."""
    await socket.accept()
    await record_of(socket.scope).may_go_on.wait()
    await _send_some(socket)


async def _send_some(socket: WebSocket) -> None:
    try:
        for _ in range(10):
            await socket.send_text("is anyone there?")
    except WebSocketDisconnect as error:
        record_of(socket.scope).notes.append(type(error).__name__)
        raise


conversations = {
    handler.__name__: handler
    for handler in (
        echo,
        echo_bytes,
        shake_hands,
        close,
        end,
        fail,
        fail_early,
        deny,
        rejected,
        talk_on,
        talk_blindly,
    )
}
