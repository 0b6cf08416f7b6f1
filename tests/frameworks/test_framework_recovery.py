"""What frameworks make of exceptions, and what `Recovery` makes of that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi
import litestar
import litestar.exceptions
import pytest
import starlette.exceptions
from litestar.handlers import websocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from wspipe import PipelineMiddleware, ProtocolError
from wspipe.testing import ConnectionDenied, connect
from wspipe_middlewares.recovery import Close, Recovery

if TYPE_CHECKING:
    from wspipe import ASGIApp

pytestmark = pytest.mark.anyio

INTERNAL = "no route to 10.0.0.7"


class RoomFull(Exception):
    """The application's own error."""


ERRORS: dict[str, Exception] = {
    "fault": RuntimeError(INTERNAL),
    "known": RoomFull(INTERNAL),
    "starlette-exception": starlette.exceptions.WebSocketException(1008, "not for you"),
    "starlette-long-reason": starlette.exceptions.WebSocketException(1008, "é" * 62),
    "starlette-http": starlette.exceptions.HTTPException(404, "no such room"),
    "litestar-exception": litestar.exceptions.WebSocketException(detail="not for you", code=4321),
    "litestar-code": litestar.exceptions.WebSocketException(detail="cannot be sent", code=1006),
    "litestar-http": litestar.exceptions.NotAuthorizedException("not for you"),
    "litestar-settings": litestar.exceptions.ImproperlyConfiguredException(INTERNAL),
}


async def in_starlette(socket: WebSocket) -> None:
    if socket.path_params["when"] == "late":
        await socket.accept()
        await socket.receive_text()
    raise ERRORS[socket.path_params["what"]]


async def leaves_the_disconnect_alone(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.receive_text()


on_starlette = Starlette(
    routes=[
        WebSocketRoute("/{when}/{what}", in_starlette),
        WebSocketRoute("/reading", leaves_the_disconnect_alone),
    ]
)
on_fastapi = fastapi.FastAPI()


@on_fastapi.websocket("/rooms/{number}")
async def in_fastapi(socket: fastapi.WebSocket, number: int) -> None:
    raise AssertionError(f"room {number} was let in by {socket.url}")


@on_fastapi.websocket("/{when}/{what}")
async def failing_in_fastapi(socket: fastapi.WebSocket, when: str, what: str) -> None:
    del when, what
    await in_starlette(socket)


@websocket("/{when:str}/{what:str}")
async def in_litestar(socket: litestar.WebSocket[Any, Any, Any]) -> None:
    if socket.path_params["when"] == "late":
        await socket.accept()
        await socket.receive_text()
    raise ERRORS[socket.path_params["what"]]


on_litestar: Any = litestar.Litestar([in_litestar], openapi_config=None, logging_config=None)


async def end_of(app: ASGIApp, path: str, recovery: Recovery) -> tuple[Any, ...]:
    """Give close code and reason, or the status of a denial, and what is raised to the server."""
    end: tuple[Any, ...] = ()
    raised = None
    try:
        async with connect(PipelineMiddleware(app, recovery), path) as client:
            await client.send_text("go")
            with pytest.raises(Exception):  # noqa: B017, PT011 - whichever ends it
                await client.receive()
            end = client.close_code, client.close_reason
    except ConnectionDenied as denied:
        end = denied.status, denied.code, denied.reason
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        raised = type(error)
    return *end, raised


@pytest.mark.parametrize("app", [on_starlette, on_fastapi], ids=["starlette", "fastapi"])
@pytest.mark.parametrize(
    ("what", "end"),
    [
        ("fault", (1011, "", RuntimeError)),
        ("known", (4001, "the room is full", None)),
        ("starlette-exception", (1008, "not for you", None)),
        ("starlette-long-reason", (1008, "é" * 61, None)),
        # Starlette denies, though it has accepted.
        ("starlette-http", (1011, "", ProtocolError)),
    ],
)
async def test_starlette_closes_for_its_own_exception_and_the_table_for_the_others(
    app: ASGIApp, what: str, end: tuple[Any, ...]
) -> None:
    recovery = Recovery({RoomFull: Close(4001, "the room is full")})
    assert await end_of(app, f"/late/{what}", recovery) == end


@pytest.mark.parametrize("app", [on_starlette, on_fastapi], ids=["starlette", "fastapi"])
async def test_a_close_by_starlette_can_be_mapped(app: ASGIApp) -> None:
    recovery = Recovery(closes={1008: Close(4008, "sorry")})
    assert await end_of(app, "/late/starlette-exception", recovery) == (4008, "sorry", None)


@pytest.mark.parametrize("app", [on_starlette, on_fastapi], ids=["starlette", "fastapi"])
async def test_a_denial_by_starlette_stays_as_it_is(app: ASGIApp) -> None:
    assert await end_of(app, "/early/starlette-http", Recovery()) == (404, None, "", None)


async def test_starlettes_disconnect_that_nobody_catches_is_no_failure() -> None:
    for pipeline, raised in ((None, WebSocketDisconnect), (Recovery(), None)):
        error = None
        try:
            async with connect(PipelineMiddleware(on_starlette, pipeline), "/reading") as client:
                await client.close(1001)
        except WebSocketDisconnect as caught:
            error = type(caught)
        assert error is raised


async def test_what_fastapi_tells_of_a_parameter_is_not_for_the_client() -> None:
    # It gives a list as the reason, which no server can send.
    assert await end_of(on_fastapi, "/rooms/seven", Recovery()) == (403, 1008, "", None)
    recovery = Recovery(closes={1008: Close(4008, "no such room")})
    assert await end_of(on_fastapi, "/rooms/seven", recovery) == (403, 4008, "no such room", None)


@pytest.mark.parametrize(
    ("what", "kept"),
    [
        ("fault", (4500, "Internal Server Error", None)),
        ("known", (4500, "Internal Server Error", None)),
        ("litestar-http", (4500, "not for you", None)),
        ("litestar-settings", (4500, INTERNAL, None)),
        ("litestar-exception", (4321, "not for you", None)),
        # Litestar's close is refused, which is an exception that it does not see.
        ("litestar-code", (1011, "", ProtocolError)),
    ],
)
async def test_litestar_closes_for_every_exception_and_its_code_is_kept(
    what: str, kept: tuple[Any, ...]
) -> None:
    recovery = Recovery({RoomFull: 4001})
    assert await end_of(on_litestar, f"/late/{what}", recovery) == kept


@pytest.mark.parametrize("what", ["fault", "known", "litestar-http", "litestar-settings"])
async def test_or_it_is_mapped_without_the_reason(what: str) -> None:
    end = await end_of(on_litestar, f"/late/{what}", Recovery(closes={4500: 1011}))
    assert end == (1011, "", None)
    end = await end_of(on_litestar, f"/early/{what}", Recovery(closes={4500: 1011}))
    assert end == (403, 1011, "", None)
