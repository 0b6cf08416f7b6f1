"""The three observers of one connection, and a report of what they tell."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tests.story import Observers
from wspipe import Pipeline
from wspipe_middlewares import names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan


class Complaints(logging.Handler):
    """What a library's loggers have to say that is no good news."""

    def __init__(self, name: str) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []
        logging.getLogger(name).addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.texts.append(record.getMessage())


complaints = Complaints("opentelemetry")


class Telemetry:
    """Logs, spans and metrics of one connection, each kept in memory."""

    def __init__(self, **tracing: Any) -> None:
        self.observers = Observers(**tracing)
        self.complaints_before = len(complaints.texts)
        *others, metrics = self.observers.pipeline
        known = frozenset({4001, 4002})
        every: Any = replace(metrics, send_duration=True, message_size=True, close_codes=known)
        self.pipeline = Pipeline(*others, every)

    def report(self) -> dict[str, Any]:
        """Give what is known once the connection has ended."""
        observers, points = self.observers, self.observers.measured.points
        by_line = observers.log_tells()
        [connection] = [span for span in observers.spans.ended if span.kind.name == "SERVER"]
        ended = names.CLOSED_BY in (connection.attributes or {})
        return {
            "lines": observers.lines,
            "spans": [_plain(span) for span in observers.spans.ended],
            "open spans": observers.spans.open,
            "active": [point.value for point in points(names.ACTIVE.name)],
            "told by the line": asdict(by_line),
            "told by the span": asdict(observers.span_tells()) if ended else None,
            "told by the metrics": asdict(observers.metrics_tell(by_line)),
            "routes of the metrics": [
                point.attributes.get(names.ROUTE)
                for metric in names.METRICS
                for point in points(metric.name)
            ],
            "histograms": {
                metric.name: [
                    {"attributes": dict(point.attributes), "count": point.count, "sum": point.sum}
                    for point in points(metric.name)
                ]
                for metric in (names.SIZE, names.PROCESS_DURATION, names.SEND_DURATION)
            },
            "complaints": complaints.texts[self.complaints_before :],
        }


def _plain(span: ReadableSpan) -> dict[str, Any]:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": f"{context.trace_id:032x}",
        "id": f"{context.span_id:016x}",
        "parent": None if parent is None else f"{parent.span_id:016x}",
        "remote parent": parent is not None and parent.is_remote,
        "links": [f"{link.context.span_id:016x}" for link in span.links],
        "start": span.start_time,
        "end": span.end_time,
        "attributes": dict(span.attributes or {}),
        "status": span.status.status_code.name,
        "exceptions": [(event.attributes or {}).get(names.EXCEPTION_TYPE) for event in span.events],
    }
