"""`is_reported_by`: whether the application's exception only says that the conversation is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from wspipe.exceptions import (
    ClientDisconnected,
    ProtocolError,
    SerializationException,
    WebSocketDisconnect,
    WebSocketException,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.wspipe.conftest import Bench

pytestmark = pytest.mark.anyio


class FrameworkDisconnect(Exception):
    """What Starlette, Litestar and the like raise: an exception with the close code."""

    def __init__(self, code: Any) -> None:
        self.code = code


class UpstreamError(Exception):
    """An exception of the application's own that happens to have a code."""

    code = 1011


ours = WebSocketDisconnect(detail="the conversation is over", code=1000)
protocol = ProtocolError(
    detail="out of turn", event="websocket.send", sender="application", state=""
)
bug = ValueError("a bug")

REPORTS = [
    ours,
    ClientDisconnected(detail="gone"),
    FrameworkDisconnect(1011),
    FrameworkDisconnect(1006),
    ExceptionGroup("both tasks", [ours, FrameworkDisconnect(1011)]),
    ExceptionGroup("outer", [ours, ExceptionGroup("inner", [ClientDisconnected(detail="gone")])]),
    BaseExceptionGroup("of the base kind", [ours]),
]
FAULTS = [
    bug,
    OSError("a file is missing"),
    FrameworkDisconnect(1000),
    FrameworkDisconnect(None),
    FrameworkDisconnect([1011]),
    UpstreamError("its code says nothing of this connection"),
    SystemExit(1011),
    protocol,
    WebSocketException(detail="of the application's own", code=1011),
    SerializationException(detail="not JSON", code=1011),
    ExceptionGroup("one of them is a bug", [ours, bug]),
    ExceptionGroup("outer", [ours, ExceptionGroup("inner", [ours, bug])]),
    BaseExceptionGroup("stopped meanwhile", [ours, KeyboardInterrupt()]),
]

either_way = pytest.mark.parametrize("strict", [False, True], ids=["lenient", "strict"])


@pytest.mark.parametrize("error", REPORTS, ids=repr)
@either_way
async def test_after_the_disconnect_it_is_a_report(
    make_bench: Callable[..., Bench], error: BaseException, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.hear({"type": "websocket.disconnect", "code": 1011})
    assert bench.connection.ending.is_reported_by(error)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
@either_way
async def test_after_the_disconnect_a_fault_stays_a_fault(
    make_bench: Callable[..., Bench], error: BaseException, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.hear({"type": "websocket.disconnect", "code": 1011})
    assert not bench.connection.ending.is_reported_by(error)


@pytest.mark.parametrize("error", REPORTS, ids=repr)
@either_way
async def test_after_a_close_from_the_middle_it_is_a_report(
    make_bench: Callable[..., Bench], error: BaseException, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.connection.close(1011, by="guard")
    assert bench.connection.ending.is_reported_by(error)


@pytest.mark.parametrize("error", FAULTS, ids=repr)
async def test_after_a_close_from_the_middle_a_fault_stays_a_fault(
    make_bench: Callable[..., Bench], error: BaseException
) -> None:
    bench = await make_bench().open()
    await bench.connection.close(1011, by="guard")
    assert not bench.connection.ending.is_reported_by(error)


@pytest.mark.parametrize("error", [*REPORTS, *FAULTS], ids=repr)
@pytest.mark.parametrize("sent", ["unanswered", "accepted", "closed", "denying", "rejected"])
async def test_nothing_is_a_report_while_the_client_is_there(
    make_bench: Callable[..., Bench], error: BaseException, sent: str
) -> None:
    bench = await make_bench().reach("connected", sent)
    assert not bench.connection.ending.is_reported_by(error)


async def failed_send(bench: Bench, fault: OSError, **content: Any) -> OSError:
    bench.server.fault = fault
    with pytest.raises(OSError, match=str(fault)) as caught:
        await bench.send({"type": "websocket.send", **content})
    return caught.value


@pytest.mark.parametrize("content", [{"text": "plain"}, {"bytes": b"plain"}])
@either_way
async def test_the_error_of_a_failed_send_is_a_report(
    make_bench: Callable[..., Bench], content: Any, *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    fault = BrokenPipeError("gone")
    raised = await failed_send(bench, fault, **content)
    assert (raised is fault) is not strict
    assert bench.connection.ending.is_reported_by(raised)
    assert bench.connection.ending.is_reported_by(fault)
    assert bench.connection.ending.is_reported_by(FrameworkDisconnect(1006))
    assert not bench.connection.ending.is_reported_by(BrokenPipeError("gone"))
    assert not bench.connection.ending.is_reported_by(bug)
    assert not bench.connection.ending.is_reported_by(protocol)


@either_way
async def test_the_errors_of_several_failed_sends_are_reports(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    errors = [await failed_send(bench, OSError(str(number)), text="x") for number in range(3)]
    assert bench.connection.ending.is_reported_by(ExceptionGroup("three tasks", errors))
    assert not bench.connection.ending.is_reported_by(ExceptionGroup("and a bug", [*errors, bug]))


async def test_an_application_may_go_on_sending_to_nobody(make_bench: Callable[..., Bench]) -> None:
    bench = await make_bench().open()
    for number in range(100):
        raised = await failed_send(bench, OSError(str(number)), text="x")
        assert bench.connection.ending.is_reported_by(raised)


async def test_the_servers_error_after_the_disconnect_is_a_report(
    make_bench: Callable[..., Bench],
) -> None:
    bench = await make_bench().reach("disconnected", "accepted")
    fault = OSError("gone")
    assert await failed_send(bench, fault, text="x") is fault
    assert bench.connection.ending.is_reported_by(fault)
    assert not bench.connection.ending.is_reported_by(OSError("of the application's own"))


@either_way
async def test_the_code_that_counts_is_the_one_the_application_was_told(
    make_bench: Callable[..., Bench], *, strict: bool
) -> None:
    bench = await make_bench(strict=strict).open()
    await bench.send({"type": "websocket.close", "code": 4000})
    await bench.hear({"type": "websocket.disconnect", "code": None})
    assert bench.connection.close_code == 4000
    assert bench.connection.ending.is_reported_by(FrameworkDisconnect(1005))
    assert not bench.connection.ending.is_reported_by(FrameworkDisconnect(4000))
