"""Talk msgpack with the clients that offer it, while the application knows JSON only.

Run it from this folder:
    uvicorn transform:app
"""

from msgspec import json, msgpack

from wspipe import ASGIConnection, Event, WebSocket, on_receive, on_send, select, websocket_app


@on_receive
async def unpack(event: Event, connection: ASGIConnection) -> Event | None:
    try:
        text = json.encode(msgpack.decode(event.get("bytes") or b"")).decode()
    except (ValueError, TypeError, RecursionError):
        await connection.close(1007, "that is no msgpack, or JSON cannot say it", by="transform")
        return None
    return {"type": "websocket.receive", "text": text}


@on_send(lifecycle=True)
def pack(event: Event, _connection: ASGIConnection) -> Event:
    if event["type"] == "websocket.accept":
        return {**event, "subprotocol": "msgpack"}
    if event.get("text") is not None:
        return {"type": "websocket.send", "bytes": msgpack.encode(json.decode(event["text"]))}
    return event


transform = select(
    lambda connection: "msgpack" in connection.scope.get("subprotocols", ()), unpack | pack
)


@websocket_app(pipeline=transform)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_json():
        await socket.send_json(message)
