"""Log line, span and metrics tell one story of each connection, whatever the server and the end."""

from __future__ import annotations

import asyncio
import json
from time import time_ns
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.endings import CASES, HEADERS, PARENT, SERVER_STOPS, TRACE, Case, knock

if TYPE_CHECKING:
    from tests.servers.conftest import Server, Visit

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


async def test_the_connection_is_one_story(observed_server: Server, case: Case) -> None:
    visit = observed_server.visit("whole")
    report, told = await _play(visit, case)
    assert report["told by the span"] == told
    _check_messages(report, told, f"/{visit.style}/{{conversation}}")


async def test_the_handshake_is_one_story(observed_server: Server, case: Case) -> None:
    report, told = await _play(observed_server.visit("default"), case)
    [span] = report["spans"]
    if told["status"] == 101:
        # It ended with the accept, which is all that it tells.
        assert report["told by the span"] is None
        assert span["attributes"]["http.response.status_code"] == 101
        assert (span["status"], span["exceptions"]) == ("UNSET", [])
    else:
        assert report["told by the span"] == told


async def test_a_server_that_stops_is_one_story(own_observed_server: Server) -> None:
    visit = own_observed_server.visit("logged")
    connecting = visit.connect("echo", additional_headers=HEADERS)
    async with asyncio.timeout(20), connecting as client:
        await client.send("hello")
        await client.recv()
        await asyncio.to_thread(own_observed_server.stop)
        await client.wait_closed()
    lines = own_observed_server.log.read_text().splitlines()
    reports = [json.loads(line[7:]) for line in lines if line.startswith("report ")]
    told = SERVER_STOPS.told(visit)
    for report in reports:
        _check(report, told, visit.style)
        assert report["told by the span"] == told
        _check_messages(report, told, f"/{visit.style}/{{conversation}}")
    assert len(reports) == 1 or (not reports and visit.server.name in {"granian", "daphne"})


async def test_a_message_span_lasts_as_long_as_its_handling(observed_server: Server) -> None:
    visit = observed_server.visit("whole")
    async with asyncio.timeout(15), visit.connect("welcome") as client:
        assert await client.recv() == "welcome"
        sent_at = time_ns()
        await client.send("work")
        assert await client.recv() == "at work"
        working_at = time_ns()
        await observed_server.control("go on", visit.name)
        assert await client.recv() == "work"
    report = await visit.report()
    [connection], [work] = _spans(report, "SERVER"), _spans(report, "CONSUMER")
    # The clocks stand on both sides of the observers, and so at both ends of each span.
    [(given, asked)] = _intervals(report["outside"], "websocket.receive", "receive")
    [(got, asking)] = _intervals(report["inside"], "websocket.receive", "receive")
    assert sent_at <= given <= work["start"] <= got <= working_at
    assert working_at <= asking <= work["end"] <= asked <= connection["end"]
    [handled] = report["histograms"]["wspipe.message.process.duration"]
    assert (asking - got) / 1e9 - 0.001 <= handled["sum"] <= _seconds(work) + 0.001


async def test_a_span_of_a_message_sent_times_the_send(observed_server: Server) -> None:
    visit = observed_server.visit("whole")
    async with asyncio.timeout(15), visit.connect("welcome") as client:
        await client.send("work")
        await observed_server.control("go on", visit.name)
        assert [await client.recv() for _ in range(3)] == ["welcome", "at work", "work"]
    report = await visit.report()
    [connection], [work] = _spans(report, "SERVER"), _spans(report, "CONSUMER")
    spans = _spans(report, "PRODUCER")
    sendings = _intervals(report["inside"], "websocket.send", "sent")
    takings = _intervals(report["outside"], "websocket.send", "sent")
    for span, (asking, done), (asked, taken) in zip(spans, sendings, takings, strict=True):
        assert asking <= span["start"] <= asked <= taken <= span["end"] <= done
    welcome, *answers = spans
    assert (welcome["parent"], welcome["links"]) == (None, [connection["id"]])
    assert welcome["trace"] not in {connection["trace"], work["trace"]}
    for answer in answers:
        assert (answer["trace"], answer["parent"]) == (work["trace"], work["id"])
    assert len(answers) == 2


async def test_without_a_route_the_span_is_named_after_the_method(observed_server: Server) -> None:
    visit = observed_server.visit("unrouted")
    async with asyncio.timeout(15), visit.connect("echo") as client:
        await client.send("hello")
        await client.recv()
    report = await visit.report()
    names = [span["name"] for span in report["spans"]]
    assert sorted(names) == ["GET", "process", "send"]
    assert _routes(report) == {None}
    [span] = _spans(report, "SERVER")
    assert span["parent"] is None


