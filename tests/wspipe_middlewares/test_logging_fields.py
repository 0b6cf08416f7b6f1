"""The table of log fields: all that is logged stands there, and what stands there is logged."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from wspipe import Pipeline, WebSocket, websocket_app
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares import Logging, RateLimit, Tracing
from wspipe_middlewares.logging.fields import LOG_FIELDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.observed import Spans

pytestmark = pytest.mark.anyio


async def handler(socket: WebSocket) -> None:
    """Echo; fail when asked to."""
    socket.scope["wspipe.route"] = "/{room}"
    async with socket:
        async for message in socket.iter_text():
            if message == "fail":
                raise ValueError(message)
            await socket.send_text(message)


async def hold(pipeline: Pipeline, messages: Sequence[str]) -> None:
    """Hold a session; the end may be any."""
    app = websocket_app(handler, pipeline=pipeline)
    with anyio.fail_after(5), suppress(Exception):
        async with connect(app, "/7?a=1", headers=[(b"x-version", b"5")]) as client:
            for message in messages:
                await client.send_text(message)


async def test_the_table_has_the_fields_that_are_logged_and_no_others(
    logger: Any, lines: list[dict[str, Any]], spans: Spans
) -> None:
    logging = Logging(logger=logger, messages=True, headers=("x-version",))
    observers = logging | Tracing(tracer_provider=spans.provider)
    for limit in (
        RateLimit("1/minute", key="connection", on_limit="delay", max_delay=0),
        RateLimit("1/minute", key="connection", on_limit="drop"),
        RateLimit("1/minute", key="connection", on_limit="raise"),
        RateLimit("1/minute", key="connection", on_limit=lambda exceeded: exceeded.event),
        RateLimit("20/second", key="connection", burst=1),
    ):
        await hold(observers | limit, ["one", "two"])
    full = RateLimit("1/minute", cost="connections", on_limit="close")
    await hold(observers | full, [])
    with suppress(ConnectionDenied):
        await hold(observers | full, [])
    await hold(Pipeline(observers), ["fail"])

    logged: dict[str, set[str]] = {}
    for line in lines:
        for name in line.keys() - {"event", "level"}:
            logged.setdefault(name, set()).add(line["event"].removeprefix("websocket."))
    assert logged.keys() == LOG_FIELDS.keys()
    for name, events in logged.items():
        if name.startswith("rate_limit"):
            assert events <= {*LOG_FIELDS[name].lines}, name
        else:
            assert events == {*LOG_FIELDS[name].lines}, name
