"""Calling the SDK, whose samplers, processors and propagators may be anybody's and may fail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from opentelemetry.propagate import extract
from opentelemetry.trace import INVALID_SPAN, Span, Tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.propagators.textmap import Getter

_logger = logging.getLogger("wspipe")


def start_span(tracer: Tracer, *options: Any) -> Span:
    """Start a span; `INVALID_SPAN` where that fails.

    Args:
        tracer: Makes the span.
        *options: As for `Tracer.start_span`.
    """
    try:
        return tracer.start_span(*options)
    except Exception:
        _logger.exception("a span could not be started")
        return INVALID_SPAN


def end_span(span: Span, end_time: int | None = None) -> None:
    """End a span, whatever becomes of it then.

    Args:
        span: The span.
        end_time: When it ended, in nanoseconds since the epoch; by default now.
    """
    try:
        span.end(end_time)
    except Exception:
        _logger.exception("a span could not be ended")


def extract_parent(carrier: Any, context: Context, getter: Getter[Any]) -> Context:
    """Read the parent that a request brings; none where that fails.

    Args:
        carrier: What has the request headers.
        context: What to add the parent to.
        getter: Reads the headers.
    """
    try:
        return extract(carrier, context, getter)
    except Exception:
        _logger.exception("the propagator failed to read the request headers")
        return context
