"""One story: what log line, span and metrics tell of one connection, in the same words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from tests.observed import Measured, Spans
from wspipe_middlewares import Logging, Metrics, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from structlog.typing import EventDict

    from wspipe import Pipeline


@dataclass(frozen=True)
class Story:
    """How a connection ended, as one observer tells it.

    A metric does not tell the reason, nor the code of a handshake that was closed, which no client
    gets to see.
    """

    status: int | None
    code: int | None
    reason: str
    closed_by: str | None
    error_type: str | None
    received: tuple[int, int]
    sent: tuple[int, int]


class Observers:
    """The three middlewares, and what they told."""

    def __init__(self, **tracing: Any) -> None:
        self.spans, self.measured = Spans(), Measured()
        self.lines: list[dict[str, Any]] = []
        logger = structlog.wrap_logger(
            None, processors=[self._keep], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        options = {"span": "connection", "messages": "all", **tracing}
        self.pipeline: Pipeline = (
            Logging(logger=logger)
            | Tracing(tracer_provider=self.spans.provider, **options)
            | Metrics(
                meter_provider=self.measured.provider,
                process_duration=True,
                close_codes=frozenset({4002, 4003}),
            )
        )

    def _keep(self, _logger: Any, level: str, event: EventDict) -> EventDict:
        self.lines.append({**event, "level": level})
        raise structlog.DropEvent

    @property
    def connection_span(self) -> ReadableSpan:
        """The span of the one connection."""
        (span,) = [span for span in self.spans.ended if span.name.startswith("GET")]
        return span

    def log_tells(self) -> Story:
        """Give the story of the last line."""
        line = self.lines[-1]
        return Story(
            status=line["status"],
            code=line["code"],
            reason=line["reason"],
            closed_by=line["closed_by"],
            error_type=line.get("error_type"),
            received=(line["messages_received"], line["bytes_received"]),
            sent=(line["messages_sent"], line["bytes_sent"]),
        )

    def span_tells(self) -> Story:
        """Give the story of the connection's span."""
        attributes: Any = self.connection_span.attributes
        code = attributes.get("wspipe.close.code")
        return Story(
            status=attributes.get("http.response.status_code"),
            code=None if code is None else int(code),
            reason=attributes.get("wspipe.close.reason", ""),
            closed_by=attributes.get("wspipe.closed_by"),
            error_type=attributes.get("error.type"),
            received=(attributes["wspipe.messages.received"], attributes["wspipe.bytes.received"]),
            sent=(attributes["wspipe.messages.sent"], attributes["wspipe.bytes.sent"]),
        )

    def metrics_tell(self, others: Story) -> Story:
        """Give the story of the metrics, what they do not tell taken from the others."""
        ended = self.measured.points("wspipe.connection.duration")
        (point,) = ended or self.measured.points("wspipe.connections.rejected")
        attributes = point.attributes
        code = attributes.get("wspipe.close.code")
        return Story(
            status=101 if ended else attributes.get("http.response.status_code"),
            code=others.code if code is None and not ended else code and int(code),
            reason=others.reason,
            closed_by=attributes.get("wspipe.closed_by"),
            error_type=attributes.get("error.type"),
            received=self._passed("receive"),
            sent=self._passed("transmit"),
        )

    def _passed(self, direction: str) -> tuple[int, int]:
        counts = [
            sum(
                point.value
                for point in self.measured.points(name)
                if point.attributes["network.io.direction"] == direction
            )
            for name in ("wspipe.messages", "wspipe.message.bytes")
        ]
        return counts[0], counts[1]
