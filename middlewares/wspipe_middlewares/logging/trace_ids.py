"""The ids that lead from a log line to its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanContext, format_span_id, format_trace_id, get_current_span

from wspipe_middlewares.names import SPAN_CONTEXT_KEY

if TYPE_CHECKING:
    from structlog.typing import EventDict, WrappedLogger

    from wspipe import ASGIConnection


def trace_ids() -> dict[str, str]:
    """Give the ids of the current span, where it is recorded, as fields for a log line."""
    span = get_current_span()
    return _fields(span.get_span_context()) if span.is_recording() else {}


def trace_ids_of(connection: ASGIConnection) -> dict[str, str]:
    """Give the ids of a connection's own span, where it is recorded; else of the current one."""
    context: SpanContext | None = connection.scope.get(SPAN_CONTEXT_KEY)
    return trace_ids() if context is None else _fields(context)


def _fields(context: SpanContext) -> dict[str, str]:
    return {
        "trace_id": format_trace_id(context.trace_id),
        "span_id": format_span_id(context.span_id),
    }


def add_trace_ids(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the current span's ids to each line: a processor for structlog.

    Leaves alone what has a `trace_id` already.

    Args:
        event: The fields of the line.
    """
    return event if "trace_id" in event else {**event, **trace_ids()}
