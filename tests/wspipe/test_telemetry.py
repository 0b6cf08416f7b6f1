"""What the demo exports, in this process, so that its coverage counts."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog
from opentelemetry import _logs, metrics, trace
from structlog.testing import capture_logs
from typer.testing import CliRunner
from yarl import URL

from tests.otlp_receiver import Receiver, receiving
from wspipe.cli import command, server, telemetry, web
from wspipe.cli.telemetry import Telemetry, with_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wspipe import Receive, Scope, Send

TIMEOUT = 20.0


class Providers:
    """What would be OpenTelemetry's global providers."""

    tracers: Any = None
    meters: Any = None
    loggers: Any = None


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Providers]:
    """Keep the providers from becoming global, which they would be for good."""
    providers = Providers()
    for module, setter, name in (
        (trace, "set_tracer_provider", "tracers"),
        (metrics, "set_meter_provider", "meters"),
        (_logs, "set_logger_provider", "loggers"),
    ):
        monkeypatch.setattr(module, setter, lambda it, name=name: setattr(providers, name, it))
    root, ours = logging.getLogger(), logging.getLogger("opentelemetry")
    before = root.handlers[:], root.level
    yield providers
    structlog.reset_defaults()
    root.handlers[:], root.level = before
    ours.handlers.clear()
    ours.propagate = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


async def hello(scope: Scope, _: Receive, send: Send) -> None:
    await web.reply(send, 200, "text/plain", f"hello {scope['path']}".encode())


async def get(path: str) -> httpx.Response:
    transport = httpx.ASGITransport(with_metrics(hello))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.get(path)


@pytest.mark.anyio
async def test_metrics_are_served_in_the_text_format_of_prometheus(providers: Providers) -> None:
    with closing(Telemetry(prometheus=True, collector=None)):
        providers.meters.get_meter("test").create_counter("test.things").add(3)
        response = await get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'test_things_total{otel_scope_name="test"' in response.text
    assert 'service_name="wspipe-demo"' in response.text
    assert (providers.tracers, providers.loggers) == (None, None)


@pytest.mark.anyio
async def test_everything_else_is_answered_as_before() -> None:
    assert (await get("/page")).text == "hello /page"


@pytest.mark.anyio
async def test_after_the_end_nothing_is_left_to_scrape(providers: Providers) -> None:
    with closing(Telemetry(prometheus=True, collector=None)):
        providers.meters.get_meter("test").create_counter("test.things").add(3)
    assert "test_things" not in (await get("/metrics")).text


def test_what_is_left_reaches_the_collector_at_the_end(
    providers: Providers, receiver: Receiver
) -> None:
    with closing(Telemetry(prometheus=False, collector=URL(receiver.url))):
        providers.tracers.get_tracer("test").start_span("work").end()
        providers.meters.get_meter("test").create_counter("test.things").add(3)
        providers.loggers.get_logger("test").emit(_logs.LogRecord(body="done"))
    assert receiver.paths == {"/v1/traces", "/v1/metrics", "/v1/logs"}
    assert receiver.services == {"wspipe-demo"}
    assert [span.name for span in receiver.spans] == ["work"]
    assert [record.body.string_value for record in receiver.logs] == ["done"]
    (point,) = receiver.metrics["test.things"].sum.data_points
    assert point.as_int == 3


def test_a_collector_that_never_answers_does_not_hold_the_end_up(
    providers: Providers, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = Telemetry(prometheus=False, collector=URL(receiver.url))
    receiver.may_answer.clear()
    providers.tracers.get_tracer("test").start_span("work").end()
    monkeypatch.setattr(telemetry, "PATIENCE", 0.05)
    exports.close()
    flushing = [each for each in threading.enumerate() if "(shutdown)" in each.name]
    assert flushing, "it waited"
    assert all(each.daemon for each in flushing)
    receiver.may_answer.set()
    for thread in flushing:
        thread.join(TIMEOUT)


def test_a_missing_collector_is_complained_of_once(providers: Providers) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = URL(f"http://ada:secret@127.0.0.1:{closed.getsockname()[1]}/otlp")
    with capture_logs() as lines, closing(Telemetry(prometheus=False, collector=url)):
        for _ in range(3):
            providers.tracers.get_tracer("test").start_span("work").end()
            providers.tracers.force_flush()
    (line,) = [line for line in lines if line["event"] == "telemetry.trouble"]
    assert line["log_level"] == "warning"
    assert line["collector"] == str(url.origin())
    assert "Connection refused" in line["detail"]
    assert "secret" not in str(line)


@pytest.mark.usefixtures("providers")
@pytest.mark.parametrize("option", [["--prometheus"], ["--otlp", "http://127.0.0.1:4318"]])
def test_a_missing_extra_is_said_in_one_line(
    option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "wspipe.cli.telemetry")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    result = CliRunner().invoke(command.app, ["demo", "--port", "0", *option])
    assert result.exit_code == 2
    assert result.stderr == (
        "wspipe: opentelemetry.sdk.resources is not installed; "
        "--prometheus and --otlp need pip install 'wspipe[cli,otel]'\n"
    )


@pytest.mark.parametrize(
    "url", ["", "collector", "127.0.0.1:4318", "ftp://a", "http://", "http://["]
)
def test_a_bad_url_of_a_collector_is_said_in_one_line(url: str) -> None:
    result = CliRunner().invoke(command.app, ["demo", "--port", "0", "--otlp", url])
    assert result.exit_code == 2
    assert result.stderr == (
        f"wspipe: {url!r} is no URL of a collector; give one such as http://127.0.0.1:4318\n"
    )


@pytest.mark.parametrize(
    ("form", "announced"),
    [
        ([], "wspipe demo: Prometheus finds metrics at http://127.0.0.1:{port}/metrics\n"),
        (["--json"], '"metrics":"http://127.0.0.1:{port}/metrics"'),
    ],
)
def test_the_demo_announces_and_sends_and_stops(
    form: list[str],
    announced: str,
    providers: Providers,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ports: list[int] = []

    class Stopped(server.Server):
        """A server that stops once it has started."""

        def run(self, sockets: list[socket.socket] | None = None) -> None:
            assert sockets is not None
            ports.append(sockets[0].getsockname()[1])
            self.should_exit = True
            super().run(sockets)

    monkeypatch.setattr(command, "Server", Stopped)
    options = ["--prometheus", "--otlp", receiver.url, *form]
    result = CliRunner().invoke(command.app, ["demo", "--port", "0", *options])
    assert result.exit_code == 0, result.output
    assert announced.format(port=ports[0]) in result.stdout
    assert "stop" in result.stdout.splitlines()[-1]
    assert providers.loggers is not None
