"""Structured logs: for reading in a terminal, or as JSON lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
import structlog

if TYPE_CHECKING:
    from structlog.typing import Processor


def configure(*, json: bool, colors: bool) -> None:
    """Configure structlog, and lead the standard library's warnings and errors to it.

    Args:
        json: Write JSON lines by orjson instead of text.
        colors: Colour the text.
    """
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    factory: Any
    if json:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ]
        factory = structlog.BytesLoggerFactory()
    else:
        processors += [
            structlog.dev.ConsoleRenderer(
                colors=colors,
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
            )
        ]
        factory = structlog.PrintLoggerFactory()
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=factory,
    )
    logging.basicConfig(handlers=[_ToStructlog()], level=logging.WARNING, force=True)


class _ToStructlog(logging.Handler):
    """Gives what uvicorn and other libraries log the same form as everything else."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave out what uvicorn says of every denial response by mistake (its issue 3138)."""
        return record.msg != "ASGI callable returned without completing handshake."

    def emit(self, record: logging.LogRecord) -> None:
        """Log it again."""
        structlog.get_logger().log(
            record.levelno,
            record.getMessage().strip(),
            logger=record.name,
            exc_info=record.exc_info,
        )
