"""Send a client the topics that it asked for, and no others: `{"subscribe": ["price"]}`.

Run it from this folder:
    uvicorn filter:app
"""

import orjson

from wspipe import ASGIConnection, Event, Receive, Send, WebSocket, websocket_app


def field(event: Event, name: str) -> object:
    try:
        return orjson.loads(event.get("text") or "").get(name)
    except (ValueError, AttributeError):  # no JSON, or no object
        return None


def subscriptions(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    topics = unwanted = ["news", "price"]  # messages of another type, or of none, always pass

    async def learn() -> Event:
        nonlocal unwanted
        while isinstance(asked := field(event := await receive(), "subscribe"), list):
            unwanted = [topic for topic in topics if topic not in asked]
        return event

    async def choose(event: Event) -> None:
        if field(event, "type") not in unwanted:
            await send(event)

    return learn, choose


@websocket_app(pipeline=subscriptions)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
