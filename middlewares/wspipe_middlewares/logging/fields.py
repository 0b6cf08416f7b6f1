"""The fields of log lines, and what each tells."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, TypeAlias

Line: TypeAlias = Literal["open", "close", "error", "receive", "send"]

_BOTH: Final = ("open", "close", "error")
_LAST: Final = ("close", "error")
_MESSAGE: Final = ("receive", "send")


class LogField(NamedTuple):
    """A field.

    Args:
        lines: The events that have it, without their `websocket.`.
        meaning: What it tells.
    """

    lines: tuple[Line, ...]
    meaning: str


LOG_FIELDS: Final = {
    "connection_id": LogField(
        (*_BOTH, *_MESSAGE),
        "16 hexadecimal digits; in the handler's lines too, by structlog's contextvars",
    ),
    "trace_id": LogField(
        (*_BOTH, *_MESSAGE),
        "where `Tracing` records: of the connection's span; of the current one in a message's line",
    ),
    "span_id": LogField((*_BOTH, *_MESSAGE), "likewise"),
    "path": LogField(_BOTH, "the path, control characters escaped"),
    "query": LogField(_BOTH, "the query, the values of secret parameters hidden"),
    "client": LogField(_BOTH, "address and port, as the scope has them"),
    "user_agent": LogField(_BOTH, "the header `user-agent`"),
    "headers": LogField(_BOTH, "those that `Logging(headers=...)` names; secrets hidden"),
    "subprotocol": LogField(_BOTH, "the subprotocol chosen; `None` for none; not of a denial"),
    "route": LogField(_BOTH, "the route's pattern, where a framework tells"),
    "status": LogField(_LAST, "the HTTP status that answered the handshake: 101 is accepted"),
    "duration": LogField(_LAST, "seconds since the request"),
    "messages_received": LogField(_LAST, "messages that came in"),
    "messages_sent": LogField(_LAST, "messages that went out"),
    "bytes_received": LogField(_LAST, "their bytes, text in UTF-8"),
    "bytes_sent": LogField(_LAST, "likewise"),
    "code": LogField(_LAST, "the close code"),
    "reason": LogField(_LAST, "the close reason, control characters escaped"),
    "closed_by": LogField(
        _LAST,
        "who ended it: `client`, `application`, `server`, `unknown`, or the class of the "
        "middleware",
    ),
    "error_type": LogField(
        _LAST,
        "where something was wrong with the end: the exception's class, a status from 500 on, an "
        "abnormal close code, `unanswered`",
    ),
    **{
        f"rate_limit_{decision}": LogField(_LAST, meaning)
        for decision, meaning in {
            "delayed": "messages that a rate limit delayed, where there were any",
            "dropped": "messages that it dropped",
            "closed": "closes by it",
            "rejected": "handshakes that it denied",
            "raised": "messages that it raised for",
            "handled": "messages on which the user's function decided",
        }.items()
    },
    "error": LogField(
        ("error",), "the exception: its class, and what it says, which is not redacted"
    ),
    "exception": LogField(
        ("error",), "its traceback, each line indented so that none passes for a line of its own"
    ),
    "kind": LogField(_MESSAGE, "`text` or `binary`"),
    "size": LogField(_MESSAGE, "its bytes, text in UTF-8"),
    "preview": LogField(_MESSAGE, "its beginning, escaped; of binary data in hexadecimal"),
}
"""All fields, in the order in which the reference lists them."""
