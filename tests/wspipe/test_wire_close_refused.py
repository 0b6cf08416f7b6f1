"""Closing from the middle where the server does not take the close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from wspipe.exceptions import ClientDisconnected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio

GUARD = object()
TEXT = {"type": "websocket.send", "text": "hello"}
OUT = {"type": "websocket.disconnect", "code": 1008, "reason": "policy"}

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


@pytest.mark.parametrize("sent", ["unanswered", "accepted", "denying"])
@either_way
async def test_that_the_client_is_gone_already_is_no_error(
    make_bench: Callable[..., Bench], sent: str, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).reach("connected", sent)
    status = bench.connection.handshake_status
    bench.server.fault = OSError("gone")
    await bench.connection.close(1008, "policy", by=GUARD)
    assert bench.ending == (1006, "", "unknown")
    assert bench.connection.handshake_status == status
    assert bench.connection.ending.lost
    assert await bench.receive() == OUT
    with pytest.raises(ClientDisconnected):
        await bench.send(TEXT)


async def test_a_server_that_takes_no_close_does_not_hold_up_the_closer(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wspipe.connection.CLOSE_TIMEOUT", 0.01)
    bench = await make_bench().open()
    bench.server.hold = anyio.Event()
    with anyio.fail_after(5):
        await bench.connection.close(1008, "policy", by=GUARD)
    assert await bench.receive() == OUT
    assert bench.ending == (1008, "policy", GUARD)


@pytest.mark.parametrize("sent", ["unanswered", "accepted"])
async def test_a_code_that_the_server_does_not_know_becomes_1000(
    make_bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, sent: str
) -> None:
    bench = await make_bench().reach("connected", sent)
    bench.server.taken.clear()
    bench.server.unknown_codes = {1008}
    await bench.connection.close(1008, "policy", by=GUARD)
    assert bench.server.taken == [{"type": "websocket.close", "code": 1000, "reason": "policy"}]
    assert bench.ending == (1000, "policy", GUARD)
    assert await bench.receive() == {**OUT, "code": 1000}
    assert bench.connection.connection_state == "disconnect"
    assert bench.connection.handshake_status == (403 if sent == "unanswered" else 101)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("wspipe", "WARNING")
    assert "refuses close code 1008" in record.getMessage()


@pytest.mark.parametrize("code", [1000, 1008])
async def test_a_server_that_refuses_to_close_does_not_keep_the_application_in(
    make_bench: Callable[..., Bench], code: int
) -> None:
    bench = await make_bench().open()
    fault = bench.server.fault = RuntimeError("never")
    with pytest.raises(RuntimeError) as caught:
        await bench.connection.close(code, "policy", by=GUARD)
    assert caught.value is fault
    assert bench.wire.evicted
    assert (await bench.receive())["type"] == "websocket.disconnect"
    with pytest.raises(ClientDisconnected):
        await bench.send(TEXT)
    assert bench.ending == (1000, "policy", GUARD)
    bench.server.fault = None
    await bench.connection.close(1011, by="another")
    assert bench.server.taken == [{"type": "websocket.close", "code": 1011, "reason": ""}]
    assert bench.ending == (1011, "", "another")
