"""`Logging`: an event when a connection opens, one when it ends, on structlog."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - configuration reads the types
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import structlog

from wspipe import ASGIConnection, Composable, ImproperlyConfiguredException, Receive, Send
from wspipe_middlewares.logging.connection import ConnectionLog, MessageLog
from wspipe_middlewares.logging.level import LEVELS, Level
from wspipe_middlewares.logging.rehearsal import rehearsing
from wspipe_middlewares.logging.setup import configure
from wspipe_middlewares.logging.trace_ids import add_trace_ids

__all__ = ["Level", "Logging", "add_trace_ids", "configure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Logging(Composable):
    """Log each connection to structlog: `websocket.open`, then `websocket.close` or `.error`.

    Whatever the handler logs meanwhile carries the `connection_id`, by structlog's contextvars.
    Secrets in the query are hidden, and control characters from the client are escaped. Where
    `Tracing` records, the lines of a connection have the `trace_id` and `span_id` of its span, and
    those of a message have those of the current one. A logger that fails loses the line, not the
    connection.

    Without `messages` nothing is wrapped, so that a message costs nothing more.

    # Order

    Put it first, so that it also sees connections that another middleware rejects or closes.

    Args:
        messages: Log each message too, at debug level: `websocket.receive` and `websocket.send`.
        ratio: The share of messages to log, 0 to 1; which, is left to chance.
        preview: How many characters (of text) or bytes (of binary data) of a message to show.
        headers: The request headers to log, by name. Those that carry secrets are hidden.
        redact: Further query parameters and headers to hide; case, `-` and `_` do not matter.
        levels: The level of the last line by close code, such as `{1006: "debug"}`. For other
            codes it is error where the application failed or the answer was a status from 500
            on, warning for an abnormal close, a middleware's close and a rejection, and info else.
        logger: A structlog logger; by default the one named `wspipe`.

    Raises:
        ImproperlyConfiguredException: An option has no such value.
    """

    observes: ClassVar[bool] = True
    messages: bool = False
    ratio: float = 1.0
    preview: int = 64
    headers: tuple[str, ...] = ()
    redact: frozenset[str] = frozenset()
    levels: Mapping[int, Level] = field(default_factory=dict[int, "Level"], hash=False)
    logger: Any = None

    def __post_init__(self) -> None:
        """Refuse what could not work."""
        if self.preview < 0:
            raise ImproperlyConfiguredException(detail=f"preview is 0 or more, not {self.preview}")
        if not 0 <= self.ratio <= 1:
            raise ImproperlyConfiguredException(detail=f"ratio is 0 to 1, not {self.ratio!r}")
        if isinstance(self.headers, str):
            raise ImproperlyConfiguredException(
                detail=f"headers is a tuple of names, such as ({self.headers!r},)"
            )
        for code, level in self.levels.items():
            if type(code) is not int:
                raise ImproperlyConfiguredException(
                    detail=f"levels go by close code, a number, not {code!r}"
                )
            if level not in LEVELS:
                raise ImproperlyConfiguredException(
                    detail=f"the level for code {code} is one of {', '.join(LEVELS)}, not {level!r}"
                )

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        """Watch the connection."""
        # Bound once: the proxy that get_logger gives is bound anew for each line.
        logger = self.logger or structlog.get_logger("wspipe").bind()
        ConnectionLog(
            connection, logger, levels=self.levels, headers=self.headers, redact=self.redact
        )
        if not self.messages:
            return receive, send
        messages = MessageLog(connection, logger, ratio=self.ratio, preview=self.preview)
        return messages.logged_receive(receive), messages.logged_send(send)

    def rehearsal(self) -> Logging:
        """Give a copy to be measured: with no effect outside the process and never in the way.

        Its lines are rendered by the processors in force, and by the formatters where they would
        go to the standard library, and thrown away. What writing and exporting them costs is not
        told.
        """
        logger = self.logger or structlog.get_logger("wspipe")
        return replace(self, logger=rehearsing(logger))
