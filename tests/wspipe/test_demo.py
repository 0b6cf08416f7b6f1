from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from wspipe import WebSocket, WebSocketDisconnect
from wspipe.cli import demo, room, watch
from wspipe.testing import Client, ConnectionDenied, connect, websocket_scope

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from wspipe import Event

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def nobody_left() -> AsyncGenerator[None]:
    yield
    assert not demo.room.sockets
    assert not demo.watch.visits.open


@asynccontextmanager
async def tab() -> AsyncGenerator[tuple[Client, str]]:
    """Open a tab and give it past its welcome, with its connection's id."""
    with anyio.fail_after(10):
        async with connect(demo.app, "/chat") as client:
            welcome = await client.receive_json()
            assert welcome["type"] == "welcome"
            assert (await client.receive_json())["type"] == "room"
            yield client, welcome["id"]


async def get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(demo.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path)


async def ended(client: Client) -> WebSocketDisconnect:
    """Receive until the application closes."""
    try:
        while True:
            await client.receive()
    except WebSocketDisconnect as end:
        return end


async def test_the_welcome_tells_the_id_and_the_pipeline() -> None:
    async with connect(demo.app, "/chat") as client:
        welcome = await client.receive_json()
        assert welcome["id"] in demo.watch.visits.open
        first, *observers, guard, watching, limit, smile = welcome["pipeline"]
        assert first == "StateValidation(strict=True)"
        names = [stage.partition("(")[0] for stage in observers]
        assert names == ["Logging", "Tracing", "Metrics"]
        assert (guard, watching, smile) == ("Guard()", "Watch()", "on_receive(smile)")
        assert limit.startswith("RateLimit('300/second', burst=200, ")
        assert welcome["limit"] == {"rate": "300/second", "burst": 200}


async def test_all_tabs_hear_what_one_says() -> None:
    async with tab() as (ada, _), tab() as (grace, _):
        assert await ada.receive_json() == {"type": "room", "tabs": 2}
        await ada.send_json({"type": "say", "name": "Ada", "text": "hello"})
        said = {"type": "said", "name": "Ada", "text": "hello"}
        assert await ada.receive_json() == said
        assert await grace.receive_json() == said


async def test_the_room_counts_its_tabs() -> None:
    async with tab() as (ada, _):
        async with tab():
            assert await ada.receive_json() == {"type": "room", "tabs": 2}
        assert await ada.receive_json() == {"type": "room", "tabs": 1}


async def test_the_interceptor_smiles_and_the_tally_counts_what_travelled() -> None:
    async with tab() as (client, connection_id):
        text = '{"type":"say","name":"Ada","text":":)"}'
        await client.send_text(text)
        assert (await client.receive_json())["text"] == "🙂"
        traffic = demo.watch.visits.open[connection_id].connection.traffic
        assert (traffic.messages_received, traffic.bytes_received) == (1, len(text))


async def test_an_illegal_event_is_refused_and_the_conversation_goes_on() -> None:
    async with tab() as (client, _):
        await client.send_json({"type": "illegal"})
        refusal = await client.receive_json()
        assert refusal["type"] == "refusal"
        assert "'websocket.accept'" in refusal["detail"]
        assert "legal from it here: websocket.send, websocket.close" in refusal["detail"]
        await client.send_json({"type": "flood", "number": 7})
        assert await client.receive_json() == {"type": "echo", "number": 7}


async def test_only_the_tab_that_floods_gets_the_echo() -> None:
    async with tab() as (ada, _), tab() as (grace, _):
        await ada.receive_json()
        await ada.send_json({"type": "flood", "number": 1})
        await ada.send_json({"type": "say", "name": "Ada", "text": "done"})
        assert (await ada.receive_json())["type"] == "echo"
        assert (await grace.receive_json())["text"] == "done"


async def test_a_flood_is_delayed_by_the_limit_and_comes_back_in_order() -> None:
    numbers = list(range(300))
    async with tab() as (client, connection_id):
        for number in numbers:
            await client.send_json({"type": "flood", "number": number})
        assert [(await client.receive_json())["number"] for _ in numbers] == numbers
        delayed = (await get(f"/connections/{connection_id}")).json()["delayed"]
    assert 0 < delayed <= len(numbers) - demo.limit.burst


async def test_who_chats_is_never_limited() -> None:
    async with tab() as (client, connection_id):
        for _ in range(100):
            await client.send_json({"type": "say", "name": "Ada", "text": "hello"})
            assert (await client.receive_json())["text"] == "hello"
        assert (await get(f"/connections/{connection_id}")).json()["delayed"] == 0


@pytest.mark.parametrize("message", [[], "say", {"type": "say", "name": 1, "text": "x"}])
async def test_an_unknown_message_is_answered(message: Any) -> None:
    async with tab() as (client, _):
        await client.send_json(message)
        assert await client.receive_json() == {"type": "unknown"}


