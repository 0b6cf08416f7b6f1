"""`WebSocket`: JSON by orjson, in frames of either kind."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import pytest

from wspipe import SerializationException, WebSocket, WebSocketDisconnect, WebSocketException

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept", "subprotocol": None, "headers": []}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": data}


@pytest.mark.parametrize(
    ("data", "value"),
    [('{"a": [1, 2.5, null]}', {"a": [1, 2.5, None]}), ('"é"', "é"), (" true ", True)],
)
async def test_json_is_received_from_text_and_from_binary_frames(
    make: Any, data: str, value: Any
) -> None:
    socket, _ = make(CONNECT, text(data), binary(data.encode()))
    assert await socket.receive_json() == value
    assert await socket.receive_json("binary") == value


async def test_json_in_a_frame_of_the_other_kind_is_an_error_with_code_1003(make: Any) -> None:
    socket, _ = make(CONNECT, binary(b"1"), text("1"))
    for mode in ("text", "binary"):
        with pytest.raises(WebSocketException) as error:
            await socket.receive_json(mode)
        assert error.value.code == 1003


@pytest.mark.parametrize("mode", ["text", "binary"])
@pytest.mark.parametrize("data", ["", "{", "secret", "[1,]", "NaN", '{"a": secret}'])
async def test_what_is_no_json_is_an_error_with_code_1007_that_does_not_quote_it(
    make: Any, data: str, mode: Any
) -> None:
    socket, _ = make(CONNECT, text(data) if mode == "text" else binary(data.encode()), text("1"))
    with pytest.raises(SerializationException, match=r"not JSON: .* at position") as error:
        await socket.receive_json(mode)
    assert error.value.code == 1007
    assert "secret" not in str(error.value)
    assert await socket.receive_json() == 1


@pytest.mark.parametrize("data", [b"\xff", b'"\xff"', b"[" * 2000])
async def test_binary_data_that_cannot_be_json_is_the_same_error(make: Any, data: bytes) -> None:
    socket, _ = make(CONNECT, binary(data))
    with pytest.raises(SerializationException) as error:
        await socket.receive_json("binary")
    assert error.value.code == 1007


async def test_json_is_read_and_written_by_what_a_subclass_does_with_text(serve: Any) -> None:
    class Framed(WebSocket):
        async def receive_text(self) -> str:
            return (await super().receive_text()).removeprefix("v1 ")

        async def send_text(self, data: str | bytes, encoding: str = "utf-8") -> None:
            await super().send_text(f"v1 {data!r}", encoding)

    class Inheriting(Framed): ...

    for kind in (Framed, Inheriting):
        socket, server = serve(kind, CONNECT, text("v1 [1]"), text("v1 [2]"))
        await socket.accept()
        assert await socket.receive_json() == [1]
        assert await anext(socket.iter_json()) == [2]
        await socket.send_json([3])
        assert server.sent[1]["text"] == "v1 '[3]'"


async def test_a_disconnect_is_raised_from_receive_json_too(make: Any) -> None:
    socket, _ = make(CONNECT, {"type": "websocket.disconnect", "code": 1001})
    with pytest.raises(WebSocketDisconnect) as gone:
        await socket.receive_json()
    assert gone.value.code == 1001


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, {"text": '{"a":"é"}'}),
        ({"mode": "binary"}, {"bytes": '{"a":"é"}'.encode()}),
        ({"mode": "binary", "encoding": "utf-16-le"}, {"bytes": '{"a":"é"}'.encode("utf-16-le")}),
    ],
)
async def test_json_is_sent_compactly_in_frames_of_either_kind(
    make: Any, options: dict[str, Any], sent: dict[str, Any]
) -> None:
    socket, server = make(CONNECT)
    await socket.send_json({"a": "é"}, **options)
    assert server.sent == [ACCEPT, {"type": "websocket.send", **sent}]


async def test_keys_that_are_no_text_become_text(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.send_json({1: {True: {None: {2.5: "x"}}}})
    assert server.sent[1]["text"] == '{"1":{"true":{"null":{"2.5":"x"}}}}'


async def test_the_default_serializer_does_what_orjson_does_not(make: Any) -> None:
    socket, server = make(CONNECT)
    await socket.send_json([{1}, datetime(2024, 1, 2, tzinfo=UTC), socket.client])
    assert server.sent[1]["text"] == '[[1],"2024-01-02T00:00:00+00:00",["127.0.0.1",50000]]'


async def test_a_serializer_of_ones_own_takes_its_place(make: Any) -> None:
    def in_words(value: Any) -> str:
        return f"a {type(value).__name__}"

    socket, server = make(CONNECT)
    await socket.send_json([1, Fraction(1, 2), {2}], serializer=in_words)
    assert server.sent[1]["text"] == '[1,"a Fraction","a set"]'


def fails(_: Any) -> Any:
    raise LookupError("no idea")


@pytest.mark.parametrize(
    ("value", "options", "said"),
    [
        ([object()], {}, "cannot send list as JSON: object has no JSON form"),
        ({(1,): 2}, {}, "cannot send dict as JSON: Dict key must"),
        ("\ud800", {}, "cannot send str as JSON: str is not valid UTF-8"),
        (2**64, {}, "cannot send int as JSON: Integer exceeds 64-bit range"),
        (Fraction(1, 2), {"serializer": fails}, "cannot send Fraction as JSON: no idea"),
        (object(), {"mode": "binary"}, "cannot send object as JSON"),
    ],
)
async def test_a_value_without_a_json_form_is_an_error_with_code_1011_and_nothing_is_sent(
    make: Any, value: Any, options: dict[str, Any], said: str
) -> None:
    socket, server = make(CONNECT)
    await socket.accept()
    with pytest.raises(SerializationException, match=said) as error:
        await socket.send_json(value, **options)
    assert error.value.code == 1011
    assert server.sent == [ACCEPT]
