"""Every name that observers give: attributes, metrics, keys of the scope, each with its precedent.

A name of OpenTelemetry's semantic conventions (version 1.37) stands where there is one; the others
begin with `wspipe.`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

ROUTE_KEY: Final = "wspipe.route"
"""Where the scope has the route's pattern: whoever knows it may put it there."""

SCHEMA_URL: Final = "https://opentelemetry.io/schemas/1.37.0"
"""The version of the conventions that the names follow."""

OTHER: Final = "_OTHER"
"""What metrics say in place of a value that is not one of a few known ones."""

SPAN_CONTEXT_KEY: Final = "wspipe.span_context"
"""Where `Tracing` puts the `SpanContext` of the connection's span, once that is recorded."""

RATE_LIMIT_KEY: Final = "wspipe.rate_limit"
"""Where `RateLimit` counts what it decided on the connection, other than to admit."""

METHOD: Final = "http.request.method"
STATUS: Final = "http.response.status_code"
ROUTE: Final = "http.route"
PATH: Final = "url.path"
QUERY: Final = "url.query"
SCHEME: Final = "url.scheme"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
CLIENT_ADDRESS: Final = "client.address"
CLIENT_PORT: Final = "client.port"
PROTOCOL_VERSION: Final = "network.protocol.version"
DIRECTION: Final = "network.io.direction"
USER_AGENT: Final = "user_agent.original"
ERROR_TYPE: Final = "error.type"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"

CONNECTION_ID: Final = "wspipe.connection.id"
SUBPROTOCOL: Final = "wspipe.subprotocol"
CLOSE_CODE: Final = "wspipe.close.code"
CLOSE_REASON: Final = "wspipe.close.reason"
CLOSED_BY: Final = "wspipe.closed_by"
MESSAGE_TYPE: Final = "wspipe.message.type"
MESSAGE_SIZE: Final = "wspipe.message.size"
MESSAGES_RECEIVED: Final = "wspipe.messages.received"
MESSAGES_SENT: Final = "wspipe.messages.sent"
BYTES_RECEIVED: Final = "wspipe.bytes.received"
BYTES_SENT: Final = "wspipe.bytes.sent"
RATE_LIMIT: Final = "wspipe.rate_limit.name"
DECISION: Final = "wspipe.rate_limit.decision"
DELAYED: Final = "wspipe.rate_limit.delayed"
DROPPED: Final = "wspipe.rate_limit.dropped"
CLOSED: Final = "wspipe.rate_limit.closed"
REJECTED_BY_LIMIT: Final = "wspipe.rate_limit.rejected"
RAISED: Final = "wspipe.rate_limit.raised"
HANDLED: Final = "wspipe.rate_limit.handled"

