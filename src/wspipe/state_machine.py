"""The ASGI WebSocket conversation as one table.

Sources: the WebSocket part of "HTTP & WebSocket ASGI Message Format" 2.5, and the "WebSocket
Denial Response" extension. A conversation has two sides, each with a state of its own: what the
server has told the application, and what the application has answered. An event is legal when both
are among the states of its row; then its sender's side moves on.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Sender: TypeAlias = Literal["server", "application"]

# What the server has told the application so far.
WAITING: Final = "waiting for connect"
CONNECTED: Final = "connected"
DISCONNECTED: Final = "disconnected"
UNANNOUNCED: Final = "connected without a connect event"

# What the application has answered so far.
UNANSWERED: Final = "unanswered"
ACCEPTED: Final = "accepted"
CLOSED: Final = "closed"
DENYING: Final = "denying"
REJECTED: Final = "rejected"

CONNECT: Final = "websocket.connect"
RECEIVE: Final = "websocket.receive"
DISCONNECT: Final = "websocket.disconnect"
ACCEPT: Final = "websocket.accept"
SEND: Final = "websocket.send"
CLOSE: Final = "websocket.close"
DENIAL_START: Final = "websocket.http.response.start"
DENIAL_BODY: Final = "websocket.http.response.body"

DENIAL_EXTENSION: Final = "websocket.http.response"


Transitions: TypeAlias = dict[tuple[Sender, str, str, str], str]
"""From a sender, an event and the states of both sides to the sender's next state."""


class Rule(NamedTuple):
    """One row: who may send the event, in which states of the two sides, and what follows."""

    sender: Sender
    event: str
    received: frozenset[str]
    sent: frozenset[str]
    then: str


def _in(*states: str) -> frozenset[str]:
    return frozenset(states)


_WHENEVER = _in(WAITING, CONNECTED, DISCONNECTED)
_ALL = _in(UNANSWERED, ACCEPTED, CLOSED, DENYING, REJECTED)
_APP: Final = "application"

# An application may answer before it has taken the connect event. A server may repeat the
# disconnect, and may deliver messages that arrived before it got to handle the close.
# fmt: off
RULES: Final[tuple[Rule, ...]] = (
    #    sender    event         received so far               answered so far        then
    Rule("server", CONNECT,      _in(WAITING),                 _ALL,                  CONNECTED),
    Rule("server", RECEIVE,      _in(CONNECTED),               _in(ACCEPTED, CLOSED), CONNECTED),
    Rule("server", DISCONNECT,   _in(CONNECTED, DISCONNECTED), _ALL,                  DISCONNECTED),
    Rule(_APP,     ACCEPT,       _WHENEVER,                    _in(UNANSWERED),       ACCEPTED),
    Rule(_APP,     SEND,         _WHENEVER,                    _in(ACCEPTED),         ACCEPTED),
    Rule(_APP,     CLOSE,        _WHENEVER,                    _in(ACCEPTED),         CLOSED),
    Rule(_APP,     CLOSE,        _WHENEVER,                    _in(UNANSWERED),       REJECTED),
    Rule(_APP,     DENIAL_START, _WHENEVER,                    _in(UNANSWERED),       DENYING),
    Rule(_APP,     DENIAL_BODY,  _WHENEVER,                    _in(DENYING),          DENYING),
)
# fmt: on
"""A denial body without `more_body` is the last one: after it the application has rejected."""


# What passes where not strict, though the specification forbids it: some test clients, such as
# Quart's, never send the connect event. Whoever does send it is held to the table above.
# fmt: off
LENIENT_RULES: Final[tuple[Rule, ...]] = (
    Rule("server", RECEIVE,    _in(WAITING, UNANNOUNCED), _ALL, UNANNOUNCED),
    Rule("server", DISCONNECT, _in(WAITING, UNANNOUNCED), _ALL, DISCONNECTED),
)
# fmt: on


def _unrolled(rules: tuple[Rule, ...]) -> Transitions:
    return {
        (rule.sender, rule.event, received, sent): rule.then
        for rule in rules
        for received in rule.received
        for sent in rule.sent
    }


TRANSITIONS: Final[Transitions] = _unrolled(RULES)
"""The same table for look-up."""

LENIENT_TRANSITIONS: Final[Transitions] = {
    **TRANSITIONS,
    **_unrolled(LENIENT_RULES),
    **{
        (sender, event, UNANNOUNCED, sent): then
        for (sender, event, received, sent), then in TRANSITIONS.items()
        if sender == "application" and received == CONNECTED
    },
}
"""The look-up where not strict."""

EVENTS: Final = frozenset(rule.event for rule in RULES)


def legal_events(sender: Sender, received: str, sent: str, *, denial: bool) -> tuple[str, ...]:
    """List what a side may send in these states; `denial` tells whether the server can deny."""
    if received == UNANNOUNCED:
        received = CONNECTED
    return tuple(
        event
        for side, event, *states in TRANSITIONS
        if side == sender
        and states == [received, sent]
        and (denial or not event.startswith(DENIAL_EXTENSION))
    )
