"""Every guard keeps the contract, at its limits too."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from wspipe import ImproperlyConfiguredException, WebSocketException
from wspipe.config import Registry
from wspipe.testing import check_middleware as check
from wspipe_middlewares import (
    AuthDeadline,
    ConnectionLimit,
    MessageSizeLimit,
    OriginCheck,
    Recovery,
    SendQueue,
    Timeouts,
    authenticated,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from wspipe import ASGIConnection, Event, Middleware, Receive, Send

EXAMPLES = 40
"""Fewer than by default, as there are many cases."""


def same_key(event: Event, connection: ASGIConnection) -> str:
    del event, connection
    return "same"


asked: list[str] = []


def is_welcome(connection: ASGIConnection) -> bool:
    asked.append(connection.scope["path"])
    return len(connection.scope["path"]) % 2 == 0


def mark(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    authenticated(connection.scope)
    return receive, send


LOSSLESS: dict[str, Callable[[], Middleware]] = {
    "origin": partial(OriginCheck, missing="allow"),
    "connections": partial(ConnectionLimit, 100, per_client=4),
    "message size": partial(MessageSizeLimit, text_sent=10_000, binary_sent=10_000),
    "timeouts": partial(Timeouts, idle=86400, handling=86400, send=86400, lifetime=10**6),
    "timeouts that cancel": partial(Timeouts, accept=None, handling=86400, cancel=True),
    "auth": partial(AuthDeadline, within=None),
    "recovery": Recovery,
    "queue": SendQueue,
}
AT_THE_LIMIT: dict[str, Callable[[], Middleware]] = {
    "origin": OriginCheck,
    "connections": partial(ConnectionLimit, 4),
    "message size": partial(
        MessageSizeLimit, text_received=4, binary_received=4, text_sent=4, binary_sent=4
    ),
    "timeouts": partial(Timeouts, accept=1, idle=1, lifetime=5, handling=1, send=1),
    "timeouts that cancel": partial(Timeouts, idle=1, handling=1, send=1, cancel=True),
    "auth": partial(AuthDeadline, within=1),
    "auth, asked again": lambda: AuthDeadline(recheck=is_welcome, every=1) | mark,
    "recovery": partial(
        Recovery, {ValueError: 4000, RuntimeError: 4001}, closes={1000: 4002}, returned=4003
    ),
    "queue, close": partial(SendQueue, max_messages=1),
    "queue, oldest": partial(SendQueue, max_messages=1, on_overflow="drop_oldest"),
    "queue, newest": partial(SendQueue, max_messages=1, on_overflow="drop_newest"),
    "queue, latest": partial(SendQueue, max_messages=1, on_overflow="latest", key=same_key),
}


def exceptions_of(name: str) -> dict[str, Any]:
    """What a guard does on purpose."""
    if name == "recovery":
        # Where the server has no denial response, which answers a return with a 500.
        return {"raises": WebSocketException}
    if name.startswith("queue"):
        # What waits when the client leaves is lost, and more waits where more is sent at once.
        return {"without": ["concurrency"]}
    return {}


@pytest.mark.parametrize("name", LOSSLESS)
def test_a_guard_that_has_nothing_to_refuse_loses_no_message(name: str) -> None:
    check(LOSSLESS[name], lossless=True, examples=EXAMPLES, **exceptions_of(name))


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_a_guard_keeps_the_contract_at_its_limit(name: str) -> None:
    check(AT_THE_LIMIT[name], examples=EXAMPLES, **exceptions_of(name))
    assert asked or name != "auth, asked again"


def test_a_rule_that_there_is_not_cannot_be_left_out() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"there is no rule speed; the rules"):
        check(OriginCheck, without=["speed", "order"])


def test_every_built_in_middleware_is_checked() -> None:
    checked: set[Any] = {getattr(make, "func", make) for make in LOSSLESS.values()}
    in_the_other_file = {"Drain", "Logging", "Metrics", "RateLimit", "StateValidation", "Tracing"}
    names = {kind.__name__ for kind in checked} | in_the_other_file
    assert names >= {
        plugin.name
        for plugin in Registry.installed()
        if plugin.entry_point.dist is not None and plugin.entry_point.dist.name == "wspipe"
    }
