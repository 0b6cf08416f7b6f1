"""What the interceptors in `examples/interceptors/` do, without a server."""

from __future__ import annotations

import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgpack
import msgspec
import pytest
from anyio import CancelScope, create_task_group, fail_after
from anyio import Event as Signal

from wspipe import (
    Pipeline,
    PipelineMiddleware,
    StateValidation,
    WebSocket,
    WebSocketDisconnect,
    testing,
    websocket_app,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from types import ModuleType

    from wspipe import ASGIApp, Event, Middleware
    from wspipe.testing import Client

pytestmark = pytest.mark.anyio

DEEP = "[" * 100_000


@pytest.fixture
def interceptor(example: Callable[[str], ModuleType]) -> Callable[[str], ModuleType]:
    """Load one of the interceptors afresh."""
    return lambda name: example(f"interceptors/{name}")


@asynccontextmanager
async def connect(app: ASGIApp, url: str = "/", **options: Any) -> AsyncGenerator[Client]:
    """Connect, and wait for nothing for ever."""
    with fail_after(20):
        async with testing.connect(app, url, **options) as client:
            yield client


def echo(pipeline: Middleware) -> ASGIApp:
    """Make an application that sends back whatever comes, text or binary."""

    @websocket_app(pipeline=pipeline)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        while (event := await socket.receive())["type"] == "websocket.receive":
            await socket.send({**event, "type": "websocket.send"})

    return app


async def exchange(client: Client, message: str | bytes) -> str | bytes:
    await send(client, message)
    return await client.receive()


async def send(client: Client, message: str | bytes) -> None:
    if isinstance(message, str):
        await client.send_text(message)
    else:
        await client.send_bytes(message)


async def code_after(client: Client, message: str | bytes) -> int:
    await send(client, message)
    with pytest.raises(WebSocketDisconnect) as closed:
        await client.receive()
    return closed.value.code


# redact


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("4111111111111111", "4000000000001111"),
        ("4111 1111 1111 1111 12/27", "4000 0000 0000 1111 12/27"),
        ("4111-1111-1111-1111, 5555-5555-5555-4444", "4000-0000-0000-1111, 5000-0000-0000-4444"),
        ("4567 4111 1111 1111 1111", "4000 0000 0000 0000 1111"),
        ("3782 822463 10005, 378282246310005", "3000 000000 00005, 300000000000005"),
        ('{"card": 4111111111111111}', '{"card": 4000000000001111}'),
        (json.dumps("号4111111111111111"), json.dumps("号4000000000001111")),
    ],
)
async def test_card_numbers_are_masked(
    interceptor: Callable[[str], ModuleType], text: str, masked: str
) -> None:
    async with connect(echo(interceptor("redact").redact)) as client:
        assert await exchange(client, text) == masked


@pytest.mark.parametrize(
    "message",
    [
        "",
        "at 1700000000000 ms, 1700000000000000 us",
        "order 4111111111111112",  # the check digit is wrong
        "411111111111",
        "41111111111111111100",  # 20 digits, the first 19 of which would be one
        "94111111111111111",
        "call 4111 1111",
        b"4111111111111111",
    ],
)
async def test_what_is_no_card_number_is_left_as_it_is(
    interceptor: Callable[[str], ModuleType], message: str | bytes
) -> None:
    async with connect(echo(interceptor("redact").redact)) as client:
        assert await exchange(client, message) == message


# filter


async def test_topics_come_to_those_only_who_subscribed(
    interceptor: Callable[[str], ModuleType],
) -> None:
    app = echo(interceptor("filter").subscriptions)
    news, price, other = (json.dumps({"type": each}) for each in ("news", "price", "other"))
    async with connect(app) as ann, connect(app) as bob:
        await ann.send_json({"subscribe": ["price", "unknown", 7, ["news"]]})
        for client in (ann, bob):
            for message in (news, price, other):
                await client.send_text(message)
        assert [await ann.receive(), await ann.receive()] == [price, other]
        assert await bob.receive() == other
        await ann.send_json({"subscribe": ["news"]})
        await ann.send_text(price)
        assert await exchange(ann, news) == news
        await ann.send_json({"subscribe": []})
        await ann.send_text(news)
        assert await exchange(ann, other) == other


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "null",
        '"subscribe"',
        '["subscribe"]',
        '{"subscribe": "news"}',
        '{"subscribe": null}',
        '{"type": ["news"]}',
        '{"type": {}}',
        '{"type": "new',
        DEEP,
        b'{"subscribe": ["news"]}',
        b'{"type": "news"}',
    ],
    ids=lambda message: repr(message[:30]),
)
async def test_what_is_neither_a_subscription_nor_of_a_topic_passes(
    interceptor: Callable[[str], ModuleType], message: str | bytes
) -> None:
    async with connect(echo(interceptor("filter").subscriptions)) as client:
        assert await exchange(client, message) == message


