"""What observers tell, kept: log lines, spans and metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog

from tests.observed import Measured, Spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from structlog.typing import EventDict


@pytest.fixture
def lines() -> list[dict[str, Any]]:
    """The lines that `logger` kept, each with its level."""
    return []


@pytest.fixture
def logger(lines: list[dict[str, Any]]) -> Any:
    """A logger that keeps every line, with what is bound in the context."""

    def keep(_: Any, level: str, event: EventDict) -> EventDict:
        lines.append({**event, "level": level})
        raise structlog.DropEvent

    return structlog.wrap_logger(
        None,
        processors=[structlog.contextvars.merge_contextvars, keep],
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )


@pytest.fixture
def spans() -> Iterator[Spans]:
    """A tracer provider of its own, and the spans that ended."""
    spans = Spans()
    yield spans
    assert spans.open == 0, "a span was left open"


@pytest.fixture
def measured() -> Iterator[Measured]:
    """A meter provider of its own, and what it has when asked."""
    measured = Measured()
    yield measured
    measured.provider.shutdown()


@pytest.fixture(autouse=True)
def nothing_failed_in_silence(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """See that no callback failed and OpenTelemetry warned of nothing, which nobody raises."""
    yield
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    warned = {line.name for line in records if line.name.startswith("opentelemetry.")}
    # The propagators warn of headers that a client made up.
    assert {name for name in warned if ".propagation" not in name} == set()
    failed = [line.getMessage() for line in records if line.name == "wspipe" and line.exc_info]
    expected = request.node.get_closest_marker("reports_failures") is not None
    assert bool(failed) == expected, failed
