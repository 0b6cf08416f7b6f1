"""Mask the card numbers in what a client is sent, all but the first digit and the last four.

Run it from this folder:
    uvicorn redact:app
"""

import re

from wspipe import ASGIConnection, Event, WebSocket, on_send, websocket_app

CARD = re.compile(
    r"[3-6](?:(?<!\d\d)|(?<=\\u[\da-fA-F]{4}\d))"  # JSON may spell the character before in digits
    r"(?:\d{12,18}|\d{3}(?:[ -]\d{4}){3,}|\d{3}[ -]\d{6}[ -]\d{5})(?!\d)",
    re.ASCII,
)


def mask(found: re.Match[str]) -> str:
    number = found[0]
    if number.isdigit():  # any number, unless its check digit fits: ISO/IEC 7812-1, annex B
        digits = [int(digit) for digit in reversed(number)]
        if (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10:
            return number
    # Digits for digits, so that a number in JSON stays one.
    return number[0] + re.sub(r"\d(?=(?:\D?\d){4})", "0", number[1:])


@on_send
def redact(event: Event, _connection: ASGIConnection) -> Event:
    text = event.get("text")
    return event if text is None else {**event, "text": CARD.sub(mask, text)}


@websocket_app(pipeline=redact)
async def app(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(f"you said {message}")
