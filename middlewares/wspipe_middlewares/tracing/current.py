"""What is current while a span is open, and what is current again once it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import attach
from opentelemetry.trace import INVALID_SPAN, Span, get_current_span, set_span_in_context

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext, Status, StatusCode
    from opentelemetry.util.types import Attributes, AttributeValue

    from wspipe_middlewares.handling import Home


class CurrentSpan(Span):
    """Stands for a span until that is over, and then for the one that was current before.

    It takes the place of giving a context token back. That can be done in the one task that got the
    token only, while other tasks, and spans of the application that began meanwhile, go on with
    what they found. So it is what they found that changes.

    Args:
        span: The span.
        before: What was current before.
        home: Where it changes; elsewhere it goes on to name the span that is over. By default it
            changes everywhere.
    """

    def __init__(self, span: Span, before: Span, home: Home | None = None) -> None:
        self._span = span
        self._home = home
        self.over: bool = False
        while isinstance(before, CurrentSpan) and before.over:
            before = before._before  # noqa: SLF001 - of the same class
        self._before: Span = before

    def finish(self) -> None:
        """Stand for what was current before; here, make that current again."""
        self.over = True
        if self._home is None:
            # Let go of the span: an idle connection should weigh little.
            self._span = INVALID_SPAN
        if get_current_span() is self:
            attach(set_span_in_context(self._before))

    def _now(self) -> Span:
        if self.over and (self._home is None or self._home.is_here()):
            return self._before
        return self._span

    def get_span_context(self) -> SpanContext:
        """Identify the span."""
        return self._now().get_span_context()

    def is_recording(self) -> bool:
        """Tell whether the span is recorded."""
        return self._now().is_recording()

    def __getattr__(self, name: str) -> Any:
        """Give what only the SDK's spans have, such as their name."""
        return getattr(self._span, name)

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
