"""Take only messages that are signed for this connection and for this turn.

Run it from this folder:
    uvicorn message_auth:app
"""

import hmac
from os import getenv
from secrets import token_hex

from wspipe import ASGIConnection, Event, WebSocket, on_receive, on_send, websocket_app

KEY = getenv("MESSAGE_KEY") or token_hex()  # where there is none, nobody can sign


@on_send(lifecycle=True)
def invite(event: Event, connection: ASGIConnection) -> Event:
    if event["type"] != "websocket.accept":
        return event
    header = (b"x-connection", connection.id.encode())
    return {**event, "headers": [*(event.get("headers") or ()), header]}


@on_receive
async def check(event: Event, connection: ASGIConnection) -> Event | None:
    mac, text = (event.get("text") or "")[:64], (event.get("text") or "")[64:]
    signed = f"{connection.id} {connection.traffic.messages_received} {text}"
    expected = hmac.digest(KEY.encode(), signed.encode(), "sha256").hex()
    if hmac.compare_digest(mac.encode(), expected.encode()):
        return {**event, "text": text}
    await connection.close(3000, "the signature is wrong", by="message_auth")
    return None


@websocket_app(pipeline=invite | check)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)
