"""structlog set up: JSON lines for production, readable ones for development."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import orjson
import structlog

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.logging.export import export_line
from wspipe_middlewares.logging.trace_ids import add_trace_ids
from wspipe_middlewares.redaction import redact_query

if TYPE_CHECKING:
    from structlog.typing import Processor

LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""The levels of a log line, from the least."""

# Servers give these loggers handlers of their own, which would write their lines another way.
_SERVER_LOGGERS: Final = (
    "uvicorn",
    "uvicorn.access",
    "uvicorn.error",
    "hypercorn.access",
    "hypercorn.error",
    "_granian",
    "granian.access",
    "daphne",
)

_QUERY: Final = re.compile(r"\?([^\s\"']+)")


def configure(
    *,
    json: bool | None = None,
    level: str = "info",
    colors: bool | None = None,
    export: bool = False,
) -> None:
    """Set structlog up for the whole program, and lead the standard library's logs to it.

    Call it once, at the start. Each line has what is bound to structlog's contextvars (such as the
    `connection_id`, while a handler serves a connection) and the ids of the current span. Secrets
    in the queries of a server's access lines are hidden. Any task and any thread may log; a line is
    written to the standard output before the call returns.

    Args:
        json: Write JSON lines, by orjson; by default unless the output is a terminal.
        level: The least level to write: `"debug"` to `"critical"`.
        colors: Colour readable lines; by default in a terminal.
        export: Give each line to OpenTelemetry's logger provider too.

    Raises:
        ImproperlyConfiguredException: There is no such level.
    """
    if level not in LEVELS:
        raise ImproperlyConfiguredException(
            detail=f"level is one of {', '.join(LEVELS)}, not {level!r}"
        )
    terminal = sys.stdout.isatty()
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        add_trace_ids,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if export:
        processors.append(export_line)
    factory: Any
    if json if json is not None else not terminal:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ]
        factory = structlog.BytesLoggerFactory()
    else:
        processors.append(
            structlog.dev.ConsoleRenderer(
                colors=terminal if colors is None else colors,
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
            )
        )
        factory = structlog.PrintLoggerFactory()
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=factory,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=number, force=True)
    for name in _SERVER_LOGGERS:
        server = logging.getLogger(name)
        server.handlers.clear()
        server.propagate = True


class _ToStructlog(logging.Handler):
    """Gives what uvicorn and other libraries log the same form as everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it again."""
        message = record.getMessage().strip()
        if record.name in _SERVER_LOGGERS:
            # Their access lines have the request's query as it came.
            message = _QUERY.sub(lambda found: f"?{redact_query(found[1].encode())}", message)
        structlog.get_logger().log(
            record.levelno,
            message,
            logger=record.name,
            exc_info=record.exc_info,
        )
