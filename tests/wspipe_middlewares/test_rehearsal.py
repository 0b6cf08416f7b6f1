"""What middlewares give to be measured: no effect outside the process, and never in the way."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from anyio import fail_after
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider

from wspipe import PipelineMiddleware
from wspipe.cli.bench import measure
from wspipe.pipeline import Pipeline
from wspipe.testing import connect
from wspipe_middlewares import Logging, Metrics, RateLimit, Tracing
from wspipe_middlewares.logging import configure, export

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from structlog.typing import EventDict

    from tests.observed import Measured
    from wspipe import ASGIApp, Middleware, Receive, Scope, Send
    from wspipe_middlewares.rate_limit import Limit


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave structlog and the root logger as they were."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def converse(middleware: Middleware, messages: int = 1) -> None:
    with fail_after(20):
        await converse_with(PipelineMiddleware(echo, middleware), messages)


async def converse_with(app: ASGIApp, messages: int) -> None:
    async with connect(app) as client:
        for number in range(messages):
            await client.send_text(str(number))
            assert await client.receive() == str(number)


class Counting:
    """A processor that counts the lines that it sees, by their events."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def __call__(self, _logger: Any, _method: str, line: EventDict) -> EventDict:
        self.events.append(line["event"])
        return line


WHOLE = ["websocket.open", "websocket.receive", "websocket.send", "websocket.close"]


@pytest.mark.anyio
async def test_lines_are_rendered_as_configured_and_not_written(
    capfd: pytest.CaptureFixture[str],
) -> None:
    counting, rendered = Counting(), list[str]()
    written = io.StringIO()

    def render(_logger: Any, _method: str, line: EventDict) -> str:
        rendered.append(str(line))
        return rendered[-1]

    structlog.configure([counting, render], logger_factory=structlog.PrintLoggerFactory(written))
    await converse(Logging(messages=True).rehearsal())
    assert counting.events == WHOLE
    assert len(rendered) == 4
    assert written.getvalue() == ""
    assert capfd.readouterr() == ("", "")


@pytest.mark.anyio
async def test_lines_below_the_level_are_not_rendered() -> None:
    counting = Counting()
    structlog.configure([counting], structlog.make_filtering_bound_logger(logging.INFO))
    await converse(Logging(messages=True).rehearsal())
    assert counting.events == ["websocket.open", "websocket.close"]


@pytest.mark.parametrize("json", [False, True])
@pytest.mark.anyio
async def test_nothing_is_written_as_we_configure_it(
    capfd: pytest.CaptureFixture[str], *, json: bool
) -> None:
    configure(json=json, level="debug")
    await converse(Logging(messages=True).rehearsal())
    assert capfd.readouterr() == ("", "")
    await converse(Logging(messages=True))
    assert len(capfd.readouterr().out.splitlines()) == 4


