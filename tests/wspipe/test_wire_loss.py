"""The wire stage after the disconnect, and where a send finds out that the client is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wspipe import Traffic
from wspipe.exceptions import (
    ClientDisconnected,
    ProtocolError,
    WebSocketDisconnect,
    WebSocketException,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio

TEXT = {"type": "websocket.send", "text": "hello"}


class Blob(bytes):
    """Bytes of a class of its own: the wire does not take them for plain, and asks the table."""

    __slots__ = ()


BYTES = {"type": "websocket.send", "bytes": Blob(b"hello")}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 4000}
START = {"type": "websocket.http.response.start", "status": 401}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])
each_path = pytest.mark.parametrize("message", [TEXT, BYTES], ids=["fast", "table"])


@pytest.mark.parametrize("event", [TEXT, BYTES, CLOSE, ACCEPT, START, {"type": "tls"}, {}, None])
async def test_strict_refuses_to_send_after_the_disconnect(
    make_bench: Callable[..., Bench], event: Any
) -> None:
    bench = await make_bench(strict=True).reach("disconnected", "accepted")
    before = list(bench.server.offered)
    with pytest.raises(ClientDisconnected, match=r"after websocket\.disconnect") as caught:
        await bench.send(event)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, WebSocketDisconnect)
    assert caught.value.code == 1001
    assert bench.server.offered == before


@pytest.mark.parametrize("event", [TEXT, BYTES, CLOSE, ACCEPT, START, {"type": "tls"}, {}, None])
@pytest.mark.parametrize("fault", [None, OSError("gone"), RuntimeError("no"), KeyError("type")])
async def test_lenient_leaves_what_comes_after_the_disconnect_to_the_server(
    make_bench: Callable[..., Bench], event: Any, fault: Exception | None
) -> None:
    bench = await make_bench().reach("disconnected", "accepted")
    bench.server.fault = fault
    outcome = None
    try:
        await bench.send(event)
    except Exception as error:  # noqa: BLE001 - compared with the server's own
        outcome = error
    assert outcome is fault
    assert bench.server.offered[-1] is event
    assert bench.connection.traffic == Traffic()
    assert (bench.connection.close_code, bench.connection.closed_by) == (1001, "client")


async def test_strict_refuses_to_receive_after_the_disconnect(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench(strict=True).reach("disconnected", "accepted")
    with pytest.raises(WebSocketException, match=r"after websocket\.disconnect") as caught:
        await bench.hear({"type": "websocket.disconnect", "code": 1006})
    assert not isinstance(caught.value, WebSocketDisconnect | ProtocolError)
    assert caught.value.code == 1001
    assert len(bench.server.inbox) == 1


async def test_lenient_asks_the_server_again(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().reach("disconnected", "accepted")
    again = {"type": "websocket.disconnect", "code": 1006}
    assert await bench.hear(again) is again
    assert bench.connection.close_code == 1001


# The client is lost: the server's send raises an OSError before the disconnect was received.


@each_path
async def test_lenient_raises_the_very_error_of_a_lost_connection(
    make_bench: Callable[..., Bench], message: Any
) -> None:
    bench = await make_bench().open()
    fault = bench.server.fault = BrokenPipeError("gone")
    with pytest.raises(BrokenPipeError) as caught:
        await bench.send(message)
    assert caught.value is fault


@each_path
async def test_strict_raises_client_disconnected_from_the_error(
    make_bench: Callable[..., Bench], message: Any
) -> None:
    bench = await make_bench(strict=True).open()
    fault = bench.server.fault = BrokenPipeError("the pipe")
    with pytest.raises(ClientDisconnected, match="the client is gone: the pipe") as caught:
        await bench.send(message)
    assert caught.value.__cause__ is fault
    assert caught.value.code == 1006


@pytest.mark.parametrize("event", [TEXT, BYTES, CLOSE, {"type": "tls.renew"}])
@either_way
async def test_a_lost_connection_is_1006_until_the_disconnect_tells_more(
    make_bench: Callable[..., Bench], event: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict, extensions=["tls"]).open()
    bench.server.fault = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await bench.send(event)
    connection = bench.connection
    assert (connection.close_code, connection.closed_by) == (1006, "unknown")
    assert connection.connection_state == "disconnect"
    await bench.hear({"type": "websocket.disconnect", "code": 1001, "reason": "away"})
    assert (connection.close_code, connection.close_reason) == (1001, "away")
    assert connection.closed_by == "client"


async def test_an_error_of_another_kind_is_the_servers_own(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench(strict=True).open()
    fault = bench.server.fault = RuntimeError("a bug")
    for message in (TEXT, BYTES):
        with pytest.raises(RuntimeError) as caught:
            await bench.send(message)
        assert caught.value is fault
    assert bench.connection.close_code is None
    assert bench.connection.connection_state == "connect"


async def test_a_refused_close_does_not_hide_an_earlier_loss(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().open()
    bench.server.fault = OSError("gone")
    with pytest.raises(OSError, match="gone"):
        await bench.send(TEXT)
    bench.server.fault = RuntimeError("already closed")
    with pytest.raises(RuntimeError, match="already closed"):
        await bench.send(CLOSE)
    assert (bench.connection.close_code, bench.connection.closed_by) == (1006, "unknown")
    assert bench.connection.connection_state == "disconnect"


@each_path
@either_way
async def test_the_refusal_of_a_wire_closer_to_the_server_goes_through(
    make_bench: Callable[..., Bench], message: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    fault = bench.server.fault = ClientDisconnected(detail="a middleware closed", code=1008)
    with pytest.raises(ClientDisconnected) as caught:
        await bench.send(message)
    assert caught.value is fault
    assert bench.ending == (1008, "", "unknown")
    assert bench.connection.connection_state == "disconnect"


async def test_a_conversation_that_ended_without_a_code_counts_as_1005(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench(strict=True).reach("connected", "denying")
    await bench.send({"type": "websocket.http.response.body"})
    await bench.hear({"type": "websocket.disconnect", "code": 1006})
    assert bench.connection.close_code is None
    with pytest.raises(ClientDisconnected) as sending:
        await bench.send(TEXT)
    with pytest.raises(WebSocketException) as receiving:
        await bench.receive()
    assert (sending.value.code, receiving.value.code) == (1005, 1005)
