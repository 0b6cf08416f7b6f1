"""Visit the chat as four clients would.

Run it from this folder, while the chat is running, and with the same SESSION_KEY:

    python visit.py
"""

import sys
from time import time

from sessions import Session, sign
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

OURS, THEIRS = "https://chat.example.com", "https://evil.example"
HELLO = '{"type": "say", "text": "hello"}'

token = sign(Session(id="1", user="ada", expires_at=time() + 60, rooms=("lobby",)))
cookie = {"cookie": f"__Host-session={token}"}
login = f'{{"type": "login", "token": "{token}"}}'


def visit(origin: str, headers: dict[str, str], *messages: str) -> str:
    """Connect, say something, and tell what comes back."""
    try:
        with connect(url, origin=origin, additional_headers=headers) as client:
            for message in messages:
                client.send(message)
            return str(client.recv())
    except InvalidStatus as error:
        return f"refused, {error.response.status_code}"
    except ConnectionClosed as error:
        return f"closed, {error.rcvd.code} {error.rcvd.reason}"


url = f"ws://{(sys.argv[1:] or ['127.0.0.1:8000'])[0]}/chat/lobby"
print("another site, with a cookie:", visit(THEIRS, cookie, HELLO))
print("our page, with the cookie:", visit(OURS, cookie, HELLO))
print("our page, with a token:", visit(OURS, {}, login, HELLO))
print("our page, with neither:", visit(OURS, {}, HELLO))
