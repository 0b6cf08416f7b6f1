"""`Logging`: the level of each close code, and a share of the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import ImproperlyConfiguredException, WebSocket, websocket_app
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

LEVELS: Any = {1000: "debug", 1006: "info", 1011: "critical", 4001: "warning"}


async def echo(socket: WebSocket) -> None:
    async for message in socket.iter_text():
        await socket.send_text(message)


async def last_line(
    lines: list[dict[str, Any]],
    logging: Logging,
    code: int | None = 1000,
    handler: Callable[[WebSocket], Awaitable[None]] = echo,
) -> dict[str, Any]:
    with anyio.fail_after(5):
        try:
            async with connect(websocket_app(handler, pipeline=logging)) as client:
                await client.send_text("1")
                await client.close(code)
        except (LookupError, ConnectionDenied):
            pass
    return lines[-1]


@pytest.mark.parametrize(
    ("code", "level"), [(1000, "debug"), (None, "info"), (4001, "warning"), (1001, "info")]
)
async def test_the_level_of_a_close_code_is_the_one_chosen(
    logger: Any, lines: list[dict[str, Any]], code: int | None, level: str
) -> None:
    line = await last_line(lines, Logging(logger=logger, levels=LEVELS), code)
    assert (line["event"], line["level"]) == ("websocket.close", level)


async def test_it_holds_for_an_error_too(logger: Any, lines: list[dict[str, Any]]) -> None:
    async def fail(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError

    line = await last_line(lines, Logging(logger=logger, levels=LEVELS), handler=fail)
    assert (line["event"], line["level"]) == ("websocket.error", "critical")


async def test_a_rejection_has_no_close_code(logger: Any, lines: list[dict[str, Any]]) -> None:
    async def reject(socket: WebSocket) -> None:
        await socket.close(1000)

    line = await last_line(lines, Logging(logger=logger, levels=LEVELS), handler=reject)
    assert (line["status"], line["level"]) == (403, "warning")


async def test_a_share_of_the_messages_is_logged(
    logger: Any, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = iter([0.1, 0.5, 0.9, 0.49])
    monkeypatch.setattr("wspipe_middlewares.logging.connection.random", lambda: next(draws))
    app = websocket_app(echo, pipeline=Logging(logger=logger, messages=True, ratio=0.5))
    async with connect(app) as client:
        for text in ("1", "22"):
            await client.send_text(text)
            await client.receive()
    told = [(line["event"], line["size"]) for line in lines if "size" in line]
    assert told == [("websocket.receive", 1), ("websocket.send", 2)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ratio": 2}, "ratio is 0 to 1, not 2"),
        ({"levels": {"1006": "info"}}, "levels go by close code, a number, not '1006'"),
        (
            {"levels": {1000: "loud"}},
            "code 1000 is one of debug, info, warning, error, critical, not 'loud'",
        ),
    ],
)
def test_what_could_not_work_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=message):
        Logging(**options)


def test_levels_do_not_keep_it_from_being_hashed() -> None:
    assert hash(Logging(levels=LEVELS)) == hash(Logging(levels=LEVELS))
    assert Logging(levels=LEVELS) != Logging()