# transform


async def test_a_client_that_offers_msgpack_talks_it(
    interceptor: Callable[[str], ModuleType],
) -> None:
    value = {"text": "zwölf", "list": [1, -2.5, None, True], "big": 2**64 - 1, "map": {"a": {}}}
    app = interceptor("transform").app
    async with connect(app, subprotocols=["chat", "msgpack"]) as client:
        assert client.subprotocol == "msgpack"
        answer = await exchange(client, msgpack.packb(value))
        assert isinstance(answer, bytes)
        assert msgpack.unpackb(answer) == value


async def test_a_client_that_does_not_talks_json(interceptor: Callable[[str], ModuleType]) -> None:
    async with connect(interceptor("transform").app, subprotocols=["chat"]) as client:
        assert client.subprotocol is None
        assert await exchange(client, '{"a":1}') == '{"a":1}'


async def test_the_application_gets_text_and_its_bytes_pass(
    interceptor: Callable[[str], ModuleType],
) -> None:
    seen: list[Event] = []

    @websocket_app(pipeline=interceptor("transform").transform)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        seen.append(await socket.receive())
        await socket.send_bytes(b"\x00")

    async with connect(app, subprotocols=["msgpack"]) as client:
        assert await exchange(client, msgpack.packb({"a": b"b"})) == b"\x00"
    assert seen == [{"type": "websocket.receive", "text": '{"a":"Yg=="}'}]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",  # is never used
        b"\x01\x01",
        b"\xa1\xff",  # is no UTF-8
        b"\x81\x90\x01",  # an array as a key
        b"\xd4\x05\x00",  # an extension type
        b"\x91" * 100_000,
        '{"a": 1}',
    ],
    ids=lambda message: repr(message[:8]),
)
async def test_what_is_no_msgpack_closes_with_1007(
    interceptor: Callable[[str], ModuleType], message: str | bytes
) -> None:
    async with connect(interceptor("transform").app, subprotocols=["msgpack"]) as client:
        assert await code_after(client, message) == 1007


async def test_an_application_that_sends_no_json_is_told(
    interceptor: Callable[[str], ModuleType],
) -> None:
    @websocket_app(pipeline=interceptor("transform").transform)
    async def app(socket: WebSocket) -> None:
        await socket.send_text("hello")

    with pytest.raises(ValueError, match="malformed"):
        async with connect(app, subprotocols=["msgpack"]) as client:
            await client.receive()


# validate


@pytest.mark.parametrize("message", ['{"item": "tea", "amount": 2}', b'{"amount":1,"item":""}'])
async def test_what_fits_the_schema_passes_as_it_is(
    interceptor: Callable[[str], ModuleType], message: str | bytes
) -> None:
    async with connect(echo(interceptor("validate").validate)) as client:
        assert await exchange(client, message) == message


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("", "truncated"),
        ("{tea}", "malformed"),
        ("[]", "Expected `object`"),
        ('{"item": "tea"}', "`amount`"),
        ('{"item": "tea", "amount": 101}', "$.amount"),
        ('{"item": 1, "amount": 1}', "$.item"),
        ('{"item": "tea", "amount": 1, "price": 0}', "`price`"),
        (b'{"item": "tea"}', "`amount`"),
        (b"\xff", ""),
        (DEEP, ""),
        ('{"item": "tea", "amount": ' + DEEP, ""),
    ],
    ids=lambda message: repr(message[:30]),
)
async def test_what_does_not_is_answered_and_dropped(
    interceptor: Callable[[str], ModuleType], message: str | bytes, error: str
) -> None:
    good = '{"item": "tea", "amount": 1}'
    async with connect(echo(interceptor("validate").validate)) as client:
        await send(client, message)
        assert error in (await client.receive_json())["error"]
        assert await exchange(client, good) == good


