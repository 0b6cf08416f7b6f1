"""`Logging`: the lines of a connection, their fields and levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog

from wspipe import (
    ImproperlyConfiguredException,
    WebSocket,
    on_send,
    websocket_app,
)
from wspipe.testing import connect
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from wspipe import Middleware
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio

HEADERS = [(b"user-agent", b"tests/1.0"), (b"x-version", b"5"), (b"authorization", b"Bearer 123")]


async def echo(socket: WebSocket) -> None:
    await socket.accept("chat")
    async for message in socket.iter_text():
        await socket.send_text(message * 2)


async def just_connect(_: Client) -> None: ...


async def converse(
    pipeline: Middleware, client_does: Callable[[Client], Awaitable[None]] = just_connect
) -> None:
    """Have a client talk to the handler."""
    app = websocket_app(echo, pipeline=pipeline)
    options: Any = {"headers": HEADERS, "subprotocols": ["chat"]}
    with anyio.fail_after(5):
        async with connect(app, "/rooms/5?a=1&token=123", **options) as client:
            await client_does(client)


async def test_a_connection_has_a_line_when_it_opens_and_one_when_it_ends(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    async def talk(client: Client) -> None:
        await client.send_text("é")
        await client.receive()
        await client.close(4001, "enough")

    await converse(Logging(logger=logger), client_does=talk)
    opened, closed = lines
    request = {
        "connection_id": opened["connection_id"],
        "path": "/rooms/5",
        "query": "a=1&token=[redacted]",
        "client": "127.0.0.1:50000",
        "user_agent": "tests/1.0",
        "subprotocol": "chat",
    }
    assert len(opened["connection_id"]) == 16
    assert opened == {"event": "websocket.open", "level": "info", **request}
    assert 0 <= closed.pop("duration") < 5
    assert closed == {
        "event": "websocket.close",
        "level": "info",
        **request,
        "status": 101,
        "messages_received": 1,
        "messages_sent": 1,
        "bytes_received": 2,
        "bytes_sent": 4,
        "code": 4001,
        "reason": "enough",
        "closed_by": "client",
    }


async def test_the_headers_that_are_asked_for_are_logged_and_secrets_hidden(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    names = ("X-Version", "authorization", "x-missing")
    await converse(Logging(logger=logger, headers=names))
    assert lines[0]["headers"] == {"X-Version": "5", "authorization": "[redacted]"}
    assert lines[1]["headers"] == lines[0]["headers"]
    await converse(Logging(logger=logger, headers=names, redact=frozenset({"X_VERSION", "A"})))
    assert lines[2]["headers"]["X-Version"] == "[redacted]"
    assert lines[2]["query"] == "a=[redacted]&token=[redacted]"


async def test_what_the_server_and_the_client_do_not_tell_is_none(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    class Socket(WebSocket, pipeline=Logging(logger=logger)): ...

    async with Socket({"type": "websocket"}):
        pass
    (line,) = lines
    assert (line["path"], line["client"], line["user_agent"]) == ("", None, None)
    assert "query" not in line
    assert (line["status"], line["code"], line["closed_by"]) == (None, None, "application")


async def test_the_default_logger_is_structlogs_own() -> None:
    with structlog.testing.capture_logs() as captured:
        await converse(Logging())
    assert [line["event"] for line in captured] == ["websocket.open", "websocket.close"]
    assert [line["log_level"] for line in captured] == ["info", "info"]


@pytest.mark.parametrize("options", [{"preview": -1}, {"headers": "x-version"}])
def test_what_could_not_work_is_refused(options: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=next(iter(options))):
        Logging(**options)


def test_two_of_the_same_configuration_are_equal_and_the_repr_makes_one() -> None:
    config = Logging(messages=True, preview=5, headers=("a",), redact=frozenset({"b"}))
    assert config == Logging(messages=True, preview=5, headers=("a",), redact=frozenset({"b"}))
    assert config != Logging()
    assert eval(repr(config)) == config  # noqa: S307 - that it can be evaluated is the claim
    assert len(Logging() | on_send(print)) == 2