@pytest.mark.anyio
async def test_nothing_is_exported(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(export, "_LOGGER", provider.get_logger("wspipe"))
    configure(json=True, export=True)
    await converse(Logging().rehearsal())
    assert exporter.get_finished_logs() == ()
    await converse(Logging())
    assert len(exporter.get_finished_logs()) == 2
    assert len(capfd.readouterr().out.splitlines()) == 2


def test_where_nothing_exports_the_means_to_do_so_are_not_imported() -> None:
    program = (
        "import sys; from wspipe_middlewares import Logging; Logging().rehearsal();"
        "print('wspipe_middlewares.logging.export' in sys.modules)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True, timeout=60) == "False\n"


@pytest.mark.anyio
async def test_options_and_what_is_bound_to_the_logger_stay() -> None:
    seen: list[EventDict] = []

    def keep(_logger: Any, _method: str, line: EventDict) -> EventDict:
        seen.append(dict(line))
        return line

    logger = structlog.wrap_logger(structlog.ReturnLogger(), [keep], service="chat")
    await converse(Logging(headers=("host",), logger=logger).rehearsal())
    assert [line["service"] for line in seen] == ["chat", "chat"]
    assert seen[0]["headers"] == {"host": "testserver"}


class Handler(logging.Handler):
    """Counts what it is given to write, and what its formatter renders."""

    def __init__(self, level: int = 0) -> None:
        super().__init__(level)
        self.written = 0
        self.formatted: list[str] = []

    def format(self, record: logging.LogRecord) -> str:
        self.formatted.append(super().format(record))
        return self.formatted[-1]

    def emit(self, record: logging.LogRecord) -> None:
        self.format(record)
        self.written += 1


@pytest.fixture
def handlers() -> Iterator[Sequence[Handler]]:
    """Handlers of a logger, of its parent, and of one behind which nothing propagates."""
    own, parents, unreached = found = Handler(), Handler(logging.ERROR), Handler()
    loggers = [logging.getLogger(name) for name in ("app.rooms.chat", "app.rooms", "app")]
    for logger, handler in zip(loggers, (own, parents, unreached), strict=True):
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    loggers[1].propagate = False
    yield found
    loggers[1].propagate = True
    for logger, handler in zip(loggers, found, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


PLAIN = structlog.processors.KeyValueRenderer(key_order=["event"])


def to_formatter(_logger: Any, _method: str, line: EventDict) -> Any:
    return structlog.stdlib.ProcessorFormatter.wrap_for_formatter(
        logging.getLogger("app.rooms.chat"), "info", line
    )


@pytest.mark.parametrize(
    ("last", "text"),
    [
        (PLAIN, "event='websocket.open'"),
        (structlog.stdlib.render_to_log_kwargs, "websocket.open"),
        (to_formatter, "event='websocket.open'"),
    ],
    ids=["text", "keywords", "formatter"],
)
@pytest.mark.anyio
async def test_what_goes_to_the_standard_library_is_formatted_and_not_handled(
    handlers: Sequence[Handler], last: Any, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    own, parents, unreached = handlers
    if last is to_formatter:
        own.setFormatter(structlog.stdlib.ProcessorFormatter(processor=PLAIN))
    logger = structlog.wrap_logger(
        logging.getLogger("app.rooms.chat"),
        [structlog.stdlib.filter_by_level, structlog.stdlib.add_logger_name, last],
        structlog.stdlib.BoundLogger,
    )
    await converse(Logging(messages=True, logger=logger).rehearsal())
    assert [handler.written for handler in handlers] == [0, 0, 0]
    assert [line.startswith(text) for line in own.formatted] == [True, False]
    assert parents.formatted == unreached.formatted == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.anyio
async def test_the_root_loggers_handlers_count_too(handlers: Sequence[Handler]) -> None:
    root = Handler()
    logging.getLogger().addHandler(root)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.WARNING)
    logger = structlog.wrap_logger(
        logging.getLogger("elsewhere"), [PLAIN], structlog.stdlib.BoundLogger
    )
    await converse(Logging(levels={1000: "error"}, logger=logger).rehearsal())
    logging.getLogger().setLevel(level)
    assert (len(root.formatted), root.written) == (1, 0)
    assert handlers[0].formatted == []


@pytest.mark.parametrize("of_handler", [False, True])
@pytest.mark.anyio
async def test_what_a_filter_keeps_back_is_not_formatted(
    handlers: Sequence[Handler], *, of_handler: bool
) -> None:
    own = handlers[0]
    target = logging.getLogger("app.rooms.chat")
    filtering: logging.Filterer = own if of_handler else target

    def only_opening(record: logging.LogRecord) -> bool:
        return "open" in record.getMessage()

    filtering.addFilter(only_opening)
    logger = structlog.wrap_logger(target, [PLAIN], structlog.stdlib.BoundLogger)
    await converse(Logging(logger=logger).rehearsal())
    filtering.removeFilter(only_opening)
    (line,) = own.formatted
    assert line.startswith("event='websocket.open'")


@pytest.mark.anyio
async def test_a_processor_that_fails_does_so_in_silence(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    counting = Counting()

    def fail(_logger: Any, _method: str, _line: EventDict) -> EventDict:
        raise ValueError

    structlog.configure([counting, fail])
    await converse(Logging().rehearsal())
    assert counting.events == ["websocket.open", "websocket.close"]
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


class Unknown:
    """A logger that is none of structlog's."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def info(self, event: str, **fields: Any) -> None:
        raise AssertionError(event, fields)


@pytest.mark.anyio
async def test_an_unknown_logger_is_not_called_and_lines_are_rendered_all_the_same() -> None:
    counting = Counting()
    structlog.configure([counting])
    await converse(Logging(messages=True, logger=Unknown()).rehearsal())
    assert counting.events == WHOLE


class Stuck:
    """A clock that stands still, and on which nobody may wait."""

    def now(self) -> int:
        return 0

    async def sleep(self, duration: int) -> None:
        raise AssertionError(duration)


def limits(rate: RateLimit) -> tuple[Limit, ...]:
    return rate._limiter.limits  # noqa: SLF001 - what it is made of


@pytest.mark.parametrize(
    "limit",
    [
        RateLimit("1/day", clock=Stuck()),
        RateLimit("1/day; 2/hour", (1, 1), on_limit="raise", clock=Stuck()),
        RateLimit("1/day", cost="bytes", key="connection", on_limit="close", clock=Stuck()),
        RateLimit("1/day", cost="connections", key="user", clock=Stuck()),
        RateLimit("1/day", cost=lambda *_: 1_000_000, on_limit="drop", clock=Stuck()),
    ],
)
@pytest.mark.anyio
async def test_no_limit_holds_back(limit: RateLimit) -> None:
    rehearsal = limit.rehearsal()
    for _ in range(3):
        await converse(rehearsal, messages=100)
    assert [(each.amount, each.period) for each in limits(rehearsal)] == [
        (each.amount, each.period) for each in limits(limit)
    ]


@pytest.mark.anyio
async def test_the_limits_own_buckets_are_left_alone() -> None:
    limit = RateLimit("1/day", on_limit="raise", clock=Stuck())
    await converse(limit.rehearsal(), messages=5)
    await converse(limit)


@pytest.mark.anyio
async def test_a_rehearsed_limit_counts_in_no_metric(measured: Measured) -> None:
    limit = RateLimit("9/day", meter_provider=measured.provider)
    await converse(limit.rehearsal(), messages=5)
    assert measured.values("wspipe.rate_limit.decisions") == {}
    await converse(limit)
    assert list(measured.values("wspipe.rate_limit.decisions").values()) == [1]


def test_a_rehearsed_limit_has_no_store() -> None:
    limit = RateLimit("9/day", store="redis://127.0.0.1:1")
    assert limit.owns_resources
    rehearsal = limit.rehearsal()
    assert not rehearsal.owns_resources
    assert rehearsal.rate == "9/day"


def test_both_are_measured_and_nothing_is_to_be_seen_of_it(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    counting = Counting()
    structlog.configure([counting, structlog.processors.JSONRenderer()])
    limit = RateLimit("1/day", store="redis://127.0.0.1:1", clock=Stuck())
    found = measure(Pipeline(Logging(messages=True), limit), rounds=2)
    _, logging_, limiting = found.stages
    assert (logging_.stage, limiting.stage) == ("Logging", "RateLimit")
    assert logging_.message_bytes > 0
    assert limiting.connection_bytes > 0
    assert counting.events.count("websocket.receive") == counting.events.count("websocket.send")
    assert len(counting.events) > 100
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


@pytest.mark.anyio
async def test_what_is_measured_reaches_no_exporter() -> None:
    spans, points = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metrics = TracerProvider(), MeterProvider([points])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    measured = Tracing(tracer_provider=tracing).rehearsal()
    assert isinstance(measured.tracer_provider, TracerProvider)  # it costs what the SDK does
    await converse(measured)
    await converse(Metrics(meter_provider=metrics).rehearsal())
    assert spans.get_finished_spans() == ()
    assert points.get_metrics_data() is None
    await converse(Tracing(tracer_provider=tracing))
    assert len(spans.get_finished_spans()) == 1


@pytest.mark.anyio
async def test_a_provider_that_cannot_be_made_anew_is_left_alone() -> None:
    class Named(NoOpTracerProvider):
        def __init__(self, name: str) -> None:
            self.name = name

    measured = Tracing(tracer_provider=Named("ours")).rehearsal()
    assert type(measured.tracer_provider) is NoOpTracerProvider
    await converse(measured)