class Tree(msgspec.Struct):
    children: list[Tree]


async def test_what_is_nested_too_deep_for_its_schema_is_answered_too(
    interceptor: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = interceptor("validate")
    monkeypatch.setattr(module, "Order", Tree)
    async with connect(echo(module.validate)) as client:
        await client.send_text('{"children":[' * 100_000)
        assert "recursion" in (await client.receive_json())["error"]


async def read_on(_scope: Any, receive: Any, send: Any) -> None:
    """Accept, and receive until the end."""
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def read_on_after_closing(scope: Any, receive: Any, send: Any) -> None:
    async def accept_and_close(event: Any) -> None:
        await send(event)
        await send({"type": "websocket.close"})

    await read_on(scope, receive, accept_and_close)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("app", "expected"),
    [(read_on, ["accept", "send"]), (read_on_after_closing, ["accept", "close"])],
)
async def test_who_has_left_is_not_answered(
    interceptor: Callable[[str], ModuleType], app: ASGIApp, expected: list[str], *, strict: bool
) -> None:
    events = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "bad"},
        {"type": "websocket.disconnect", "code": 1006},
    ]
    sent = []

    async def receive() -> Event:
        return events.pop(0)

    async def broken_send(event: Event) -> None:
        sent.append(event["type"].removeprefix("websocket."))
        if event["type"] == "websocket.send":
            raise OSError("the client is gone")

    stages = Pipeline(StateValidation(strict=strict), interceptor("validate").validate)
    await PipelineMiddleware(app, stages)(testing.websocket_scope(), receive, broken_send)
    assert (events, sent) == ([], expected)


# audit


def chained(output: str) -> list[dict[str, Any]]:
    """Check the chain of one connection, and give its records."""
    link, records = "", []
    for line in output.splitlines():
        records.append(json.loads(line))
        assert records[-1]["previous"] == link
        link = hashlib.sha256(line.encode()).hexdigest()
    assert len({record["connection"] for record in records}) == 1
    assert records[-1]["type"] == "end"
    return records


async def test_everything_said_is_on_record(
    capsys: pytest.CaptureFixture[str], interceptor: Callable[[str], ModuleType]
) -> None:
    async with connect(echo(interceptor("audit").audit)) as client:
        await exchange(client, "zwölf\n{}")
        await exchange(client, b"\x00")
    output = capsys.readouterr().out
    records = chained(output)
    assert [record["type"].removeprefix("websocket.") for record in records] == [
        *("connect", "accept", "receive", "send", "receive", "send", "disconnect", "end")
    ]
    assert [record.get("text") or record.get("bytes") for record in records[2:6]] == [
        *["zwölf\n{}"] * 2,
        *["b'\\x00'"] * 2,
    ]
    assert [record["at"] for record in records] == sorted(record["at"] for record in records)
    assert {tuple(record["who"]) for record in records} == {("127.0.0.1", 50000)}
    assert records[-1]["code"] == 1000
    for tampered in (output.replace("zw", "ZW"), output.replace("\n", "", 1)):
        with pytest.raises((AssertionError, ValueError)):
            chained(tampered)


async def test_a_record_has_the_name_of_the_user(
    capsys: pytest.CaptureFixture[str], interceptor: Callable[[str], ModuleType]
) -> None:
    class User:
        display_name = "ann"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["user"] = User()
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async with connect(PipelineMiddleware(app, pipeline=interceptor("audit").audit)):
        pass
    assert [record["who"] for record in chained(capsys.readouterr().out)][1:] == ["ann"] * 3


async def test_the_record_ends_when_the_application_fails(
    capsys: pytest.CaptureFixture[str], interceptor: Callable[[str], ModuleType]
) -> None:
    @websocket_app(pipeline=interceptor("audit").audit)
    async def app(socket: WebSocket) -> None:
        await socket.receive_text()
        raise LookupError("lost")

    with pytest.raises(LookupError):
        async with connect(app) as client:
            await code_after(client, "hello")
    assert chained(capsys.readouterr().out)[-1]["code"] == 1011