_HTTP: Final = "OpenTelemetry, HTTP server spans"
_GENERAL: Final = "OpenTelemetry, general attributes"
_EXCEPTIONS: Final = "OpenTelemetry, exceptions on spans"
_CLOSE: Final = "RFC 6455 section 7.4; `rpc.grpc.status_code`"
_TALLY: Final = "`connection.traffic`"
_DECISIONS: Final = "`envoy.http_local_rate_limit`"


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute: what it tells, what it is modelled on, and which spans have it.

    What a connection's span has at its end is on one that lasts to the end of the connection, and
    on that of a handshake that was denied or failed.
    """

    meaning: str
    precedent: str
    spans: Literal[
        "connection", "connection, at its end", "message", "both", "exception events", "none"
    ]


ATTRIBUTES: Final[dict[str, Attribute]] = {
    METHOD: Attribute(
        "`GET`; `CONNECT` over HTTP/2 (RFC 8441) and HTTP/3 (RFC 9220)", _HTTP, "connection"
    ),
    STATUS: Attribute(
        "what answered the handshake; 101 is accepted, over any HTTP", _HTTP, "connection"
    ),
    ROUTE: Attribute("the route's pattern, never the path itself", _HTTP, "both"),
    PATH: Attribute("the path", _HTTP, "connection"),
    QUERY: Attribute("the query, the values of secret parameters hidden", _HTTP, "connection"),
    SCHEME: Attribute("`ws` or `wss`", _HTTP, "connection"),
    SERVER_ADDRESS: Attribute("the host that the client asked for", _HTTP, "connection"),
    SERVER_PORT: Attribute("its port", _HTTP, "connection"),
    CLIENT_ADDRESS: Attribute(
        "the address of the client, as the scope has it", _HTTP, "connection"
    ),
    CLIENT_PORT: Attribute("its port", _HTTP, "connection"),
    PROTOCOL_VERSION: Attribute("the version of HTTP of the handshake", _GENERAL, "connection"),
    DIRECTION: Attribute("`receive` from the client, `transmit` to it", _GENERAL, "none"),
    USER_AGENT: Attribute("the header `user-agent`", _HTTP, "connection"),
    ERROR_TYPE: Attribute(
        "the class of the exception; else the status from 500 on, or the close code of an abnormal "
        "close; `unanswered` for a handshake that the server's side left without an answer",
        _GENERAL,
        "both",
    ),
    EXCEPTION_TYPE: Attribute("the class of the exception", _EXCEPTIONS, "exception events"),
    EXCEPTION_MESSAGE: Attribute(
        "its text, control characters escaped", _EXCEPTIONS, "exception events"
    ),
    EXCEPTION_STACKTRACE: Attribute("its traceback, likewise", _EXCEPTIONS, "exception events"),
    CONNECTION_ID: Attribute(
        "`connection.id`, the same as in the logs", "`messaging.message.id`", "both"
    ),
    SUBPROTOCOL: Attribute("the subprotocol chosen", "RFC 6455 section 1.9", "connection"),
    CLOSE_CODE: Attribute(
        "the close code, as text; in metrics an unknown one is `_OTHER`",
        _CLOSE,
        "connection, at its end",
    ),
    CLOSE_REASON: Attribute(
        "the close reason, control characters escaped", _CLOSE, "connection, at its end"
    ),
    CLOSED_BY: Attribute(
        "who ended it: `client`, `application`, `server`, `unknown`, or the class of the "
        "middleware; in metrics any other name is `_OTHER`",
        "`connection.closed_by`",
        "connection, at its end",
    ),
    MESSAGE_TYPE: Attribute("`text` or `binary`", "RFC 6455 section 5.6", "message"),
    MESSAGE_SIZE: Attribute(
        "bytes of the message, text in UTF-8", "`messaging.message.body.size`", "message"
    ),
    MESSAGES_RECEIVED: Attribute(
        "messages received on the connection", _TALLY, "connection, at its end"
    ),
    MESSAGES_SENT: Attribute("messages sent on the connection", _TALLY, "connection, at its end"),
    BYTES_RECEIVED: Attribute("bytes of the messages received", _TALLY, "connection, at its end"),
    BYTES_SENT: Attribute("bytes of the messages sent", _TALLY, "connection, at its end"),
    RATE_LIMIT: Attribute(
        "the name of the limit, which by default is its rate", _DECISIONS, "none"
    ),
    DECISION: Attribute(
        "`admitted`, `delayed`, `dropped`, `closed`, `rejected`, `raised` or `handled`",
        _DECISIONS,
        "none",
    ),
    DELAYED: Attribute(
        "messages that a limit delayed, where there were any", _DECISIONS, "connection, at its end"
    ),
    DROPPED: Attribute("messages that it dropped", _DECISIONS, "connection, at its end"),
    CLOSED: Attribute("closes by a limit", _DECISIONS, "connection, at its end"),
    REJECTED_BY_LIMIT: Attribute("handshakes it denied", _DECISIONS, "connection, at its end"),
    RAISED: Attribute("messages that it raised for", _DECISIONS, "connection, at its end"),
    HANDLED: Attribute(
        "messages on which the user's function decided", _DECISIONS, "connection, at its end"
    ),
}
"""All attributes of spans and metrics."""

LIMITED: Final = {
    "delayed": DELAYED,
    "dropped": DROPPED,
    "closed": CLOSED,
    "rejected": REJECTED_BY_LIMIT,
    "raised": RAISED,
    "handled": HANDLED,
}
"""The attribute that counts a rate limit's decisions of a kind."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: how it is made, what it is modelled on, and which option turns it on."""

    name: str
    kind: Literal["counter", "up-down counter", "histogram"]
    unit: str
    description: str
    attributes: tuple[str, ...]
    precedent: str
    option: str | None = None
    buckets: tuple[float, ...] | None = None


# From a page that is left at once to a screen on a wall.
_SESSIONS: Final = (1, 5, 15, 60, 300, 900, 3600, 7200, 14400, 28800, 86400)
_MOMENTS: Final = (
    0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
)  # fmt: skip
_SIZES: Final = (0, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 16777216)