@pytest.mark.parametrize(("message", "code"), [("no JSON", 1007), (b"{}", 1003)])
async def test_a_message_that_is_no_json_closes(message: str | bytes, code: int) -> None:
    async with tab() as (client, _):
        await (client.send_text if isinstance(message, str) else client.send_bytes)(message)
        assert (await ended(client)).code == code


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/elsewhere", None, 404),
        ("/chat", "http://elsewhere.test", 403),
        ("/chat", "null", 403),
    ],
)
async def test_the_guard_denies_what_is_not_from_the_page(
    path: str, origin: str | None, status: int
) -> None:
    headers = {"origin": origin} if origin else {}
    with pytest.raises(ConnectionDenied) as caught:
        async with connect(demo.app, path, headers=headers):
            pytest.fail("it was accepted")
    assert caught.value.status == status


async def test_the_guard_admits_the_page() -> None:
    async with connect(demo.app, "/chat", headers={"origin": "http://testserver"}) as client:
        assert (await client.receive_json())["type"] == "welcome"


async def test_a_tab_that_vanishes_before_its_answer_is_no_error() -> None:
    incoming = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": '{"type":"flood","number":1}'},
    ]

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        return incoming.pop(0)

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if "echo" in event.get("text", ""):
            raise OSError("connection lost")

    with anyio.fail_after(10):
        await demo.app({**websocket_scope("/chat")}, receive, send)


async def test_a_tab_that_vanished_does_not_keep_the_others_from_hearing() -> None:
    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] == "websocket.send":
            raise OSError("connection lost")

    vanished = WebSocket(websocket_scope(), receive, send)
    await vanished.accept()
    async with tab() as (client, _):
        demo.room.sockets.add(vanished)
        await client.send_json({"type": "say", "name": "Ada", "text": "hello"})
        assert (await client.receive_json())["text"] == "hello"
        await client.send_json({"type": "say", "name": "Ada", "text": "again"})
        assert (await client.receive_json())["text"] == "again"
        assert vanished not in demo.room.sockets


async def test_a_tab_that_takes_nothing_is_let_go_while_the_others_hear_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.1)
    stuck: list[str] = []

    async def receive() -> Event:
        await anyio.lowlevel.checkpoint()
        return {"type": "websocket.connect"}

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        if event["type"] != "websocket.accept":
            stuck.append(event["type"])
            await anyio.sleep_forever()

    slow = WebSocket(websocket_scope(), receive, send)
    await slow.accept()
    async with tab() as (client, _):
        demo.room.sockets.add(slow)
        await client.send_json({"type": "say", "name": "Ada", "text": "hello"})
        assert (await client.receive_json())["text"] == "hello"
        assert stuck == ["websocket.send"]
        await client.send_json({"type": "say", "name": "Ada", "text": "again"})
        assert (await client.receive_json())["text"] == "again"
        assert stuck == ["websocket.send", "websocket.close"]
        assert (slow.close_code, slow.closed_by) == (1013, demo.room)
        assert slow not in demo.room.sockets


async def test_all_connections_are_closed_when_the_demo_stops() -> None:
    async with tab() as (ada, first), tab() as (grace, second):
        await demo.close_all()
        for client in (ada, grace):
            end = await ended(client)
            assert (end.code, end.detail) == (1001, "the demo was stopped")
    for connection_id in (first, second):
        report = demo.watch.visits.ended[connection_id].report()
        assert (report["state"], report["closed_by"]) == ("disconnect", "server")


async def test_the_page_is_served_and_may_load_nothing_from_elsewhere() -> None:
    response = await get("/")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "<title>wspipe demo</title>" in response.text
    assert "://" not in response.text
    assert "innerHTML" not in response.text


async def test_a_path_without_a_page_is_not_found() -> None:
    assert (await get("/connections/0123456789abcdef")).status_code == 404
    assert (await get("/favicon.ico")).status_code == 404


async def test_a_report_tells_what_the_pipeline_knows() -> None:
    async with tab() as (client, connection_id):
        await client.send_json({"type": "flood", "number": 1})
        await client.receive_json()
        report = (await get(f"/connections/{connection_id}")).json()
        assert report["id"] == connection_id
        assert report["state"] == "receive"
        assert (report["messages_received"], report["bytes_received"]) == (1, 27)
        assert report["messages_sent"] == 3
        assert report["duration"] > 0
        assert (report["code"], report["closed_by"]) == (None, None)


async def test_a_report_tells_how_the_connection_ended() -> None:
    async with tab() as (client, connection_id):
        await client.close(1000, "the tab disconnected")
    report = (await get(f"/connections/{connection_id}")).json()
    assert report["state"] == "disconnect"
    assert report["code"] == 1000
    assert report["reason"] == "the tab disconnected"
    assert report["closed_by"] == "client"
    assert (await get(f"/connections/{connection_id}")).json() == report


async def test_a_report_names_the_stage_that_denied() -> None:
    with pytest.raises(ConnectionDenied):
        async with connect(demo.app, "/elsewhere"):
            pytest.fail("it was accepted")
    *_, last = demo.watch.visits.ended.values()
    assert last.report()["closed_by"] == "Guard"


async def test_only_so_many_ended_connections_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "REMEMBERED", 2)
    visits = watch.Visits()
    monkeypatch.setattr(demo.watch.visits, "ended", visits.ended)
    ids: list[str] = []
    for _ in range(3):
        async with tab() as (_, connection_id):
            ids.append(connection_id)
    assert list(visits.ended) == ids[1:]