async def test_each_connection_has_a_chain_of_its_own(
    capsys: pytest.CaptureFixture[str], interceptor: Callable[[str], ModuleType]
) -> None:
    app = echo(interceptor("audit").audit)
    async with connect(app) as ann, connect(app) as bob:
        for client in (ann, bob, ann):
            await exchange(client, "hello")
    lines = capsys.readouterr().out.splitlines(keepends=True)
    names = {json.loads(line)["connection"] for line in lines}
    lengths = [len(chained("".join(line for line in lines if name in line))) for name in names]
    assert sorted(lengths) == [6, 8]


# echo_suppress


@pytest.fixture
def room(interceptor: Callable[[str], ModuleType]) -> Callable[..., ASGIApp]:
    """Make a room in which nobody hears what they said."""

    def make(**options: Any) -> ASGIApp:
        members: set[WebSocket] = set()

        @websocket_app(pipeline=interceptor("echo_suppress").NoEcho(**options))
        async def app(socket: WebSocket) -> None:
            await socket.accept()
            members.add(socket)
            async for text in socket.iter_text():
                for member in members:
                    await member.send_text(text)

        return app

    return make


async def test_a_room_hears_each_member_except_that_one(room: Callable[..., ASGIApp]) -> None:
    app = room()
    async with connect(app) as ann, connect(app) as bob:
        for text in ("one", "two", "one"):
            await ann.send_text(text)
        assert [await bob.receive() for _ in range(3)] == ["one", "two", "one"]
        await bob.send_text("one")
        assert await ann.receive() == "one"


async def test_what_is_too_old_or_one_too_many_is_not_known_again(
    room: Callable[..., ASGIApp],
) -> None:
    for options in ({"seconds": 0}, {"texts": 0}):
        async with connect(room(**options)) as client:
            assert await exchange(client, "hello") == "hello"


async def test_the_oldest_text_is_forgotten_first(interceptor: Callable[[str], ModuleType]) -> None:
    @websocket_app(pipeline=interceptor("echo_suppress").NoEcho(texts=2))
    async def late(socket: WebSocket) -> None:
        texts = [await socket.receive_text() for _ in range(3)]
        for text in [*texts, "the end"]:
            await socket.send_text(text)

    async with connect(late) as client:
        for text in ("one", "two", "three"):
            await client.send_text(text)
        assert [await client.receive(), await client.receive()] == ["one", "the end"]


async def test_binary_messages_are_no_echo(interceptor: Callable[[str], ModuleType]) -> None:
    @websocket_app(pipeline=interceptor("echo_suppress").NoEcho())
    async def app(socket: WebSocket) -> None:
        await socket.send_bytes((await socket.receive_text()).encode())

    async with connect(app) as client:
        assert await exchange(client, "abc") == b"abc"


# message_auth


