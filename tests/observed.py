"""Keeping what is told to OpenTelemetry: the spans that ended, the metrics when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.trace.sampling import Sampler


class Spans(SpanProcessor):
    """The spans of one tracer provider."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self.open = 0
        self.ended: list[ReadableSpan] = []
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(self)
        self.tracer = self.provider.get_tracer("tests")

    def on_start(self, span: Any, parent_context: Any = None) -> None:  # noqa: ARG002
        self.open += 1

    def on_end(self, span: ReadableSpan) -> None:
        self.open -= 1
        self.ended.append(span)

    def named(self, name: str) -> list[ReadableSpan]:
        """Give the spans of a name, in the order of their ends."""
        return [span for span in self.ended if span.name == name]

    def only(self, name: str) -> ReadableSpan:
        """Give the one span of a name."""
        (span,) = self.named(name)
        return span


def id_of(span: ReadableSpan) -> int:
    """Give a span's id."""
    assert span.context is not None
    return span.context.span_id


def trace_of(span: ReadableSpan) -> int:
    """Give the id of a span's trace."""
    assert span.context is not None
    return span.context.trace_id


def parent_of(span: ReadableSpan) -> int | None:
    """Give the id of a span's parent, `None` for a root."""
    return None if span.parent is None else span.parent.span_id


def links_of(span: ReadableSpan) -> list[int]:
    """Give the ids of the spans that a span is linked to."""
    return [link.context.span_id for link in span.links]


class Measured:
    """The metrics of one meter provider."""

    def __init__(self) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)

    def points(self, name: str) -> list[Any]:
        """Give the data points of a metric."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def values(self, name: str) -> dict[frozenset[tuple[str, Any]], Any]:
        """Give a metric's values, or counts where it is a histogram, by their attributes."""
        return {
            key(point.attributes): getattr(point, "value", getattr(point, "count", None))
            for point in self.points(name)
        }


def key(attributes: Mapping[str, Any]) -> frozenset[tuple[str, Any]]:
    """Make attributes fit for a dictionary's key."""
    return frozenset(attributes.items())
