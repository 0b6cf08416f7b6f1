"""How a connection can end, and what each server reports of it: one table for all observers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from websockets.exceptions import InvalidHandshake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.servers.conftest import Visit

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
MASK = bytes(4)  # that changes nothing


async def leave(visit: Visit, conversation: str) -> None:
    async with visit.connect(conversation, additional_headers=HEADERS) as client:
        await client.send("hello")
        await client.recv()
        await client.close(4001, "à bientôt")


async def vanish(visit: Visit, conversation: str) -> None:
    async with visit.connect(conversation, additional_headers=HEADERS) as client:
        await client.send("hello")
        await client.recv()
        client.transport.abort()


async def send_what_is_no_text(visit: Visit, conversation: str) -> None:
    await _send_raw(visit, conversation, b"\x81\x82" + MASK + b"\xff\xfe")


async def send_an_unknown_opcode(visit: Visit, conversation: str) -> None:
    await _send_raw(visit, conversation, b"\x83\x80" + MASK)


async def _send_raw(visit: Visit, conversation: str, frame: bytes) -> None:
    async with visit.connect(conversation, additional_headers=HEADERS) as client:
        await client.send("hello")
        await client.recv()
        client.transport.write(frame)
        await client.wait_closed()


async def send_one(visit: Visit, conversation: str) -> None:
    async with visit.connect(conversation, additional_headers=HEADERS) as client:
        await client.send("hello")
        await visit.report()


async def knock(visit: Visit, conversation: str) -> None:
    with pytest.raises(InvalidHandshake):
        await visit.connect(conversation, additional_headers=HEADERS)


@dataclass(frozen=True)
class Case:
    """A conversation, what the client does in it, and what is to be told of its end.

    The end is status, close code, reason, who closed and the error type; `but` has it for the
    servers that report something else than most.
    """

    conversation: str
    act: Callable[[Visit, str], Awaitable[None]]
    end: tuple[Any, ...]
    but: dict[str, tuple[Any, ...]]

    def told(self, visit: Visit) -> dict[str, Any]:
        """Give what each observer is to tell."""
        end = self.but.get(visit.server.name, self.end)
        return {
            **dict(zip(("status", "code", "reason", "closed_by", "error_type"), end, strict=True)),
            "received": [0, 0] if self.act is knock else [1, 5],
            "sent": [1, 5] if self.conversation == "echo" else [0, 0],
        }


# What most servers make of a lost connection is 1006; some say 1005, which stands for a close frame
# without a code, and so for the client. Hypercorn tells 1006 whatever the client sent. Granian and
# daphne put no reason into the disconnect event. Daphne has no denial response, so that a close
# denies there, and closes with no code of the protocol but 1000.
LOST = (101, 1006, "", "unknown", "1006")
NO_CODE = (101, 1005, "", "client", None)
NO_REASON = (101, 4001, "", "client", None)
DECODING = "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"
PROTOCOL_ERROR = "wspipe.exceptions.ProtocolError"

CASES = {
    "the client closes": Case(
        "echo",
        leave,
        (101, 4001, "à bientôt", "client", None),
        {"hypercorn": LOST, "hypercorn-trio": LOST, "granian": NO_REASON, "daphne": NO_REASON},
    ),
    "the client vanishes": Case(
        "echo",
        vanish,
        LOST,
        {"uvicorn-websockets-sansio": NO_CODE, "uvicorn-wsproto": NO_CODE, "granian": NO_CODE},
    ),
    "the client sends what is no text": Case(
        "echo",
        send_what_is_no_text,
        LOST,
        {
            "uvicorn-websockets-sansio": (101, 1007, "", "unknown", "1007"),
            "uvicorn-wsproto": (101, 1007, DECODING, "unknown", "1007"),
            "granian": NO_CODE,
        },
    ),
    "the client sends an unknown opcode": Case(
        "echo",
        send_an_unknown_opcode,
        LOST,
        {
            "uvicorn-websockets-sansio": (101, 1002, "invalid opcode", "unknown", "1002"),
            "uvicorn-wsproto": (101, 1002, "Invalid opcode 0x3", "unknown", "1002"),
            "granian": NO_CODE,
        },
    ),
    "the application closes": Case(
        "close", send_one, (101, 4002, "merci à tous", "application", None), {}
    ),
    "the handler returns": Case("end", send_one, (101, 1000, "", "application", None), {}),
    "the handler raises": Case(
        "fail", send_one, (101, 1011, "", "application", "RuntimeError"), {}
    ),
    "the handler sends an illegal event": Case(
        "accept_twice", send_one, (101, 1011, "", "application", PROTOCOL_ERROR), {}
    ),
    "a middleware closes": Case(
        "limit",
        send_one,
        (101, 1008, "too much", "Limit", "1008"),
        {"daphne": (101, 1000, "too much", "Limit", None)},
    ),
    "a middleware rejects": Case(
        "rejected",
        knock,
        (429, None, "", "Turnstile", None),
        {"daphne": (403, 1008, "", "Turnstile", None)},
    ),
    "the handler denies": Case(
        "deny",
        knock,
        (451, None, "", "application", None),
        {"daphne": (403, 1008, "", "application", None)},
    ),
    "the handler raises before the accept": Case(
        "fail_early",
        knock,
        (500, None, "", "application", "RuntimeError"),
        {"daphne": (403, 1011, "", "application", "RuntimeError")},
    ),
    # What the server makes of these, the application does not hear.
    "an application raises": Case(
        "plain_fail", send_one, (101, None, "", "application", "RuntimeError"), {}
    ),
    "an application returns": Case(
        "plain_leave", send_one, (101, None, "", "application", None), {}
    ),
    "an application raises before the accept": Case(
        "plain_fail_early", knock, (None, None, "", "application", "RuntimeError"), {}
    ),
    "an application answers nothing": Case(
        "plain_ignore", knock, (None, None, "", "application", "unanswered"), {}
    ),
}

# Uvicorn closes by itself; hypercorn cancels the application when its graceful timeout is over.
# Granian and daphne drop the connection and end, mostly before any application hears.
SERVER_STOPS = Case(
    "echo",
    leave,
    (101, 1012, "", "server", None),
    {
        "hypercorn": (101, 1001, "", "server", None),
        "hypercorn-trio": (101, 1001, "", "server", None),
        "granian": NO_CODE,
        "daphne": LOST,
    },
)
