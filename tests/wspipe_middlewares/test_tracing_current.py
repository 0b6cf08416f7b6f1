"""What stands for a span while it is open, and for what was current before once it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import attach, detach
from opentelemetry.trace import INVALID_SPAN, get_current_span, set_span_in_context

from wspipe_middlewares.tracing.current import CurrentSpan

if TYPE_CHECKING:
    from tests.observed import Spans


def test_it_names_the_span_and_then_what_was_before(spans: Spans) -> None:
    with spans.tracer.start_as_current_span("before") as before:
        span = spans.tracer.start_span("span")
        current = CurrentSpan(span, before)
        assert current.get_span_context() is span.get_span_context()
        current.finish()
        assert current.get_span_context() is before.get_span_context()
        assert current.is_recording()
        span.end()


def test_what_is_over_is_not_kept_by_what_comes_after() -> None:
    first = CurrentSpan(INVALID_SPAN, INVALID_SPAN)
    first.finish()
    second = CurrentSpan(INVALID_SPAN, first)
    second.finish()
    token = attach(set_span_in_context(second))
    second.finish()
    assert get_current_span() is INVALID_SPAN
    detach(token)
