"""structlog set up: JSON lines for production, readable ones for development."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

import structlog

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.logging.level import LEVELS, Level
from wspipe_middlewares.logging.rendering import dump, encodable
from wspipe_middlewares.logging.trace_ids import add_trace_ids
from wspipe_middlewares.redaction import redact_query

if TYPE_CHECKING:
    from structlog.typing import Processor

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
    "gunicorn.access",
    "gunicorn.error",
)

# The parts of a line that are a query without its question mark, in Hypercorn and Granian.
_QUERY_ATOMS: Final = ("q", "qs", "query_string")
_QUERY: Final = re.compile(r"\?(\S+)")


def configure(
    *,
    json: bool | None = None,
    level: Level = "info",
    colors: bool | None = None,
    export: bool = False,
) -> None:
    """Set structlog up for the whole program, and lead the standard library's logs to it.

    Call it once, at the start. Each line has what is bound to structlog's contextvars (such as the
    `connection_id`, while a handler serves a connection) and the ids of the current span. Secrets
    in the queries of a server's access lines are hidden. Any task and any thread may log; a line is
    written to the standard output before the call returns.

    A server that sets logging up after this call takes its own lines back: have `uvicorn.run()`
    leave it, by `log_config=None`.

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
        from wspipe_middlewares.logging.export import export_line  # noqa: PLC0415 - see there

        processors.append(export_line)
    factory: Any
    if json if json is not None else not terminal:
        processors += [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=dump),
        ]
        factory = structlog.BytesLoggerFactory()
    else:
        processors += [
            structlog.dev.ConsoleRenderer(
                colors=terminal if colors is None else colors,
                exception_formatter=structlog.dev.plain_traceback,
                sort_keys=False,
            ),
            encodable,
        ]
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
        # A filter stays where a server takes its loggers back, as uvicorn.run() does.
        server.filters[:] = [*filter(_is_not_ours, server.filters), _HideSecrets()]


def _is_not_ours(each: object) -> bool:
    return not isinstance(each, _HideSecrets)


class _HideSecrets(logging.Filter):
    """Hides the secrets in the queries of a server's access lines, which have them as they came."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, redacted."""
        args = record.args
        if isinstance(args, tuple) and args:
            # uvicorn's formatter takes them one by one.
            record.args = tuple(map(_redacted, args))
            return True
        if isinstance(args, dict):
            for key in _QUERY_ATOMS:
                if isinstance(query := args.get(key), str):
                    args[key] = redact_query(query.encode("utf-8", "replace"))
        record.msg, record.args = _redacted(record.getMessage()), None
        return True


def _redacted(value: object) -> Any:
    if not isinstance(value, str):
        return value
    return _QUERY.sub(lambda found: f"?{redact_query(found[1].encode('utf-8', 'replace'))}", value)


_EXTRA: Final = structlog.stdlib.ExtraAdder()
_OURS: Final = frozenset({"event", "exc_info", "level", "logger", "method_name", "self"})


class _ToStructlog(logging.Handler):
    """Gives what uvicorn and other libraries log the same form as everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it again; what cannot be logged is reported on the standard error output."""
        try:
            fields = _EXTRA(logging.getLogger(), "", {"_record": record})
            del fields["_record"]
            if record.name.startswith("uvicorn"):
                fields.pop("color_message", None)  # the same message again, for a terminal
            fields = {f"extra_{key}" if key in _OURS else key: fields[key] for key in fields}
            if record.stack_info:
                fields["stack"] = record.stack_info
            # structlog knows five levels only.
            level = max(logging.DEBUG, min(logging.CRITICAL, record.levelno // 10 * 10))
            structlog.get_logger().log(
                level,
                record.getMessage().strip(),
                logger=record.name,
                exc_info=record.exc_info,
                **fields,
            )
        except Exception:  # noqa: BLE001 - a handler must not raise into the program
            self.handleError(record)
