"""What is current while a span is open, and what is current again once it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, Status, StatusCode
    from opentelemetry.util.types import Attributes, AttributeValue


class CurrentSpan(Span):
    """Stands for a span until that is over, and then for the one that was current before.

    It takes the place of giving a context token back. That can be done in the one task that got the
    token only, while other tasks, and spans of the application that began meanwhile, go on with
    what they found. So it is what they found that changes.

    Args:
        span: The span.
        before: What was current before.
    """

    def __init__(self, span: Span, before: Span) -> None:
        self._span = span
        self.over = False
        while isinstance(before, CurrentSpan) and before.over:
            before = before._span  # noqa: SLF001 - of the same class
        self._before = before

    def finish(self) -> None:
        """Stand for what was current before."""
        self._span, self.over = self._before, True

    def get_span_context(self) -> SpanContext:
        """Identify the span."""
        return self._span.get_span_context()

    def is_recording(self) -> bool:
        """Tell whether the span is recorded."""
        return self._span.is_recording()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Set an attribute."""
        self._span.set_attribute(key, value)

    def set_attributes(self, attributes: Any) -> None:
        """Set attributes."""
        self._span.set_attributes(attributes)

    def add_event(
        self, name: str, attributes: Attributes = None, timestamp: int | None = None
    ) -> None:
        """Add an event."""
        self._span.add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link."""
        self._span.add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Rename the span."""
        self._span.update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status."""
        self._span.set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - the signature of OpenTelemetry's
    ) -> None:
        """Add an exception as an event."""
        self._span.record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End the span."""
        self._span.end(end_time)