ACTIVE: Final = Metric(
    "wspipe.connections.active",
    "up-down counter",
    "{connection}",
    "Connections that were accepted and have not ended.",
    (ROUTE,),
    "`http.server.active_requests`",
)
DURATION: Final = Metric(
    "wspipe.connection.duration",
    "histogram",
    "s",
    "How long connections lasted, from the accept to the end.",
    (ROUTE, CLOSE_CODE, CLOSED_BY, ERROR_TYPE),
    "`http.server.request.duration`",
    buckets=_SESSIONS,
)
REJECTED: Final = Metric(
    "wspipe.connections.rejected",
    "counter",
    "{connection}",
    "Connections that ended before they were accepted.",
    (ROUTE, STATUS, CLOSED_BY, ERROR_TYPE),
    "`kestrel.rejected_connections`",
)
MESSAGES: Final = Metric(
    "wspipe.messages",
    "counter",
    "{message}",
    "Messages that passed.",
    (ROUTE, DIRECTION, MESSAGE_TYPE),
    "`messaging.client.sent.messages`",
)
MESSAGE_BYTES: Final = Metric(
    "wspipe.message.bytes",
    "counter",
    "By",
    "Bytes of the messages that passed.",
    (ROUTE, DIRECTION, MESSAGE_TYPE),
    "`system.network.io`",
)
SIZE: Final = Metric(
    "wspipe.message.size",
    "histogram",
    "By",
    "Bytes of each message.",
    (ROUTE, DIRECTION, MESSAGE_TYPE),
    "`http.server.request.body.size`",
    option="message_size",
    buckets=_SIZES,
)
PROCESS_DURATION: Final = Metric(
    "wspipe.message.process.duration",
    "histogram",
    "s",
    "Time from a message's delivery to the application's next receive.",
    (ROUTE, MESSAGE_TYPE, ERROR_TYPE),
    "`messaging.process.duration`",
    option="process_duration",
    buckets=_MOMENTS,
)
SEND_DURATION: Final = Metric(
    "wspipe.send.duration",
    "histogram",
    "s",
    "Time that the server took for each message sent.",
    (ROUTE, MESSAGE_TYPE, ERROR_TYPE),
    "`messaging.client.operation.duration`",
    option="send_duration",
    buckets=_MOMENTS,
)

DECISIONS: Final = Metric(
    "wspipe.rate_limit.decisions",
    "counter",
    "{decision}",
    "Messages and handshakes that rate limits decided on.",
    (RATE_LIMIT, DECISION),
    "`envoy.http_local_rate_limit.rate_limited`",
)
STORE_ERRORS: Final = Metric(
    "wspipe.rate_limit.store.errors",
    "counter",
    "{error}",
    "Requests that a shared store of rate limits did not answer, or with an error.",
    (RATE_LIMIT, ERROR_TYPE),
    "`envoy.ratelimit.error`",
)

METRICS: Final = (
    ACTIVE,
    DURATION,
    REJECTED,
    MESSAGES,
    MESSAGE_BYTES,
    SIZE,
    PROCESS_DURATION,
    SEND_DURATION,
    DECISIONS,
    STORE_ERRORS,
)
"""All metrics."""


@dataclass(frozen=True, slots=True)
class SpanOf:
    """A span: how it is named, its kind, how long it lasts, and which option asks for it.

    Args:
        operation: What its name begins with; the route's pattern follows, where it is known.
        kind: Its kind in OpenTelemetry.
        lasts: From when to when.
        option: The option of `Tracing`.
    """

    operation: str
    kind: str
    lasts: str
    option: str


CONNECTION: Final = SpanOf(
    "GET",
    "SERVER; INTERNAL where a span of this process is current already",
    'from the request to the answer of the handshake; with `span="connection"` to the end of the '
    "connection. Over HTTP/2 and HTTP/3 its name begins with `CONNECT`",
    "",
)
PROCESS: Final = SpanOf(
    "process",
    "CONSUMER",
    "from a message's delivery to the application's next receive",
    '`messages="receive"` or `"all"`',
)
SENDING: Final = SpanOf(
    "send",
    "PRODUCER",
    "as long as the server takes for a message",
    '`messages="all"`',
)
SPANS: Final = (CONNECTION, PROCESS, SENDING)
"""All spans."""
