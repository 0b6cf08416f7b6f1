"""`configure`: structlog and the standard library's logs in one form."""

from __future__ import annotations

import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest
import structlog
import uvicorn
from opentelemetry import _logs
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor

from wspipe import ImproperlyConfiguredException
from wspipe_middlewares.logging import configure, export

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.observed import Spans


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leave structlog and the root logger as they were."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).filters.clear()
        logging.getLogger(name).propagate = True
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


def lines_in(output: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in output.splitlines()]


def test_json_has_what_is_bound_the_level_the_time_and_the_ids(
    capsysbinary: pytest.CaptureFixture[bytes], spans: Spans
) -> None:
    configure(json=True)
    structlog.contextvars.bind_contextvars(connection_id="abc")
    with spans.tracer.start_as_current_span("work"):
        structlog.get_logger().info("hello", number=5, thing={1})
    structlog.get_logger().debug("not this")
    (line,) = lines_in(capsysbinary.readouterr().out)
    assert len(line.pop("trace_id")) == 32
    assert len(line.pop("span_id")) == 16
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "hello",
        "level": "info",
        "connection_id": "abc",
        "number": 5,
        "thing": "{1}",
    }


def test_the_standard_librarys_logs_come_the_same_way(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    server = logging.getLogger("uvicorn.error")
    own = logging.StreamHandler()
    server.addHandler(own)
    server.propagate = False
    configure(json=True, level="warning")
    server.warning("it is %s", "late", extra={"color_message": "it is \x1b[1m%s"})
    logging.getLogger("some.library").info("not this")
    logging.getLogger("some.library").warning("mine", extra={"color_message": "kept"})
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("some.library").exception("failed")
    captured = capsysbinary.readouterr()
    late, mine, failed = lines_in(captured.out)
    assert captured.err == b""
    assert (late["event"], late["level"], late["logger"]) == (
        "it is late",
        "warning",
        "uvicorn.error",
    )
    assert "color_message" not in late
    assert mine["color_message"] == "kept"
    assert failed["event"] == "failed"
    assert "ZeroDivisionError" in failed["exception"]
    assert server.handlers == []


@pytest.mark.parametrize("name", ["uvicorn.error", "uvicorn.access", "hypercorn.access"])
def test_the_access_lines_of_a_server_show_no_secrets(
    capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    server = logging.getLogger(name)
    monkeypatch.setattr(server, "level", logging.INFO)  # a server sets it as it likes
    monkeypatch.setattr(server, "_cache", {})
    configure(json=True)
    message = '%s - "WebSocket %s" [accepted]'
    server.info(message, "127.0.0.1:5", "/rooms/7?token=s3cret&a=1")
    logging.getLogger("some.library").info("what? yes")
    server.info("GET /x?q=o'brien&token=s3cret")
    atoms = {"r": "GET /x?token=s3cret", "q": "a=1&token=s3cret", "s": 101}
    server.info("%(r)s %(s)s %(q)s", atoms)
    line, other, quoted, mapped = lines_in(capsysbinary.readouterr().out)
    assert quoted["event"] == "GET /x?q=o'brien&token=[redacted]"
    assert mapped["event"] == "GET /x?token=[redacted] 101 a=1&token=[redacted]"
    assert line["event"] == ('127.0.0.1:5 - "WebSocket /rooms/7?token=[redacted]&a=1" [accepted]')
    assert other["event"] == "what? yes"


class Unspeakable:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise TypeError


LOOP: dict[str, Any] = {}
LOOP["loop"] = LOOP
ODD: dict[str, Any] = {
    "number": 2**70,
    "map": {1: {"a": (1, 2.5, True)}},
    "text": "hello \ud800",
    "object": object(),
    "list": ["\udfff"],
    "nan": float("nan"),
    "bytes": b"\xff",
}


@pytest.mark.parametrize("json", [False, True])
def test_a_line_with_anything_in_it_is_written(
    capsysbinary: pytest.CaptureFixture[bytes], *, json: bool
) -> None:
    configure(json=json)
    structlog.get_logger().info("odd \ud800", **ODD)
    structlog.contextvars.bind_contextvars(roles={1: "a"})
    logging.getLogger("some.library").warning("\udfff")
    first, second = capsysbinary.readouterr().out.splitlines()
    if json:
        line = orjson.loads(first)
        assert line["event"] == r"odd \ud800"
        assert line["text"] == r"hello \ud800"
        assert line["number"] == str(2**70)
        assert line["map"] == {"1": {"a": [1, 2.5, True]}}
        assert orjson.loads(second)["roles"] == {"1": "a"}
    assert rb"\udfff" in second


def test_what_cannot_be_shown_has_its_place_in_a_line(
    exported: InMemoryLogRecordExporter, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    configure(json=True, export=True)
    structlog.get_logger().info("hello", what={"a": Unspeakable()}, loop=LOOP, thing=Unspeakable())
    (line,) = lines_in(capsysbinary.readouterr().out)
    assert line["thing"] == "<Unspeakable that cannot be shown>"
    assert len(exported.get_finished_logs()) == 1


def test_a_library_may_log_at_any_level_and_give_more(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure(json=True)
    logging.getLogger("some.library").log(
        25, "notice", extra={"user": "ada", "event": "x"}, stack_info=True
    )
    logging.getLogger("some.library").log(99, "beyond")
    notice, beyond = lines_in(capsysbinary.readouterr().out)
    assert (notice["event"], notice["level"], notice["user"]) == ("notice", "info", "ada")
    assert notice["extra_event"] == "x"
    assert "test_a_library_may_log" in notice["stack"]
    assert beyond["level"] == "critical"


def test_what_cannot_be_logged_is_reported_and_not_raised(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure(json=True)
    logging.getLogger("some.library").warning("%d", "not a number")
    captured = capsysbinary.readouterr()
    assert captured.out == b""
    assert b"not a number" in captured.err


def test_for_development_lines_are_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    configure(json=False, level="debug")
    structlog.get_logger().debug("hello", number=5)
    configure(json=False, colors=True)
    structlog.get_logger().info("colourful")
    plain, coloured = capsys.readouterr().out.splitlines()
    assert "[debug" in plain
    assert "hello" in plain
    assert "number=5" in plain
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured


@pytest.mark.parametrize("terminal", [False, True])
def test_by_default_the_output_decides(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes], *, terminal: bool
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    configure()
    structlog.get_logger().info("hello")
    assert capsysbinary.readouterr().out.startswith(b"{") == (not terminal)


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ImproperlyConfiguredException, match=r"one of debug, .*, not 'loud'"):
        configure(level="loud")


def test_nothing_is_configured_by_an_import() -> None:
    program = (
        "import logging, structlog, wspipe_middlewares.logging;"
        "print(structlog.is_configured(), logging.getLogger().handlers)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.check_output(command, text=True, timeout=60) == "False []\n"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemoryLogRecordExporter:
    """What a logger provider has exported."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(export, "_LOGGER", provider.get_logger("wspipe"))
    return exporter


def test_each_line_is_exported_too(
    exported: InMemoryLogRecordExporter, capsysbinary: pytest.CaptureFixture[bytes], spans: Spans
) -> None:
    configure(json=True, export=True)
    with spans.tracer.start_as_current_span("work"):
        structlog.get_logger().warning("hello", number=5, fields={"a": [1]}, nothing=None)
    structlog.get_logger().info("close", trace_id="0" * 31 + "5", span_id="0" * 15 + "6")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logging.getLogger("some.library").exception("failed")
    logging.getLogger("opentelemetry.exporter").error("the collector is gone")
    assert len(lines_in(capsysbinary.readouterr().out)) == 4
    hello, close, failed = (data.log_record for data in exported.get_finished_logs())
    work = spans.only("work").context
    assert work is not None
    assert (hello.body, hello.severity_text) == ("hello", "warning")
    assert hello.severity_number is _logs.SeverityNumber.WARN
    assert dict(hello.attributes or {}) == {"number": 5, "fields": {"a": (1,)}}
    assert (hello.trace_id, hello.span_id) == (work.trace_id, work.span_id)
    assert (close.trace_id, close.span_id, close.trace_flags) == (5, 6, 1)
    assert hello.timestamp is not None
    assert "ZeroDivisionError" in str((failed.attributes or {})["exception.stacktrace"])
    assert failed.severity_number is _logs.SeverityNumber.ERROR


def test_what_is_logged_while_exporting_is_not_exported(
    exported: InMemoryLogRecordExporter, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    configure(json=True, export=True)
    with suppress_instrumentation():
        logging.getLogger("urllib3.connectionpool").warning("POST /v1/logs")
    logging.getLogger("urllib3.connectionpool").warning("of the application")
    assert len(lines_in(capsysbinary.readouterr().out)) == 2
    assert [data.log_record.body for data in exported.get_finished_logs()] == ["of the application"]


def test_whatever_is_in_a_line_can_be_exported(exported: InMemoryLogRecordExporter) -> None:
    configure(json=True, export=True)
    structlog.get_logger().info("\ud800", **ODD)
    encoded = encode_logs(exported.get_finished_logs()).SerializeToString()
    assert b"hello" in encoded


def test_a_server_that_takes_its_lines_back_still_shows_no_secrets(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure(json=True)
    configure(json=True)
    uvicorn.Config("app:app")  # as uvicorn.run() does, later
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "c", "/?token=s3cret")
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "c", "GET", "/?token=s3cret", "1.1", 200
    )
    captured = capsysbinary.readouterr()
    written = captured.out + captured.err
    assert written.count(b"token=[redacted]") == 2
    assert b"s3cret" not in written
    assert len(logging.getLogger("uvicorn.error").filters) == 1


@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": "abc-zzz"},
        {"trace_id": 5, "span_id": 6},
        {"trace_id": "z" * 32, "span_id": "z" * 16},
        {"trace_id": "0" * 32, "span_id": "short"},
    ],
)
def test_ids_of_another_kind_are_fields_like_others(
    exported: InMemoryLogRecordExporter, ids: dict[str, Any]
) -> None:
    configure(json=True, export=True)
    structlog.get_logger().info("hello", **ids)
    (data,) = exported.get_finished_logs()
    assert dict(data.log_record.attributes or {}) == ids
    assert data.log_record.trace_id == 0


def test_without_a_provider_export_does_nothing(
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    configure(json=True, export=True)
    structlog.get_logger().info("hello")
    assert len(lines_in(capsysbinary.readouterr().out)) == 1
