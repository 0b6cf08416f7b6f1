"""`Logging`: nothing that a client sends gets raw into a rendered line."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import pytest
import structlog

from wspipe import PipelineMiddleware, WebSocket, websocket_app
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import Logging

if TYPE_CHECKING:
    from wspipe import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio

# Line breaks of all kinds, terminal escape sequences (of 7 and of 8 bits), NUL, backspaces, a
# right-to-left override and a forged line.
HOSTILE = (
    "\r\n[info] websocket.open forged=1\x1b[31m\x9b31m\x00\b\x7f\x85\x0b\x0c\u2028\u2029\u202e\t"
)
LATIN = HOSTILE.encode("latin-1", "ignore")


def from_a_proxy(app: ASGIApp) -> ASGIApp:
    """Let the address of the client be what a header said."""

    async def proxied(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": (f"10.0.0.1{HOSTILE}", 1)}, receive, send)

    return proxied


async def accepts(socket: WebSocket) -> None:
    await socket.accept()
    async for message in socket.iter_text():
        await socket.send_text(message)


async def fails_with_the_message(socket: WebSocket) -> None:
    await socket.accept()
    raise LookupError(await socket.receive_text())


async def fails_because_of_the_reason(socket: WebSocket) -> None:
    await socket.accept()
    async for _ in socket.iter_text():
        pass
    raise LookupError(socket.close_reason) from ValueError(socket.close_reason)


async def denies_with_the_path(socket: WebSocket) -> None:
    await socket.close(4000, socket.scope["path"])


RENDERERS = {
    "json": structlog.processors.JSONRenderer(ensure_ascii=False),
    "console": structlog.dev.ConsoleRenderer(colors=False),
    "plain": structlog.dev.ConsoleRenderer(
        colors=False, exception_formatter=structlog.dev.plain_traceback
    ),
    "key-value": structlog.processors.KeyValueRenderer(),
    "logfmt": structlog.processors.LogfmtRenderer(),
}


@pytest.mark.parametrize("renderer", RENDERERS)
@pytest.mark.parametrize(
    "handler",
    [
        accepts,
        fails_with_the_message,
        fails_because_of_the_reason,
        denies_with_the_path,
    ],
)
async def test_no_control_character_of_a_client_gets_into_a_line(
    renderer: str, handler: Any
) -> None:
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.add_log_level, RENDERERS[renderer]],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    logging = Logging(messages=True, headers=("x-any",), logger=logger)
    options: Any = {
        "headers": [(b"user-agent", b"agent" + LATIN), (b"x-any", LATIN)],
    }
    app = from_a_proxy(websocket_app(handler, pipeline=logging))
    with anyio.fail_after(5):
        try:
            url = f"/path{quote(HOSTILE)}?q={HOSTILE}&token={HOSTILE}"
            async with connect(app, url, **options) as client:
                await client.send_text(f"text{HOSTILE}")
                await client.close(4000, f"reason{HOSTILE}")
        except (ConnectionDenied, LookupError):
            pass
    text = out.getvalue()
    opened = handler is not denies_with_the_path
    assert text.count("websocket.close") + text.count("websocket.error") == 1
    assert text.count("user_agent") == 1 + opened
    assert {char for char in text if not char.isprintable()} == {"\n"}
    assert not any(
        line.startswith("[info]") and "forged" in line[:30] for line in text.splitlines()
    )
    if renderer == "json":
        assert all(json.loads(line)["event"] for line in text.splitlines())


async def test_a_subprotocol_is_escaped_where_the_wire_stage_lets_it_through(
    logger: Any, lines: list[dict[str, Any]]
) -> None:
    async def app(scope: Scope, _: Receive, send: Send) -> None:
        await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})

    async def receive() -> Any:
        raise AssertionError("nothing is received")

    async def send(_: Any) -> None: ...

    scope = websocket_scope(subprotocols=[HOSTILE])
    await PipelineMiddleware(app, pipeline=Logging(logger=logger))(scope, receive, send)
    assert [line["subprotocol"].isprintable() for line in lines] == [True, True]


async def test_long_values_are_cut(logger: Any, lines: list[dict[str, Any]]) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept(socket.scope["subprotocols"][0])
        raise LookupError("x" * 100_000)

    long = "x" * 10_000
    headers = [(b"user-agent", long.encode()), (b"x-any", long.encode())]
    app = websocket_app(handler, pipeline=Logging(headers=("x-any",), logger=logger))
    with pytest.raises(LookupError):
        async with connect(app, f"/{long}?{long}", headers=headers, subprotocols=[long]):
            pass
    for line in lines:
        assert all(len(str(value)) < 300 for key, value in line.items() if key != "exception")
        assert len(line.get("exception", "")) < 30_000
