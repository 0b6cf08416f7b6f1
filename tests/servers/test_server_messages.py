from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio

MEBIBYTE = 2**20


async def test_text_comes_back(visit: Visit) -> None:
    texts = ["hello", "ça va? 日本 🦄", "\x00\x7f\uffff", "long " * 20_000]
    async with asyncio.timeout(10), visit.connect("echo") as client:
        for text in texts:
            await client.send(text)
            assert await client.recv() == text
    report = await visit.report()
    size = sum(len(text.encode()) for text in texts)
    assert report["received"] == report["sent"] == [4, size]
    assert report["error"] is None


async def test_binary_data_comes_back(visit: Visit) -> None:
    data = bytes(range(256))
    async with asyncio.timeout(10), visit.connect("echo_bytes") as client:
        await client.send(data)
        assert await client.recv() == data
    report = await visit.report()
    assert report["received"] == report["sent"] == [1, 256]


@pytest.mark.parametrize("text", ["x" * MEBIBYTE, "ü" * (MEBIBYTE // 2)], ids=["ascii", "utf-8"])
async def test_a_mebibyte_of_text_comes_back(visit: Visit, text: str) -> None:
    async with asyncio.timeout(10), visit.connect("echo") as client:
        await client.send(text)
        # Not `==` within the assert: pytest would compare a mebibyte line by line.
        same = await client.recv() == text
        assert same
    report = await visit.report()
    assert report["received"] == report["sent"] == [1, MEBIBYTE]


async def test_a_mebibyte_of_binary_data_comes_back(visit: Visit) -> None:
    data = os.urandom(MEBIBYTE)
    async with asyncio.timeout(10), visit.connect("echo_bytes") as client:
        await client.send(data)
        same = await client.recv() == data
        assert same
    report = await visit.report()
    assert report["received"] == report["sent"] == [1, MEBIBYTE]


async def test_an_empty_message_comes_back(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("echo") as client:
        await client.send("")
        await client.send("next")
        answers = [await client.recv()]
        if answers == [""]:
            answers.append(await client.recv())
    # Daphne drops what is empty on its way out (WebSocketProtocol.handle_reply tests for truth).
    assert answers == (["next"] if visit.server.name == "daphne" else ["", "next"])


async def test_interceptors_drop_and_change_messages(visit: Visit) -> None:
    async with asyncio.timeout(10), visit.connect("echo") as client:
        for text in ("noise", "goodbye", "noise", "friend"):
            await client.send(text)
        assert [await client.recv(), await client.recv()] == ["au revoir", "friend"]
    report = await visit.report()
    # The tally is the wire's: what the client sent and got, whatever the stages made of it.
    assert report["received"] == [4, len("noisegoodbyenoisefriend")]
    assert report["sent"] == [2, len("au revoirfriend")]


async def test_the_handshake_carries_subprotocol_and_headers(visit: Visit) -> None:
    headers = {"X-Question": "anyone home?"}
    connecting = visit.connect(
        "shake_hands", subprotocols=["first", "second"], additional_headers=headers
    )
    async with asyncio.timeout(10), connecting as client:
        answer = json.loads(await client.recv())
        assert answer == {"question": "anyone home?", "offered": ["first", "second"]}
        assert client.subprotocol == "second"
        # Granian and daphne read only the subprotocol of an accept (ASGIMessageType::WSAccept,
        # WebSocketProtocol.serverAccept) and lose its headers.
        lost = visit.server.name in {"granian", "daphne"}
        assert client.response.headers.get("x-answer") == (None if lost else "yes")
    assert (await visit.report())["status"] == 101


async def test_the_server_runs_the_lifespan_of_the_pipeline(server: Server) -> None:
    visit = server.visit("handlers")
    async with asyncio.timeout(10), visit.connect("echo"):
        pass
    # Daphne sends no lifespan; there, what has resources opens them lazily.
    started = [] if server.name == "daphne" else ["observer"]
    assert (await visit.report())["started"] == started
