"""An application without a framework behaves the same behind a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

EXPECTED = {
    "echo": ["accept", "send", "send"],
    "the client leaves at once": ["accept"],
    "the client vanishes": ["accept", "send"],
    "the client leaves unaccepted": ["accept"],
    "the application closes": ["accept", "close"],
    "the application rejects": ["close"],
    "the application denies": ["http.response.start", "http.response.body"],
    "the application fails unaccepted": [],
    "the application fails": ["accept"],
    "the application sends too late": ["accept", "send"],
}


class ApplicationError(Exception):
    """The application's own failure."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        raise NotImplementedError(scope["type"])
    assert (await receive())["type"] == "websocket.connect"
    await CONVERSATIONS[scope["path"]](receive, send)


async def echo(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept", "subprotocol": None, "headers": [(b"x-by", b"hand")]})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def close(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
    assert (await receive())["type"] == "websocket.disconnect"


async def reject(receive: Any, send: Any) -> None:
    await send({"type": "websocket.close", "code": 4003})
    assert (await receive())["type"] == "websocket.disconnect"


async def deny(_: Any, send: Any) -> None:
    await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b"no"})


async def fail_early(_receive: Any, _send: Any) -> None:
    raise ApplicationError("before the accept")


async def fail(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    await receive()
    raise ApplicationError("after a message")


async def late(receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})
    assert (await receive())["type"] == "websocket.disconnect"
    await send({"type": "websocket.send", "text": "too late"})


CONVERSATIONS: dict[str, Callable[..., Any]] = {
    "/echo": echo,
    "/close": close,
    "/reject": reject,
    "/deny": deny,
    "/fail-early": fail_early,
    "/fail": fail,
    "/late": late,
}


async def test_a_conversation_is_the_same_behind_a_pipeline(scenario: str, compare: Any) -> None:
    visit = await compare(app, scenario)
    assert visit.sent_types == EXPECTED[scenario]


@pytest.mark.parametrize("case", ["the client vanishes", "the application sends too late"])
async def test_the_application_gets_the_very_exception_of_the_server(
    case: str, compare: Any
) -> None:
    visit = await compare(app, case)
    assert type(visit.error).__name__ == "ServerGone"
    assert [visit.error] == [error for what, error in visit.at_server if what == "refused"]


async def test_the_server_gets_the_very_exception_of_the_application(compare: Any) -> None:
    visit = await compare(app, "the application fails")
    assert isinstance(visit.error, ApplicationError)


async def test_an_unknown_scope_type_fails_as_without_a_pipeline(pass_through: Any) -> None:
    visit = await pass_through(app, {"type": "carrier-pigeon"})
    assert isinstance(visit.error, NotImplementedError)