async def test_what_opentelemetry_complains_of_would_be_seen(observed_server: Server) -> None:
    visit = observed_server.visit("whole")
    await knock(visit, "annoy_opentelemetry")
    assert (await visit.report())["complaints"] == ["Failed to detach context"]


async def _play(visit: Visit, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let a case happen, and check what goes for each; give the report and what is to be told."""
    began = time_ns()
    async with asyncio.timeout(15):
        await case.act(visit, case.conversation)
        report = await visit.report()
    told = case.told(visit)
    _check(report, told, visit.style)
    [span] = _spans(report, "SERVER")
    assert began <= span["start"] <= span["end"] <= time_ns()
    return report, told


def _check(report: dict[str, Any], told: dict[str, Any], style: str) -> None:
    route = f"/{style}/{{conversation}}"
    assert report["told by the line"] == report["told by the metrics"] == told
    assert report["active"] == ([0] if told["status"] == 101 else [])
    assert _routes(report) == {route}

    [span] = _spans(report, "SERVER")
    assert span["name"] == f"GET {route}"
    assert (span["trace"], span["parent"], span["remote parent"]) == (TRACE, PARENT, True)
    opened = ["websocket.open"] if told["status"] == 101 else []
    ended = "websocket.error" if _is_exception(told["error_type"]) else "websocket.close"
    assert [line["event"] for line in report["lines"]] == [*opened, ended]
    for line in report["lines"]:
        assert (line["trace_id"], line["span_id"]) == (TRACE, span["id"])
    assert report["open spans"] == 0
    assert report["complaints"] == []


def _is_exception(error_type: str | None) -> bool:
    return str(error_type).endswith("Error")


def _routes(report: dict[str, Any]) -> set[str | None]:
    spans = {span["attributes"].get("http.route") for span in report["spans"]}
    return spans.union(
        (line.get("route") for line in report["lines"]), report["routes of the metrics"]
    )


def _check_messages(report: dict[str, Any], told: dict[str, Any], route: str) -> None:
    [connection] = _spans(report, "SERVER")
    failed = connection["exceptions"]
    assert connection["status"] == ("UNSET" if told["error_type"] is None else "ERROR")
    received, sent = _spans(report, "CONSUMER"), _spans(report, "PRODUCER")
    for spans, verb, counted in ((received, "process", "received"), (sent, "send", "sent")):
        sizes = [span["attributes"]["wspipe.message.size"] for span in spans]
        assert [len(sizes), sum(sizes)] == told[counted]
        for span in spans:
            assert span["name"] == f"{verb} {route}"
            assert connection["start"] <= span["start"] <= span["end"] <= connection["end"]
    for span in received:
        assert (span["parent"], span["links"]) == (None, [connection["id"]])
        assert span["trace"] != connection["trace"]
        assert span["exceptions"] == failed
    for span in sent:
        assert [span["parent"]] == [message["id"] for message in received]
        assert span["links"] == []

    histograms = report["histograms"]
    for direction, counted in (("receive", "received"), ("transmit", "sent")):
        points = [
            [point["count"], point["sum"]]
            for point in histograms["wspipe.message.size"]
            if point["attributes"]["network.io.direction"] == direction
        ]
        assert points == ([told[counted]] if told[counted] != [0, 0] else [])
    handled = histograms["wspipe.message.process.duration"]
    assert [point["count"] for point in handled] == [1] * len(received)
    assert [point["attributes"].get("error.type") for point in handled] == (
        (failed or [None]) * len(received)
    )
    assert sum(point["sum"] for point in handled) <= sum(map(_seconds, received)) + 0.001
    sending = histograms["wspipe.send.duration"]
    assert [point["count"] for point in sending] == [1] * len(sent)
    assert sum(map(_seconds, sent)) <= sum(point["sum"] for point in sending) + 0.001


def _spans(report: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [span for span in report["spans"] if span["kind"] == kind]


def _intervals(times: list[tuple[str, int]], first: str, then: str) -> list[tuple[int, int]]:
    """Give each time of the first event with that of the other that follows it."""
    return [
        (began, next(time for after, time in times[at:] if after == then))
        for at, (event, began) in enumerate(times)
        if event == first
    ]


def _seconds(span: dict[str, Any]) -> float:
    seconds: float = (span["end"] - span["start"]) / 1e9
    return seconds
