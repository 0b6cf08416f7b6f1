"""`WebSocket`: classes assembled from a pipeline, each with its own."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pytest

from wspipe import (
    ASGIConnection,
    ImproperlyConfiguredException,
    Pipeline,
    StateValidation,
    WebSocket,
    on_receive,
    on_send,
)

if TYPE_CHECKING:
    from wspipe import Event, Receive, Send

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}
T = TypeVar("T")


def received(name: str) -> Any:
    def interceptor(event: Event, _: ASGIConnection) -> Event:
        return {**event, "text": f"{event['text']}>{name}"}

    return on_receive(interceptor)


def sent(name: str) -> Any:
    def interceptor(event: Event, _: ASGIConnection) -> Event:
        return {**event, "text": f"{event['text']}>{name}"}

    return on_send(interceptor)


class Base(WebSocket, pipeline=received("outer") | received("inner") | sent("1") | sent("2")): ...


class Inheriting(Base): ...


class Grandchild(Inheriting):
    greeting = "hello"


class Replacing(Inheriting, pipeline=received("mine")): ...


class Cleared(Base, pipeline=Pipeline()): ...


class Typed(WebSocket[str, int], Generic[T], pipeline=received("typed")): ...


def message(data: str) -> Event:
    return {"type": "websocket.receive", "text": data}


@pytest.mark.parametrize(
    ("kind", "arrives", "leaves"),
    [
        (WebSocket, "in", "out"),
        (WebSocket[str, int], "in", "out"),
        (Base, "in>outer>inner", "out>2>1"),
        (Inheriting, "in>outer>inner", "out>2>1"),
        (Grandchild, "in>outer>inner", "out>2>1"),
        (Replacing, "in>mine", "out"),
        (Cleared, "in", "out"),
        (Typed, "in>typed", "out"),
        (Typed[bytes], "in>typed", "out"),
    ],
)
async def test_a_class_has_its_pipeline_or_inherits_one(
    serve: Any, kind: Any, arrives: str, leaves: str
) -> None:
    socket, server = serve(kind, CONNECT, message("in"))
    assert await socket.receive_text() == arrives
    await socket.send_text("out")
    assert server.sent[1] == {"type": "websocket.send", "text": leaves}


def test_a_pipeline_has_a_strict_wire_stage_unless_it_names_one() -> None:
    strict = StateValidation(strict=True)
    assert WebSocket.pipeline == Cleared.pipeline == Pipeline(strict)
    assert Replacing.pipeline.middlewares[0] == strict
    assert Inheriting.pipeline is Grandchild.pipeline is Base.pipeline


async def test_a_class_may_be_lenient(serve: Any) -> None:
    class Lenient(WebSocket, pipeline=StateValidation(strict=False) | sent("1")): ...

    assert Lenient.pipeline.middlewares[0] == StateValidation(strict=False)
    socket, server = serve(Lenient, CONNECT)
    await socket.accept()
    await socket.close(1006)
    assert server.sent[1]["code"] == 1006


async def test_a_lenient_class_lets_the_servers_own_error_through(serve: Any) -> None:
    class Lenient(WebSocket, pipeline=StateValidation(strict=False)): ...

    socket, server = serve(Lenient, CONNECT)
    await socket.accept()
    server.fault = BrokenPipeError()
    for send in (socket.send_text, socket.send_bytes):
        with pytest.raises(BrokenPipeError) as gone:
            await send("x")
        assert gone.value is server.fault


def test_a_stage_that_fails_while_the_chain_is_composed_is_raised_where_the_socket_is_made() -> (
    None
):
    def broken(*_: Any) -> Any:
        raise LookupError("no configuration")

    class Broken(WebSocket, pipeline=broken): ...

    with pytest.raises(LookupError, match="no configuration"):
        Broken({"type": "websocket"})


@pytest.mark.parametrize("pipeline", [received, 5, WebSocket, [received("a")]])
def test_a_class_with_a_pipeline_that_is_none_is_refused_where_it_is_made(pipeline: Any) -> None:
    with pytest.raises(ImproperlyConfiguredException, match="position 0 of the pipeline"):

        class Wrong(WebSocket, pipeline=pipeline): ...


def test_a_pipeline_in_the_body_of_the_class_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"class Slip\(\.\.\., pipeline="):

        class Slip(WebSocket):
            pipeline = received("a")


def test_keywords_for_other_base_classes_are_passed_on() -> None:
    class Named:
        def __init_subclass__(cls, *, name: str, **kwargs: Any) -> None:
            super().__init_subclass__(**kwargs)
            cls.name = name

    class Both(WebSocket, Named, name="both", pipeline=received("a")): ...

    assert Both.name == "both"
    assert len(Both.pipeline) == 2


async def test_two_classes_and_two_sockets_never_share_state(serve: Any) -> None:
    composed: list[ASGIConnection] = []

    def counting(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        composed.append(connection)
        count = 0

        async def counting_send(event: Event) -> None:
            nonlocal count
            count += event["type"] == "websocket.send"
            connection.scope["count"] = count
            await send(event)

        return receive, counting_send

    class One(WebSocket, pipeline=counting): ...

    class Two(One): ...

    sockets = [serve(kind, CONNECT)[0] for kind in (One, One, Two)]
    for number, socket in enumerate(sockets):
        for _ in range(number):
            await socket.send_text("x")
    assert composed == sockets
    assert [socket.scope.get("count", 0) for socket in sockets] == [0, 1, 2]
    assert [socket.traffic.messages_sent for socket in sockets] == [0, 1, 2]
    assert [socket.connection_state for socket in sockets] == ["init", "connect", "connect"]
    assert len({socket.id for socket in sockets}) == 3


async def test_the_chain_is_composed_once_and_its_ends_are_bound_late(serve: Any) -> None:
    composed = 0

    def counting(_: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        nonlocal composed
        composed += 1
        return receive, send

    class Late(WebSocket, pipeline=counting | received("r") | sent("s")): ...

    first, first_server = serve(Late, CONNECT)
    _, server = serve(WebSocket, message("in"))
    await first.accept()
    receive, send = first.receive_wrapper(server.receive), first.send_wrapper(server.send)
    assert (await receive())["text"] == "in>r"
    await send({"type": "websocket.send", "text": "out"})
    assert first_server.sent == [ACCEPT]
    assert server.sent == [{"type": "websocket.send", "text": "out>s"}]
    assert first.traffic.messages_received == first.traffic.messages_sent == 1
    assert composed == 1


async def test_ends_can_be_bound_to_a_socket_made_without_any(serve: Any) -> None:
    _, server = serve(WebSocket, CONNECT, message("in"))
    socket: WebSocket = WebSocket({"type": "websocket"})
    socket.receive = socket.receive_wrapper(server.receive)
    socket.send = socket.send_wrapper(server.send)
    assert await socket.receive_text() == "in"
    await socket.send_text("out")
    assert server.sent == [ACCEPT, {"type": "websocket.send", "text": "out"}]


async def test_ends_can_be_bound_anew_and_stages_added_while_messages_flow(serve: Any) -> None:
    socket, first = serve(WebSocket, CONNECT, message("one"))
    _, second = serve(WebSocket, message("two"), message("three"))
    assert await socket.receive_text() == "one"
    await socket.send_text("one")
    socket.receive_wrapper(second.receive)
    socket.send_wrapper(second.send)
    assert await socket.receive_text() == "two"
    await socket.send_text("two")

    async def louder(event: Event, send: Send = socket.send) -> None:
        key = "text" if "text" in event else "bytes"
        await send({**event, key: event[key].upper()})

    async def quoted(receive: Receive = socket.receive) -> Event:
        event = await receive()
        return {**event, "text": f"<{event['text']}>"}

    begun = socket.send_bytes(b"begun before")
    socket.receive, socket.send = quoted, louder
    await begun
    assert await socket.receive_text() == "<three>"
    await socket.send_text("three")
    assert [event["text"] for event in first.sent[1:]] == ["one"]
    assert [event.get("text") for event in second.sent] == ["two", None, "THREE"]
    assert second.sent[1]["bytes"] == b"BEGUN BEFORE"


async def test_the_other_methods_go_by_what_a_subclass_does_with_data(serve: Any) -> None:
    calls: list[str] = []

    class Counting(WebSocket):
        async def receive_data(self, mode: Any) -> Any:
            calls.append(f"receive {mode}")
            return await super().receive_data(mode)

        async def send_data(self, data: Any, mode: Any = "text", encoding: str = "utf-8") -> None:
            calls.append(f"send {mode}")
            await super().send_data(data, mode, encoding)

    events = [message("1"), {"type": "websocket.receive", "bytes": b"2"}, message("3")]
    for accepted in (True, False):
        socket, server = serve(Counting, CONNECT, *events)
        if accepted:
            await socket.accept()
        await socket.send_text("é")
        await socket.send_text("e")
        await socket.send_bytes(b"x")
        await socket.send_json([1])
        assert await socket.receive_text() == "1"
        assert await socket.receive_bytes() == b"2"
        assert await socket.receive_json() == 3
        assert len(server.sent) == 5
    sent = ["send text", "send text", "send binary", "send text"]
    assert calls == 2 * [*sent, "receive text", "receive binary", "receive text"]


@pytest.mark.parametrize("name", ["receive", "send"])
def test_a_method_that_would_hide_the_pipeline_is_refused(name: str) -> None:
    with pytest.raises(
        ImproperlyConfiguredException,
        match=rf"Hiding\.{name} would hide .*super\(\)\.{name}_wrapper",
    ):
        type("Hiding", (WebSocket,), {name: lambda *_: None})


async def test_a_stage_may_assign_to_the_connection_and_is_overruled(serve: Any) -> None:
    def assigning(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
        connection.receive, connection.send = receive, send
        return receive, send

    class Assigned(WebSocket, pipeline=assigning | received("r")): ...

    socket, _ = serve(Assigned, CONNECT, message("in"))
    assert await socket.receive_text() == "in>r"


async def test_the_wrappers_of_sub_subclasses_lie_around_each_other(serve: Any) -> None:
    notes: list[str] = []

    class Outer(WebSocket, pipeline=received("r") | sent("s")):
        def receive_wrapper(self, receive: Receive) -> Receive:
            wrapped = super().receive_wrapper(receive)

            async def noted() -> Event:
                event = await wrapped()
                notes.append(f"{type(self).__name__} gets {event.get('text')}")
                return event

            return noted

        def send_wrapper(self, send: Send) -> Send:
            wrapped = super().send_wrapper(send)

            async def noted(event: Event) -> None:
                notes.append(f"{type(self).__name__} gives {event.get('text')}")
                await wrapped(event)

            return noted

    class Inner(Outer):
        def send_wrapper(self, send: Send) -> Send:
            wrapped = super().send_wrapper(send)

            async def louder(event: Event) -> None:
                await wrapped({**event, "text": event.get("text", "").upper()})

            return louder

    socket, server = serve(Inner, CONNECT, message("in"))
    await socket.send_text("out")
    assert await socket.receive_text() == "in>r"
    assert notes == ["Inner gets None", "Inner gives ", "Inner gives OUT", "Inner gets in>r"]
    assert server.sent[1]["text"] == "OUT>s"


async def test_a_wrapper_may_come_between_the_server_and_the_chain(serve: Any) -> None:
    class Translated(WebSocket, pipeline=sent("s")):
        def send_wrapper(self, send: Send) -> Send:
            async def translated(event: Event) -> None:
                await send({**event, "translated": True})

            return super().send_wrapper(translated)

    socket, server = serve(Translated, CONNECT)
    await socket.send_text("out")
    assert server.sent[1] == {"type": "websocket.send", "text": "out>s", "translated": True}


async def test_the_initialiser_of_a_subclass_finds_the_chain_assembled(serve: Any) -> None:
    class Chat(WebSocket, pipeline=received("r")):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.answers: list[Event] = []
            self.on_handshake(self.answers.append)
            self.inner_receive = self.receive

    socket, _ = serve(Chat, CONNECT, message("in"))
    await socket.accept()
    assert socket.answers == [ACCEPT]
    assert (await socket.inner_receive())["text"] == "in>r"


def test_a_plain_socket_holds_no_attributes_of_others_and_can_be_referred_to_weakly() -> None:
    socket: WebSocket = WebSocket({"type": "websocket"})
    assert not hasattr(socket, "__dict__")
    assert weakref.ref(socket)() is socket
