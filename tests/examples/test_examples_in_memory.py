"""What the programs in `examples/` do, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anyio import fail_after
from structlog.testing import capture_logs

from wspipe import WebSocket, WebSocketDisconnect, websocket_app
from wspipe.testing import ConnectionDenied, connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import TypeAlias

    Example: TypeAlias = Callable[[str], ModuleType]

pytestmark = pytest.mark.anyio


async def answers(app: Any, *messages: str, url: str = "/") -> list[str]:
    """Send the messages, then one to mark the end, and give what comes before its answer."""
    received: list[str] = []
    with fail_after(10):
        async with connect(app, url) as client:
            for message in messages:
                await client.send_text(message)
            await client.send_text("the end")
            while "the end" not in (answer := await client.receive()):
                received.append(answer)
    return received


async def test_echo_sends_each_message_back_and_logs_the_connection(example: Example) -> None:
    with capture_logs() as logs:
        assert await answers(example("echo").app, "one", "zwölf", "") == ["one", "zwölf", ""]
    assert [entry["event"] for entry in logs] == ["websocket.open", "websocket.close"]
    assert logs[1]["messages_received"] == 4


async def test_interceptors_hide_drop_and_answer(example: Example) -> None:
    app = example("first_interceptor").app
    assert await answers(app, "4111-1111-1111-1111 and 4111111111111111", " ", "", "ping") == [
        "you said [card] and [card]",
        "pong",
    ]


async def test_interceptors_let_binary_messages_pass(example: Example) -> None:
    module = example("first_interceptor")

    @websocket_app(pipeline=module.hide_cards | module.drop_blank | module.answer_ping)
    async def echo(socket: WebSocket) -> None:
        async for data in socket.iter_bytes():
            await socket.send_bytes(data)

    with fail_after(10):
        async with connect(echo) as client:
            for data in (b" ", b"ping", b"4111111111111111"):
                await client.send_bytes(data)
                assert await client.receive() == data


async def test_the_quota_closes_logs_and_counts_for_each_connection(example: Example) -> None:
    app = example("own_middleware").app
    with capture_logs() as logs, fail_after(10):
        async with connect(app, "/?user=ann") as ann, connect(app, "/?user=bob") as bob:
            await bob.send_text("hello")
            for _ in range(4):
                await ann.send_text("hello")
            assert [await ann.receive() for _ in range(3)] == ["hello"] * 3
            with pytest.raises(WebSocketDisconnect) as closed:
                await ann.receive()
            assert await bob.receive() == "hello"
    assert closed.value.code == 1008
    assert sorted(entry["used"] for entry in logs if entry["event"] == "quota") == [1, 3]
    ends = {entry["query"]: entry for entry in logs if entry["event"] == "websocket.close"}
    assert ends["user=ann"]["closed_by"] == "Quota"
    assert ends["user=bob"]["closed_by"] == "client"


async def test_the_quota_denies_who_has_no_name(example: Example) -> None:
    with fail_after(10), pytest.raises(ConnectionDenied) as denied:
        async with connect(example("own_middleware").app):
            pass
    assert denied.value.status == 401


async def test_the_chat_tells_everybody_and_forgets_who_left(example: Example) -> None:
    module = example("chat_class")
    with fail_after(10):
        async with connect(module.app, "/?name=ann") as ann:
            assert await ann.receive() == "ann: came in"
            async with connect(module.app) as bob:
                assert await bob.receive() == "somebody: came in"
                assert len(module.members) == 2
                await ann.send_text("hello")
                assert await bob.receive() == "ann: hello"
            assert len(module.members) == 1
    assert not module.members


async def test_starlette_behind_a_pipeline_echoes(example: Example) -> None:
    module = example("around_starlette")
    with capture_logs() as logs:
        assert await answers(module.app, "hello", url="/echo") == ["hello"]
    assert logs[-1]["path"] == "/echo"
