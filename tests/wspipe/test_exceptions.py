"""The errors: what each says, carries and is."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

import wspipe
from wspipe import (
    ClientDisconnected,
    ConnectionRejected,
    ImproperlyConfiguredException,
    ProtocolError,
    SentAfterClose,
    SerializationException,
    WebSocketDisconnect,
    WebSocketException,
    WSPipeException,
)
from wspipe.testing import ConnectionDenied

DENIAL = {"extensions": {"websocket.http.response": {}}}

ERRORS = [
    WSPipeException("one", 2, detail="three"),
    ImproperlyConfiguredException(detail="no such thing"),
    WebSocketException(detail="broken"),
    WebSocketException("one", detail="broken", code=1011),
    WebSocketDisconnect(detail="bye"),
    ClientDisconnected(detail="gone", code=1006),
    SerializationException(detail="no JSON", code=1007),
    ProtocolError(
        detail="no", event="websocket.send", sender="application", state="x", legal=["y"]
    ),
    ConnectionRejected(401, {"x": "y"}, "body", 4001, "reason"),
    ConnectionDenied(403, [(b"x", b"y")], b"body", 1008, "reason"),
]


def test_every_error_has_one_base() -> None:
    kinds = {type(error) for error in ERRORS}
    public = {getattr(wspipe, name) for name in wspipe.__all__ if "Exception" in name}
    assert public < kinds
    assert all(issubclass(kind, WSPipeException) for kind in kinds)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [copy.copy, lambda it: pickle.loads(pickle.dumps(it))])  # noqa: S301
def test_an_error_can_be_copied_and_sent_to_another_process(error: Any, duplicate: Any) -> None:
    copied = duplicate(error)
    assert type(copied) is type(error)
    assert (str(copied), copied.args, vars(copied)) == (str(error), error.args, vars(error))


def test_the_message_is_made_of_the_arguments_and_the_detail() -> None:
    error = WSPipeException("one", 2, None, "", detail="three")
    assert error.args == ("one", "2", "three")
    assert error.detail == "three"
    assert str(error) == "one 2 three"
    assert str(WSPipeException()) == ""


def test_the_default_codes() -> None:
    assert WebSocketException(detail="").code == 4500
    assert WebSocketDisconnect(detail="").code == 1000
    assert WebSocketException("arg", detail="", code=4001).code == 4001
    assert ConnectionRejected().code == 1008


def test_a_refused_send_is_an_os_error_but_a_received_disconnect_is_not() -> None:
    assert issubclass(ClientDisconnected, OSError)
    assert issubclass(ClientDisconnected, WebSocketDisconnect)
    assert issubclass(WebSocketDisconnect, WebSocketException)
    assert not issubclass(WebSocketDisconnect, OSError)


def test_sending_after_ones_own_close_is_a_fault_and_a_disconnect() -> None:
    assert issubclass(SentAfterClose, ProtocolError)
    assert issubclass(SentAfterClose, WebSocketDisconnect)
    assert not issubclass(SentAfterClose, OSError)


def test_json_that_fails_is_a_value_error() -> None:
    assert issubclass(SerializationException, ValueError)


def test_a_protocol_error_tells_what_was_sent_where_and_what_would_have_been_legal() -> None:
    error = ProtocolError(
        detail="the story", event="websocket.send", sender="application", state="s", legal=["a"]
    )
    assert (error.event, error.sender, error.state, error.legal, error.code) == (
        "websocket.send",
        "application",
        "s",
        ("a",),
        1011,
    )
    assert str(error) == "the story"


def test_a_rejection_becomes_a_denial_response_where_the_server_can_send_one() -> None:
    rejection = ConnectionRejected(401, {"WWW-Authenticate": "Bearer"}, "no entry: é")
    assert rejection.events(DENIAL) == (
        {
            "type": "websocket.http.response.start",
            "status": 401,
            "headers": [(b"www-authenticate", b"Bearer")],
        },
        {"type": "websocket.http.response.body", "body": b"no entry: \xc3\xa9", "more_body": False},
    )


@pytest.mark.parametrize("scope", [{}, {"extensions": None}, {"extensions": {"tls": {}}}])
def test_a_rejection_becomes_a_plain_close_elsewhere(scope: dict[str, Any]) -> None:
    rejection = ConnectionRejected(401, code=4001, reason="é" * 100)
    assert rejection.events(scope) == (
        {"type": "websocket.close", "code": 4001, "reason": "é" * 61},
    )


def test_a_rejection_says_what_the_client_gets() -> None:
    rejection = ConnectionRejected(401, code=4001, reason="no token")
    assert str(rejection) == "connection rejected with status 401, code 4001 no token"
    assert rejection.by is None
    assert (rejection.headers, rejection.body) == ([], b"")
