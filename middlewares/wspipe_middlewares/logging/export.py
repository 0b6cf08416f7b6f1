"""Log lines for OpenTelemetry: each as a record of the logger provider.

Imported where lines are to be exported: OpenTelemetry's API for logs is not declared stable.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import TYPE_CHECKING, Final, cast

from opentelemetry._logs import LogRecord, SeverityNumber, get_logger
from opentelemetry.context import (
    _SUPPRESS_INSTRUMENTATION_KEY,  # pyright: ignore[reportPrivateUsage] - it has no other name
    get_value,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from structlog.processors import format_exc_info

from wspipe_middlewares.logging.rendering import as_text
from wspipe_middlewares.names import EXCEPTION_STACKTRACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.util.types import AnyValue
    from structlog.typing import EventDict, WrappedLogger

_LOGGER: Final = get_logger("wspipe")
_INTEGERS: Final = 2**63
_DEPTH: Final = 8
_SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
# What becomes a part of the record of its own.
_TAKEN: Final = frozenset({"event", "level", "timestamp", "exception"})
_IDS: Final = frozenset({"trace_id", "span_id"})


def export_line(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Give a line to OpenTelemetry's logger provider: a processor for structlog.

    Put it behind those that complete a line, and before the one that renders it. What exporters
    log, and what is logged while they export, is left out: it would come back to them.
    """
    exporting = get_value(_SUPPRESS_INSTRUMENTATION_KEY)
    if not exporting and not str(line.get("logger", "")).startswith("opentelemetry"):
        fields = format_exc_info(logger, method, dict(line))
        span = _named_span(line)
        taken = _TAKEN if span is None else _TAKEN | _IDS
        attributes = {
            as_text(name): _exportable(value)
            for name, value in fields.items()
            if name not in taken and value is not None
        }
        if "exception" in fields:
            attributes[EXCEPTION_STACKTRACE] = _exportable(fields["exception"])
        level = line.get("level", "")
        _LOGGER.emit(
            LogRecord(
                timestamp=time_ns(),
                context=None if span is None else set_span_in_context(NonRecordingSpan(span)),
                severity_text=level,
                severity_number=_SEVERITIES.get(level, SeverityNumber.UNSPECIFIED),
                body=as_text(line.get("event", "")),
                attributes=attributes,
            )
        )
    return line


def _named_span(line: EventDict) -> SpanContext | None:
    """Give the span that a line names, `None` where its ids are none of a span, or missing."""
    trace_id, span_id = line.get("trace_id"), line.get("span_id")
    if not (isinstance(trace_id, str) and len(trace_id) == 32):
        return None
    if not (isinstance(span_id, str) and len(span_id) == 16):
        return None
    try:
        ids = int(trace_id, 16), int(span_id, 16)
    except ValueError:
        return None
    current = get_current_span().get_span_context()
    if ids == (current.trace_id, current.span_id):
        return current
    return SpanContext(*ids, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _exportable(value: object, depth: int = 0) -> AnyValue:
    if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < _INTEGERS):
        return value
    if isinstance(value, Mapping) and depth < _DEPTH:
        pairs = cast("Mapping[object, object]", value).items()
        return {as_text(key): _exportable(each, depth + 1) for key, each in pairs}
    if isinstance(value, list | tuple) and depth < _DEPTH:
        return [_exportable(each, depth + 1) for each in cast("Sequence[object]", value)]
    return as_text(value)  # pyright: ignore[reportUnknownArgumentType] - an object as before
