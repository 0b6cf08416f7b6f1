"""Log lines for OpenTelemetry: each as a record of the logger provider."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final

import orjson
from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)
from structlog.processors import format_exc_info

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.util.types import AnyValue
    from structlog.typing import EventDict, WrappedLogger

_LOGGER: Final = get_logger("wspipe")
_SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
# What becomes a part of the record of its own.
_TAKEN: Final = frozenset({"event", "level", "timestamp", "trace_id", "span_id"})


def export_line(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Give a line to OpenTelemetry's logger provider: a processor for structlog.

    Put it behind those that complete a line, and before the one that renders it.
    """
    # What the exporter itself complains of would come back to it.
    if not str(line.get("logger", "")).startswith("opentelemetry"):
        fields = format_exc_info(logger, method, dict(line))
        level = line.get("level", "")
        _LOGGER.emit(
            LogRecord(
                timestamp=time_ns(),
                context=_context(line),
                severity_text=level,
                severity_number=_SEVERITIES.get(level, SeverityNumber.UNSPECIFIED),
                body=str(line.get("event", "")),
                attributes={
                    name: _exportable(value)
                    for name, value in fields.items()
                    if name not in _TAKEN and value is not None
                },
            )
        )
    return line


def _context(line: EventDict) -> Context | None:
    if "trace_id" not in line:
        return None
    trace_id, span_id = int(line["trace_id"], 16), int(line["span_id"], 16)
    flags = TraceFlags(TraceFlags.SAMPLED)
    span = SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(span))


def _exportable(value: object) -> AnyValue:
    if isinstance(value, str | bool | int | float):
        return value
    return orjson.dumps(value, default=str).decode()