@pytest.fixture
def signed(interceptor: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the program with a key that we know."""
    monkeypatch.setenv("MESSAGE_KEY", "s3cret")
    return interceptor("message_auth")


def sign(client: Client, number: int, text: str, key: bytes = b"s3cret") -> str:
    name = dict(client.headers)[b"x-connection"].decode()
    return hmac.new(key, f"{name} {number} {text}".encode(), "sha256").hexdigest() + text


async def test_signed_messages_pass_without_their_signatures(signed: ModuleType) -> None:
    async with connect(signed.app) as ann, connect(signed.app) as bob:
        for number, text in enumerate(("one", "", "zwölf"), 1):
            for client in (ann, bob):
                assert await exchange(client, sign(client, number, text)) == text


@pytest.mark.parametrize(
    "forge",
    [
        lambda _client: "",
        lambda _client: "hello",
        lambda _client: "ö" * 70,
        lambda client: sign(client, 2, "hello").encode(),
        lambda client: sign(client, 1, "hello"),  # a replay
        lambda client: sign(client, 3, "hello"),  # one is missing
        lambda client: sign(client, 2, "hello") + "!",
        lambda client: sign(client, 2, "hello").upper(),
        lambda client: sign(client, 2, "hello", b"another key"),
    ],
)
async def test_any_other_message_closes_with_3000(
    signed: ModuleType, forge: Callable[[Client], str | bytes]
) -> None:
    async with connect(signed.app) as client:
        await exchange(client, sign(client, 1, "hello"))
        assert await code_after(client, forge(client)) == 3000


async def test_what_was_signed_for_one_connection_is_wrong_on_another(signed: ModuleType) -> None:
    async with connect(signed.app) as ann, connect(signed.app) as bob:
        assert await code_after(bob, sign(ann, 1, "hello")) == 3000
        assert await exchange(ann, sign(ann, 1, "hello")) == "hello"


async def test_the_headers_of_the_application_stay(signed: ModuleType) -> None:
    @websocket_app(pipeline=signed.invite | signed.check)
    async def app(socket: WebSocket) -> None:
        await socket.accept(headers={"x-own": "1"})

    async with connect(app) as client:
        assert [name for name, _ in client.headers] == [b"x-own", b"x-connection"]


async def test_where_no_key_is_set_nobody_can_sign(
    interceptor: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESSAGE_KEY", "")
    async with connect(interceptor("message_auth").app) as client:
        assert await code_after(client, sign(client, 1, "hello", b"")) == 3000


# chaos


async def fates(pipeline: Middleware, seed: str | None) -> list[int | str | bytes]:
    """Give what comes of 60 messages, and the close code."""
    came: list[int | str | bytes] = []

    @websocket_app(pipeline=pipeline)
    async def app(socket: WebSocket) -> None:
        for each in range(60):
            await socket.send_text(str(each))

    async with connect(app, f"/?seed={seed}" if seed else "/") as client:
        try:
            while True:
                came.append(await client.receive())
        except WebSocketDisconnect as end:
            came.append(end.code)
    return came


async def test_a_seed_makes_the_chaos_the_same_each_time(
    interceptor: Callable[[str], ModuleType],
) -> None:
    chaos = interceptor("chaos").Chaos(lose=0.2, cut=0.01)
    first = {seed: await fates(chaos, seed) for seed in "abcdefgh"}
    assert first == {seed: await fates(chaos, seed) for seed in reversed("abcdefgh")}
    ends = [came[-1] for came in first.values()]
    assert set(ends) == {1000, 1012}
    assert 0 < min(map(len, first.values())) < max(map(len, first.values())) < 60


async def test_without_a_seed_each_connection_has_one_of_its_own(
    interceptor: Callable[[str], ModuleType],
) -> None:
    chaos = interceptor("chaos").Chaos(lose=0.5)
    assert await fates(chaos, None) != await fates(chaos, None)


async def test_chaos_with_its_defaults_does_nothing(
    interceptor: Callable[[str], ModuleType],
) -> None:
    assert await fates(interceptor("chaos").Chaos(), "a") == [*map(str, range(60)), 1000]


async def test_a_cut_is_the_end_for_the_application_too(
    interceptor: Callable[[str], ModuleType],
) -> None:
    chaos = interceptor("chaos").Chaos(cut=1)
    ends: list[object] = []

    @websocket_app(pipeline=chaos)
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(WebSocketDisconnect):
            await socket.send_bytes(b"\x00")
        ends.append(socket.closed_by)

    async with connect(app) as client:
        with pytest.raises(WebSocketDisconnect) as closed:
            await client.receive()
    assert closed.value.code == 1012
    assert ends == [chaos]


async def test_what_is_delayed_is_not_overtaken(interceptor: Callable[[str], ModuleType]) -> None:
    called: list[str | bytes] = []
    all_called = Signal()

    @websocket_app(pipeline=interceptor("chaos").Chaos(delay=0.02))
    async def app(socket: WebSocket) -> None:
        async def say(text: str) -> None:
            called.append(text)
            if len(called) == 20:
                all_called.set()
            await socket.send_text(text)

        await socket.accept()
        async with create_task_group() as tasks:
            for each in range(20):
                tasks.start_soon(say, str(each))
            await all_called.wait()
            await socket.close()

    async with connect(app, "/?seed=1") as client:
        assert [await client.receive() for _ in range(20)] == called
        with pytest.raises(WebSocketDisconnect):
            await client.receive()


async def test_a_send_that_is_cancelled_is_in_nobodys_way(
    interceptor: Callable[[str], ModuleType],
) -> None:
    @websocket_app(pipeline=interceptor("chaos").Chaos(delay=3600))
    async def app(socket: WebSocket) -> None:
        await socket.accept()
        with CancelScope() as scope:
            scope.cancel()
            await socket.send_text("never sent")
        await socket.close(4000)

    async with connect(app) as client:
        with pytest.raises(WebSocketDisconnect) as closed:
            await client.receive()
    assert closed.value.code == 4000
