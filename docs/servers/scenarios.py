"""The rows of the tables: what happens, and what the client does in it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from docs.servers.visit import end_of, messages_to
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from docs.servers.visit import Visit

MEBIBYTE = 2**20


async def knock(visit: Visit) -> tuple[str, str]:
    """Connect, and see with which status that is refused."""
    status, _ = await visit.refusal()
    return status, await visit.told()


async def read_the_denial(visit: Visit) -> tuple[str, str]:
    """Connect, and read the response that refuses it."""
    status, body = await visit.refusal()
    return f"{status}, “{body}”" if body else status, await visit.told()


async def wait(visit: Visit) -> tuple[str, str]:
    """Connect, and wait for the end."""
    async with visit.connected() as client:
        end = await end_of(client)
    return end, await visit.told()


async def look_for_the_header(visit: Visit) -> tuple[str, str]:
    """Connect, and look for the header of the accept."""
    async with visit.connected() as client:
        response = client.response
        assert response is not None  # noqa: S101 - it is connected
        header = "the header" if response.headers.get("x-answer") == "yes" else "no header"
        await end_of(client)
        return header, await visit.told()


async def leave(visit: Visit) -> tuple[str, str]:
    """Close with a code and a reason."""
    async with visit.connected() as client:
        await client.close(4001, "au revoir")
        return await end_of(client), await visit.told()


async def vanish(visit: Visit) -> tuple[str, str]:
    """Drop the TCP connection."""
    async with visit.connected() as client:
        client.transport.abort()
        return "", await visit.told()


async def vanish_first(visit: Visit) -> tuple[str, str]:
    """Drop the TCP connection, and only then let the application go on."""
    async with visit.connected() as client:
        client.transport.abort()
        await client.wait_closed()
    return "", await visit.told("go")


async def send_much(visit: Visit) -> tuple[str, str]:
    """Send a message of 16 MiB and one byte, in fragments.

    What crosses that limit is one byte, so that no data lie unread in the server when it closes:
    those would make TCP reset the connection, and the close frame would be lost. It is the last
    fragment, because Hypercorn drops what it reads together with it.
    """
    async with visit.connected() as client:
        with suppress(ConnectionClosed):
            async with client.send_context():
                client.protocol.send_text(b"x" * MEBIBYTE, fin=False)
                for _ in range(15):
                    client.protocol.send_continuation(b"x" * MEBIBYTE, fin=False)
                client.protocol.send_continuation(b"x", fin=True)
        end = await end_of(client)
    return end, await visit.told()


async def send_half_a_mebibyte(visit: Visit) -> tuple[str, str]:
    """Send a message that every server takes."""
    async with visit.connected() as client:
        await client.send("x" * (MEBIBYTE // 2))
        end = await end_of(client)
    return end, await visit.told()


async def read_the_reason(visit: Visit) -> tuple[str, str]:
    """Wait for the end, and look how long its reason is."""
    async with visit.connected() as client:
        end = await end_of(client)
        reason = client.close_reason or ""
        return f"{end}, {len(reason)} bytes" if reason else end, await visit.told()


async def read_one(visit: Visit) -> tuple[str, str]:
    """Read the messages up to the end."""
    async with visit.connected() as client:
        messages = [message async for message in messages_to(client)]
        end = await end_of(client)
        return ", ".join([*(f"the {each}" for each in messages), end]), await visit.told()


async def read_many(visit: Visit) -> tuple[str, str]:
    """Read the messages of the two tasks, and see whether each is whole and in order."""
    async with visit.connected() as client:
        messages = [message async for message in messages_to(client)]
    of_each = [[each for each in messages if each.startswith(name)] for name in "ab"]
    expected = [[f"{name}{number} ".ljust(2**14, name) for number in range(20)] for name in "ab"]
    return "all, in order" if of_each == expected else "not all", await visit.told()


@dataclass(frozen=True)
class Scenario:
    """A row.

    Args:
        title: What happens.
        conversation: What the application does.
        act: What the client does; gives what the client and the application got.
        why_client: Why clients get different things with wspipe, where they do.
        why_application: The same for the application.
    """

    title: str
    conversation: str
    act: Callable[[Visit], Awaitable[tuple[str, str]]]
    why_client: str = ""
    why_application: str = ""


NO_REASON = "Hypercorn, Granian and Daphne put no reason into the disconnect event"
LOST_CODE = "Hypercorn tells 1006 whatever the client sent"
ECHO = "Daphne answers each close frame with 1000."
UNTOLD = (
    "Hypercorn, Granian and Daphne drop what they cannot send and tell nobody; uvicorn raises an "
    "`OSError`, as ASGI has it."
)

SCENARIOS = (
    Scenario("raises before the accept", "raise_before_accept", knock),
    Scenario("returns before the accept", "return_before_accept", knock),
    Scenario(
        "denies with status 451 and a body",
        "deny_with_body",
        read_the_denial,
        "Daphne has no denial response. What an application that does not look for the extension "
        "sends is refused, and its exception makes Daphne answer 500.",
        "Daphne has no denial response, so that the event is refused.",
    ),
    Scenario(
        "accepts with a header",
        "accept_with_header",
        look_for_the_header,
        "Granian and Daphne read the subprotocol of the accept and drop its headers.",
    ),
    Scenario("raises after the accept", "raise_after_accept", wait),
    Scenario("returns without a close", "return_after_accept", wait),
    Scenario("closes twice, with 4000 and 4001", "close_twice", wait),
    Scenario(
        "closes with a reason of 124 bytes",
        "close_with_long_reason",
        read_the_reason,
        "Daphne sends the code only.",
    ),
    Scenario("closes with 1005", "close_with_1005", wait),
    Scenario("sends text and bytes in one event", "send_text_and_bytes", read_one),
    Scenario("sends from two tasks at once", "send_from_two_tasks", read_many),
    Scenario(
        "the client closes with 4001 and a reason",
        "listen",
        leave,
        ECHO,
        f"{NO_REASON}, and {LOST_CODE}.",
    ),
    Scenario(
        "raises when the client has closed",
        "raise_after_disconnect",
        leave,
        ECHO,
        f"{NO_REASON}, and {LOST_CODE}.",
    ),
    Scenario("sends when the client has closed", "send_after_disconnect", leave, ECHO),
    Scenario(
        "the client vanishes",
        "listen",
        vanish,
        "",
        "RFC 6455 has 1006 for an end without a close frame. 1005 stands for a close frame without "
        "a code; a middleware cannot tell whether there was one.",
    ),
    Scenario("sends when the client has vanished", "send_blindly", vanish_first, "", UNTOLD),
    Scenario(
        "the client sends 512 KiB",
        "measure",
        send_half_a_mebibyte,
        "Daphne can close with 1000 and 3000 to 4999 only.",
        "As for the client.",
    ),
    Scenario(
        "the client sends 16 MiB and a byte",
        "measure",
        send_much,
        "The server refuses a message before a middleware sees it: uvicorn and Hypercorn above "
        "16 MiB, Granian above 64 MiB, Daphne above 1 MiB. Daphne drops the connection.",
        "As for the client: who refuses the message tells the application of the end only.",
    ),
)

SHUTDOWN = Scenario(
    "the server shuts down",
    "listen",
    wait,
    "Uvicorn closes by itself. Hypercorn cancels the applications, which closes with 1001. Granian "
    "and Daphne drop the connections; see `Drain`.",
)
