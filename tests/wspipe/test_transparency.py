"""`PipelineMiddleware` with an empty pipeline cannot be noticed by either side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from wspipe import (
    Pipeline,
    PipelineMiddleware,
    ProtocolError,
    StateValidation,
    WebSocketDisconnect,
    on_send,
)
from wspipe.testing import websocket_scope

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001, "reason": "away"}

each_empty_pipeline = pytest.mark.parametrize(
    "pipeline",
    [None, Pipeline(), StateValidation(), Pipeline(StateValidation())],
    ids=["none", "empty", "named", "named inside"],
)


class Conversation:
    """Both sides of a conversation as they see it: every object, every exception, in order."""

    def __init__(self, script: list[Any], faults: dict[int, Exception] | None = None) -> None:
        self.script = list(script)
        self.faults = faults or {}
        self.at_server: list[Any] = []
        self.at_app: list[Any] = []

    async def receive(self) -> Any:
        await anyio.lowlevel.checkpoint()
        event = self.script.pop(0)
        if isinstance(event, Exception):
            raise event
        return event

    async def send(self, event: Any) -> None:
        await anyio.lowlevel.checkpoint()
        self.at_server.append(event)
        if fault := self.faults.get(len(self.at_server)):
            raise fault


def playing(steps: list[Any], conversation: Conversation) -> Callable[..., Any]:
    """Make an application that takes steps: `None` receives, an event is sent."""

    async def app(_: Any, receive: Any, send: Any) -> None:
        for step in steps:
            try:
                if step is None:
                    conversation.at_app.append(await receive())
                else:
                    conversation.at_app.append(await send(step))
            except Exception as error:  # noqa: BLE001 - compared with the server's own
                conversation.at_app.append(error)

    return app


ACCEPT = {"type": "websocket.accept", "headers": [(b"X-Odd", b"case")]}
TEXT = {"type": "websocket.send", "text": "hello", "extra": object()}
BOTH = {"type": "websocket.send", "text": "hello", "bytes": None}
BYTES = {"type": "websocket.send", "bytes": bytearray(b"hello")}
CLOSE = {"type": "websocket.close", "code": 1006, "reason": "x" * 200}
REJECT = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 403, "headers": iter([])}
PART = {"type": "websocket.http.response.body", "body": b"n", "more_body": True}
LAST = {"type": "websocket.http.response.body", "body": b"o"}
EXTRA = {"type": "tls.renew"}
SAY = {"type": "websocket.receive", "text": "hello", "bytes": None}
SAY_BYTES = {"type": "websocket.receive", "bytes": b"hello"}
SAY_ODDLY = {"type": "websocket.receive"}
GONE, WRONG = ConnectionResetError("gone"), RuntimeError("out of turn")

CONVERSATIONS = {
    "echo": ([CONNECT, SAY, SAY_BYTES, DISCONNECT], [None, ACCEPT, None, TEXT, None, BYTES, None]),
    "close": ([CONNECT, SAY, DISCONNECT], [None, ACCEPT, TEXT, CLOSE, None, None]),
    "reject": ([CONNECT, DISCONNECT], [None, REJECT, None]),
    "deny": ([CONNECT, DISCONNECT], [None, START, PART, PART, LAST, None]),
    "answer first": ([CONNECT, SAY], [ACCEPT, BOTH, None, None]),
    "malformed": ([CONNECT, SAY_ODDLY], [None, ACCEPT, None, CLOSE]),
    "extension": ([CONNECT, EXTRA, SAY], [EXTRA, None, EXTRA, None, ACCEPT, EXTRA, None]),
    "send after it": ([CONNECT, DISCONNECT], [None, ACCEPT, None, TEXT, BYTES, CLOSE, ACCEPT]),
    "disconnect twice": ([CONNECT, DISCONNECT, DISCONNECT], [None, None, None]),
    "gone early": ([CONNECT, DISCONNECT], [None, None, ACCEPT, CLOSE]),
    "receive fails": ([CONNECT, GONE, SAY], [None, ACCEPT, None, None, TEXT]),
}


def with_faults(name: str) -> list[dict[int, Exception]]:
    """Give the ways in which the server may refuse what is sent, by the number of the send.

    A client that is gone may be found out at any send; the last send may also fail otherwise. After
    any other one the conversation would not be what the specification allows.
    """
    sends = len([step for step in CONVERSATIONS[name][1] if step is not None])
    return [{}, *({number: GONE} for number in range(1, sends + 1)), {sends: WRONG}]


async def run_both(
    steps: list[Any], bare: Conversation, wrapped: Conversation, pipeline: Any = None
) -> None:
    scope = websocket_scope(extensions=["websocket.http.response", "tls"])
    await playing(steps, bare)(scope, bare.receive, bare.send)
    app = PipelineMiddleware(playing(steps, wrapped), pipeline)
    await app(scope, wrapped.receive, wrapped.send)


def identities(objects: list[Any]) -> list[int]:
    return list(map(id, objects))


@pytest.mark.parametrize(
    ("name", "faults"), [(name, faults) for name in CONVERSATIONS for faults in with_faults(name)]
)
async def test_both_sides_see_the_same_objects_in_the_same_order(
    name: str, faults: dict[int, Exception]
) -> None:
    script, steps = CONVERSATIONS[name]
    bare, wrapped = Conversation(script, faults), Conversation(script, faults)
    await run_both(steps, bare, wrapped)
    assert identities(wrapped.at_server) == identities(bare.at_server)
    assert identities(wrapped.at_app) == identities(bare.at_app)
    assert len(bare.at_app) == len(steps)


@each_empty_pipeline
async def test_an_empty_pipeline_may_be_written_in_any_way(pipeline: Any) -> None:
    script, steps = CONVERSATIONS["malformed"]
    bare, wrapped = Conversation(script), Conversation(script)
    await run_both(steps, bare, wrapped, pipeline)
    assert identities(wrapped.at_server) == identities(bare.at_server)
    assert identities(wrapped.at_app) == identities(bare.at_app)


async def test_only_what_the_specification_forbids_is_refused() -> None:
    conversation = Conversation([SAY])
    await run_both(["x"], Conversation([]), conversation)
    (refusal,) = conversation.at_app
    assert isinstance(refusal, ProtocolError)
    assert conversation.at_server == []


async def test_the_scope_is_the_same_object_and_untouched() -> None:
    scope = websocket_scope("/room?x=1")
    copy = dict(scope)
    seen: list[Any] = []

    async def app(given: Any, receive: Any, send: Any) -> None:
        seen.append(given)
        await receive()
        await send({"type": "websocket.close"})

    conversation = Conversation([CONNECT])
    await PipelineMiddleware(app)(scope, conversation.receive, conversation.send)
    assert seen[0] is scope
    assert scope == copy


@pytest.mark.parametrize("kind", ["http", "lifespan", "webtransport"])
@pytest.mark.parametrize("pipeline", [None, on_send(lambda event, _: event)], ids=["none", "some"])
async def test_other_scopes_pass_with_the_very_same_objects(kind: str, pipeline: Any) -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    conversation = Conversation([])
    arguments = ({"type": kind}, conversation.receive, conversation.send)
    await PipelineMiddleware(app, pipeline)(*arguments)
    assert seen[0] is arguments[0]
    assert seen[1] is arguments[1]
    assert seen[2] is arguments[2]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        OSError("a file is missing"),
        WebSocketDisconnect(detail="over", code=1001),
        ExceptionGroup("two", [ValueError("one"), WebSocketDisconnect(detail="over", code=1001)]),
        SystemExit(3),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("place", [0, 1, 2, 3])
async def test_the_applications_exception_is_the_same_object(
    error: BaseException, place: int
) -> None:
    async def app(_: Any, receive: Any, send: Any) -> None:
        for step in [None, ACCEPT, None][:place]:
            await (receive() if step is None else send(step))
        raise error

    conversation = Conversation([CONNECT, DISCONNECT])
    with pytest.raises(type(error)) as caught:
        await PipelineMiddleware(app)(websocket_scope(), conversation.receive, conversation.send)
    assert caught.value is error
    assert conversation.at_server == ([ACCEPT] if place > 1 else [])


async def test_cancellation_goes_through() -> None:
    ended: list[str] = []

    async def app(_: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")

    conversation = Conversation([CONNECT])
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(
                PipelineMiddleware(app), websocket_scope(), conversation.receive, conversation.send
            )
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert ended == ["cancelled"]
    assert conversation.at_server == [ACCEPT]


async def test_a_middleware_in_a_middleware_in_a_middleware_is_none() -> None:
    script, steps = CONVERSATIONS["echo"]
    bare, wrapped = Conversation(script), Conversation(script)
    app: Any = playing(steps, wrapped)
    for _ in range(3):
        app = PipelineMiddleware(app)
    scope = websocket_scope()
    await playing(steps, bare)(scope, bare.receive, bare.send)
    await app(scope, wrapped.receive, wrapped.send)
    assert identities(wrapped.at_server) == identities(bare.at_server)
    assert identities(wrapped.at_app) == identities(bare.at_app)


async def test_one_task_receives_while_others_send() -> None:
    messages = [{"type": "websocket.receive", "text": str(number)} for number in range(100)]
    conversation = Conversation([CONNECT, *messages, DISCONNECT])
    received: list[Any] = []
    kinds = ("text", "bytes")

    async def app(_: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            while (event := await receive())["type"] != "websocket.disconnect":
                received.append(event)

        async def speak(speaker: int) -> None:
            for number in range(50):
                text = f"{speaker} {number}"
                data = text if speaker % 2 else text.encode()
                await send({"type": "websocket.send", kinds[1 - speaker % 2]: data})

        await receive()
        await send({"type": "websocket.accept"})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            for speaker in range(5):
                tasks.start_soon(speak, speaker)

    with anyio.fail_after(10):
        await PipelineMiddleware(app)(websocket_scope(), conversation.receive, conversation.send)
    assert identities(received) == identities(messages)
    sent = [event.get("text") or event["bytes"].decode() for event in conversation.at_server[1:]]
    assert len(sent) == 250
    for speaker in range(5):
        own = [text for text in sent if text.startswith(f"{speaker} ")]
        assert own == [f"{speaker} {number}" for number in range(50)]
    assert sent != sorted(sent, key=lambda text: text[0]), "the tasks took turns"
