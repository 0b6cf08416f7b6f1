"""`MessageSizeLimit` lets through what is not too large, in either direction and of either kind."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    ProtocolError,
    WebSocket,
    WebSocketDisconnect,
    message_size,
    on_receive,
    select,
    websocket_app,
)
from wspipe.cli.bench import measure
from wspipe.testing import Client, connect, websocket_scope
from wspipe_middlewares.message_size_limit import MessageSizeLimit, MessageTooBig

if TYPE_CHECKING:
    from wspipe import Event, Receive, Scope, Send

OPTIONS = ("text_received", "binary_received", "text_sent", "binary_sent")
NONE: dict[str, None] = dict.fromkeys(OPTIONS)
E_ACUTE, EURO, ROCKET = "é", "€", "🚀"  # 2, 3 and 4 bytes in UTF-8


def limit_of(**limits: int) -> MessageSizeLimit:
    """Limit nothing but what is named."""
    options: dict[str, Any] = {**NONE, **limits}
    return MessageSizeLimit(**options)


class Room:
    """An application that echoes, and remembers what it received and how that ended."""

    def __init__(self, *stages: Any) -> None:
        self.received: list[str | bytes] = []
        self.socket: WebSocket | None = None
        self.app = websocket_app(self.serve, pipeline=Pipeline(*stages))

    async def serve(self, socket: WebSocket) -> None:
        self.socket = socket
        await socket.accept()
        while (event := await socket.receive())["type"] == "websocket.receive":
            data: str | bytes = event["text"] if event.get("text") is not None else event["bytes"]
            self.received.append(data)
            await socket.send_data(data, "text" if isinstance(data, str) else "binary")


async def say(client: Client, data: str | bytes) -> None:
    await (client.send_text(data) if isinstance(data, str) else client.send_bytes(data))


async def give_up_on(receive: Receive) -> None:
    await receive()
    raise AssertionError


async def closed(client: Client) -> tuple[int | None, str]:
    with pytest.raises(WebSocketDisconnect):
        await client.receive()
    return client.close_code, client.close_reason


FITTING = [
    "",
    "a" * 12,
    E_ACUTE * 6,
    EURO * 4,
    ROCKET * 3,
    "a" * 8 + ROCKET,
    "a" * 3,
    b"",
    b"a" * 12,
]
TOO_BIG = [
    "a" * 13,
    E_ACUTE * 6 + "a",
    EURO * 4 + "a",
    ROCKET * 3 + "a",
    "a" * 9 + ROCKET,
    E_ACUTE * 12,
    "a" * 100_000,
    b"a" * 13,
    b"a" * 100_000,
]


# Received


@pytest.mark.anyio
@pytest.mark.parametrize("data", FITTING)
async def test_what_fits_is_received(data: str | bytes) -> None:
    room = Room(limit_of(text_received=12, binary_received=12))
    async with connect(room.app) as client:
        for _ in range(2):
            await say(client, data)
            assert await client.receive() == data
    assert room.received == [data, data]


@pytest.mark.anyio
@pytest.mark.parametrize("data", TOO_BIG)
async def test_what_is_too_big_closes_and_the_application_never_gets_it(
    data: str | bytes,
) -> None:
    room = Room(limit := limit_of(text_received=12, binary_received=12))
    kind = "text" if isinstance(data, str) else "binary"
    async with connect(room.app) as client:
        await say(client, "before")
        assert await client.receive() == "before"
        await say(client, data)
        assert await closed(client) == (1009, f"{kind} message of more than 12 bytes")
    assert room.received == ["before"]
    assert room.socket is not None
    assert room.socket.closed_by is limit
    assert room.socket.error is None


@pytest.mark.anyio
async def test_text_and_binary_have_limits_of_their_own() -> None:
    for limits, text, data in [
        ({"text_received": 3}, "aaaa", b"a" * 1000),
        ({"binary_received": 3}, "a" * 1000, b"aaaa"),
        ({"text_received": 3, "binary_received": 5}, "aaaa", b"aaaaa"),
        ({"text_received": 5, "binary_received": 3}, "aaaaa", b"aaaa"),
    ]:
        room = Room(limit_of(**limits))
        passes, fails = (data, text) if limits.get("binary_received", 9) > 4 else (text, data)
        async with connect(room.app) as client:
            await say(client, passes)
            assert await client.receive() == passes
            await say(client, fails)
            assert (await closed(client))[0] == 1009
        assert room.received == [passes]


@pytest.mark.anyio
async def test_by_default_a_mebibyte_of_each_kind_may_be_received_and_anything_be_sent() -> None:
    for data in ("a" * 2**20, b"a" * 2**20):
        room = Room(MessageSizeLimit())
        async with connect(room.app) as client:
            await say(client, data)
            assert await client.receive() == data
            await say(client, data + data[:1])  # type: ignore[operator]
            assert (await closed(client))[0] == 1009
    assert websocket_of(MessageSizeLimit()) == (True, False)


@pytest.mark.anyio
async def test_what_another_stage_has_in_hand_does_not_come_after_the_close() -> None:
    class Doubling:
        def __call__(self, _: ASGIConnection, receive: Receive, send: Send) -> Any:
            kept: list[Event] = []

            async def doubled() -> Event:
                if kept:
                    return kept.pop()
                event = await receive()
                if event["type"] == "websocket.receive":
                    kept.append({"type": "websocket.receive", "text": "more"})
                return event

            return doubled, send

    room = Room(Doubling(), limit_of(text_received=12))
    async with connect(room.app) as client:
        await say(client, "a" * 13)
        assert (await closed(client))[0] == 1009
    assert room.received == []


@pytest.mark.anyio
async def test_what_comes_after_the_application_has_closed_is_let_pass_by_the_end() -> None:
    events: list[Event] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "a" * 13},
        {"type": "websocket.disconnect", "code": 1000},
    ]
    seen: list[str] = []
    sent: list[str] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        seen.append((await receive())["type"])

    async def receive() -> Event:
        return events.pop(0)

    async def send(event: Event) -> None:
        sent.append(event["type"])

    app = PipelineMiddleware(application, limit_of(text_received=12))
    await app(websocket_scope(), receive, send)
    assert seen == ["websocket.connect", "websocket.disconnect"]
    assert sent == ["websocket.accept", "websocket.close"]


@pytest.mark.anyio
async def test_a_close_that_the_server_does_not_take_is_no_reason_to_deliver() -> None:
    events: list[Event] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "a" * 13},
    ]
    seen: list[Event] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        seen.append(await receive())

    async def receive() -> Event:
        return events.pop(0)

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close":
            raise ConnectionResetError

    app = PipelineMiddleware(application, limit_of(text_received=12))
    await app(websocket_scope(), receive, send)
    assert [(event["type"], event["code"]) for event in seen] == [("websocket.disconnect", 1009)]


@pytest.mark.anyio
async def test_a_receiver_that_gives_up_during_the_close_gets_the_disconnect_next() -> None:
    started, may_close = anyio.Event(), anyio.Event()
    events: list[Event] = [
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "a" * 13},
    ]
    seen: list[str] = []

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up_on, receive)
            await started.wait()
            tasks.cancel_scope.cancel()
        seen.append((await receive())["type"])

    async def receive() -> Event:
        return events.pop(0)

    async def send(event: Event) -> None:
        if event["type"] == "websocket.close" and not started.is_set():
            started.set()
            await may_close.wait()

    with anyio.fail_after(5):
        app = PipelineMiddleware(application, limit_of(text_received=12))
        await app(websocket_scope(), receive, send)
    assert seen == ["websocket.disconnect"]


# Sent


@pytest.mark.anyio
@pytest.mark.parametrize("data", FITTING)
async def test_what_fits_is_sent(data: str | bytes) -> None:
    room = Room(limit_of(text_sent=12, binary_sent=12))
    async with connect(room.app) as client:
        await say(client, data)
        assert await client.receive() == data


@pytest.mark.anyio
@pytest.mark.parametrize("data", TOO_BIG)
@pytest.mark.parametrize("wrapped", [False, True])
async def test_what_is_too_big_raises_sends_nothing_and_leaves_the_connection_usable(
    data: str | bytes, *, wrapped: bool
) -> None:
    errors: list[MessageTooBig] = []
    key = "text" if isinstance(data, str) else "bytes"

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        try:
            await socket.send_data(data, "text" if isinstance(data, str) else "binary")
        except MessageTooBig as error:
            errors.append(error)
        await socket.send_text("still here")

    async def application(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await send({"type": "websocket.send", key: data})
        except MessageTooBig as error:
            errors.append(error)
        await send({"type": "websocket.send", "text": "still here"})
        await receive()

    limit = limit_of(text_sent=12, binary_sent=12)
    app = (
        PipelineMiddleware(application, limit)
        if wrapped
        else websocket_app(handler, pipeline=limit)
    )
    async with connect(app) as client:
        assert await client.receive() == "still here"
    (error,) = errors
    event: Event = {"type": "websocket.send", key: data}
    assert (error.size, error.limit, error.code) == (message_size(event), 12, 1009)
    assert error.kind == ("text" if isinstance(data, str) else "binary")
    assert str(error) == (
        f"a {error.kind} message of {error.size} bytes was sent, more than the 12 that it may have"
    )


@pytest.mark.anyio
async def test_each_kind_that_is_sent_has_a_limit_of_its_own() -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send_text("aaa")
        await socket.send_bytes(b"aaaaa")
        with pytest.raises(MessageTooBig, match="text message of 4 bytes"):
            await socket.send_text("aaaa")
        with pytest.raises(MessageTooBig, match="binary message of 6 bytes"):
            await socket.send_bytes(b"aaaaaa")

    app = websocket_app(handler, pipeline=limit_of(text_sent=3, binary_sent=5))
    async with connect(app) as client:
        assert [await client.receive(), await client.receive()] == ["aaa", b"aaaaa"]
        assert (await closed(client))[0] == 1000


@pytest.mark.anyio
async def test_under_websocket_app_what_is_not_caught_closes_with_1009() -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.send_text("a" * 13)

    app = websocket_app(handler, pipeline=limit_of(text_sent=12))
    with pytest.raises(MessageTooBig):
        async with connect(app) as client:
            assert (await closed(client))[0] == 1009


def test_the_error_crosses_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(MessageTooBig("binary", 13, 12)))  # noqa: S301
    assert (error.kind, error.size, error.limit, error.code) == ("binary", 13, 12, 1009)
    assert str(error) == str(MessageTooBig("binary", 13, 12))


# Odd events


@pytest.mark.anyio
@pytest.mark.parametrize(
    "event",
    [
        {"type": "websocket.send", "text": 5},
        {"type": "websocket.send", "bytes": 5},
        {"type": "websocket.send", "bytes": None, "text": None},
        {"type": "websocket.send"},
        {"type": "websocket.send", "text": "\ud800"},
    ],
)
async def test_what_is_malformed_is_left_to_the_wire(event: Event) -> None:
    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        with pytest.raises(ProtocolError, match="malformed"):
            await socket.send(event)

    app = websocket_app(handler, pipeline=limit_of(text_sent=12, binary_sent=12))
    async with connect(app) as client:
        assert (await closed(client))[0] == 1000


class Text(str):
    __slots__ = ()


class Data(bytes):
    __slots__ = ()


@pytest.mark.parametrize(
    "event",
    [
        {"text": Text("a" * 13)},
        {"bytes": Data(b"a" * 13)},
        {"bytes": bytearray(b"a" * 13)},
        {"bytes": memoryview(bytes(16)).cast("Q")},
        {"bytes": b"a" * 13, "text": None},
        {"bytes": None, "text": "a" * 13},
        {"bytes": b"a" * 13, "text": "a"},
    ],
)
def test_no_other_form_of_a_message_gets_around_it(event: Event) -> None:
    assert not sendable(limit_of(text_sent=12, binary_sent=12), event)


def sendable(limit: MessageSizeLimit, event: Event) -> bool:
    sent: list[Event] = []

    async def send(event: Event) -> None: ...
    async def receive() -> Any: ...

    def noted_send(event: Event) -> Any:
        sent.append(event)

    _, limited = limit(ASGIConnection(websocket_scope()), receive, noted_send)
    with suppress(MessageTooBig):
        limited({"type": "websocket.send", **event})
    return bool(sent)


@given(st.text(max_size=20) | st.binary(max_size=20), st.integers(1, 40), st.integers(1, 40))
def test_what_passes_is_what_the_tally_would_count_as_no_more(
    data: str | bytes, text: int, binary: int
) -> None:
    event: Event = {"text" if isinstance(data, str) else "bytes": data}
    limit = limit_of(text_sent=text, binary_sent=binary)
    bound = text if isinstance(data, str) else binary
    assert sendable(limit, event) == (message_size(event) <= bound)


# Composition


def websocket_of(limit: MessageSizeLimit) -> tuple[bool, bool]:
    """Tell which directions are wrapped."""

    async def receive() -> Any: ...
    async def send(_: Any) -> None: ...

    wrapped = limit(ASGIConnection(websocket_scope()), receive, send)
    return wrapped[0] is not receive, wrapped[1] is not send


@pytest.mark.parametrize(
    ("option", "wrapped"),
    [
        ("text_received", (True, False)),
        ("binary_received", (True, False)),
        ("text_sent", (False, True)),
        ("binary_sent", (False, True)),
    ],
)
def test_a_direction_without_a_limit_is_not_wrapped(
    option: str, wrapped: tuple[bool, bool]
) -> None:
    assert websocket_of(limit_of(**{option: 5})) == wrapped


@pytest.mark.anyio
async def test_selected_connections_only_and_nested_limits() -> None:
    def is_public(connection: ASGIConnection) -> bool:
        path: str = connection.scope["path"]
        return path == "/public"

    room = Room(limit_of(text_received=20), select(is_public, limit_of(text_received=12)))
    for path, size in [("/public", 12), ("/other", 20)]:
        async with connect(room.app, path) as client:
            await say(client, "a" * size)
            assert await client.receive() == "a" * size
            await say(client, "a" * (size + 1))
            assert await closed(client) == (1009, f"text message of more than {size} bytes")


@pytest.mark.anyio
async def test_in_a_class_that_nobody_runs() -> None:
    class Small(WebSocket, pipeline=limit_of(text_received=12)):
        pass

    ends: list[Any] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        socket = Small(scope, receive, send)
        await socket.accept()
        socket.exit_stack.callback(ends.append, "end")
        with pytest.raises(WebSocketDisconnect) as left:
            await socket.receive_text()
        ends.append(left.value.code)

    async with connect(application) as client:
        await say(client, "a" * 13)
        assert (await closed(client))[0] == 1009
    assert sorted(map(str, ends)) == ["1009", "end"]


@pytest.mark.anyio
async def test_stages_behind_it_see_nothing_that_is_too_big() -> None:
    seen: list[Any] = []

    @on_receive
    def look(event: Event, _: ASGIConnection) -> Event:
        seen.append(event["text"])
        return event

    room = Room(limit_of(text_received=12), look)
    async with connect(room.app) as client:
        await say(client, "ok")
        assert await client.receive() == "ok"
        await say(client, "a" * 13)
        assert (await closed(client))[0] == 1009
    assert seen == ["ok"]


# Options


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("given", [0, -1, 1.5, "1 MiB", True])
def test_a_limit_is_a_number_of_bytes(option: str, given: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        limit_of(**{option: given})
    assert str(refused.value) == f"{option}={given!r} must be a whole number, 1 or more"


def test_without_any_limit_it_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"^text_received=None must be a numb"):
        limit_of()


def test_it_can_be_measured_whatever_its_limits() -> None:
    found = measure(Pipeline(limit_of(text_received=1, text_sent=1)), rounds=1)
    assert [stage.stage for stage in found.stages] == ["StateValidation", "MessageSizeLimit"]
    assert limit_of(text_received=1).rehearsal() == limit_of(text_received=65_536)
    assert MessageSizeLimit(binary_sent=2**30).rehearsal() == MessageSizeLimit(binary_sent=2**30)


def test_it_reads_as_the_code_that_makes_it() -> None:
    assert repr(MessageSizeLimit(text_sent=5)) == (
        "MessageSizeLimit(text_received=1048576, binary_received=1048576, text_sent=5, "
        "binary_sent=None)"
    )
