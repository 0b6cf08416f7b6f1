"""`Tracing(carrier=...)`: trace context inside messages."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.observed import Spans, id_of, links_of, parent_of, trace_of
from wspipe import ImproperlyConfiguredException, WebSocket, websocket_app
from wspipe.testing import connect
from wspipe_middlewares import Tracing
from wspipe_middlewares.tracing import JSONField

if TYPE_CHECKING:
    from wspipe import Event

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"


async def echo(spans: Spans, carrier: Any, *messages: str | bytes) -> list[str | bytes]:
    """Have a handler echo messages, and give what the client gets."""

    async def handler(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            event = await socket.receive()
            if event["type"] != "websocket.receive":
                return
            await socket.send({**event, "type": "websocket.send"})

    tracing = Tracing(messages="all", carrier=carrier, tracer_provider=spans.provider)
    answers = []
    with anyio.fail_after(5):
        async with connect(websocket_app(handler, pipeline=tracing)) as client:
            for message in messages:
                if isinstance(message, str):
                    await client.send_text(message)
                else:
                    await client.send_bytes(message)
                answers.append(await client.receive())
    return answers


@pytest.mark.anyio
@pytest.mark.parametrize("encode", [str, str.encode])
async def test_a_message_continues_the_trace_of_its_sender(spans: Spans, encode: Any) -> None:
    message = encode(json.dumps({"say": "hi", "traceparent": TRACEPARENT}))
    assert await echo(spans, JSONField(), message) == [message]
    process = spans.only("process")
    assert trace_of(process) == int(TRACE, 16)
    assert parent_of(process) == int(SPAN, 16)
    assert links_of(process) == [id_of(spans.only("GET"))]


@pytest.mark.anyio
@pytest.mark.parametrize("encode", [str, str.encode])
@pytest.mark.parametrize(
    ("message", "rest"),
    [
        ('{"n": 18446744073709551617, "f": 1.10}', '"n": 18446744073709551617, "f": 1.10}'),
        ("{}", "}"),
        (' \n{ "a":"\u00e9"}', ' "a":"\u00e9"}'),
    ],
)
async def test_a_message_sent_carries_its_span_and_is_else_as_it_was(
    spans: Spans, encode: Any, message: str, rest: str
) -> None:
    (answer,) = await echo(spans, JSONField("trace"), encode(message))
    text = answer if isinstance(answer, str) else answer.decode()
    sent = spans.only("send")
    fields = orjson.loads(text)
    assert fields["trace"][:53] == f"00-{trace_of(sent):032x}-{id_of(sent):016x}-"
    lead = message[: message.index("{")]
    comma = "" if rest == "}" else ","
    assert text == f'{lead}{{"trace":"{fields["trace"]}"{comma}{rest}'


@pytest.mark.anyio
@pytest.mark.parametrize(
    "message",
    [
        "plain text",
        "{not json",
        "[1, 2]",
        '"text"',
        "",
        b"\xff\xfe{",
        '{"traceparent": 5}',
        '{"traceparent": null}',
        '{"traceparent": "00-zz"}',
        '{"traceparent": "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}',
        '{"traceparent": "00-00000000000000000000000000000000-b7ad6b7169203331-01"}',
        json.dumps({"traceparent": TRACEPARENT + "x" * 300}),
        json.dumps({"traceparent": TRACEPARENT, "long": "x" * 70000}),
        "[" * 5000,
        '{"traceparent":' * 2000,
    ],
)
async def test_what_carries_nothing_proper_is_left_alone(
    spans: Spans, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await echo(spans, JSONField(), message) == [message]
    assert parent_of(spans.only("process")) is None
    assert not [line for line in caplog.records if line.name != "asyncio"]


@pytest.mark.anyio
async def test_an_unsampled_sender_leaves_its_message_untraced(spans: Spans) -> None:
    message = json.dumps({"traceparent": f"00-{TRACE}-{SPAN}-00"})
    assert await echo(spans, JSONField(), message, '{"a": 1}') != []
    assert len(spans.named("process")) == 1


class Header:
    """A carrier of one's own: the first line of a text is its trace context."""

    def read(self, event: Event) -> str | None:
        head, _, _ = event["text"].partition("\n")
        return str(head)

    def write(self, event: Event, traceparent: str) -> Event:
        _, _, body = event["text"].partition("\n")
        return {**event, "text": f"{traceparent}\n{body}"}


@pytest.mark.anyio
async def test_a_carrier_of_ones_own(spans: Spans) -> None:
    (answer,) = await echo(spans, Header(), f"{TRACEPARENT}\nhello")
    head, _, body = str(answer).partition("\n")
    assert body == "hello"
    assert parent_of(spans.only("process")) == int(SPAN, 16)
    assert f"-{id_of(spans.only('send')):016x}-" in head


@pytest.mark.anyio
@pytest.mark.reports_failures
async def test_a_carrier_that_fails_loses_no_message_and_is_reported_once(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await echo(spans, Header(), b"1", b"2") == [b"1", b"2"]
    (line,) = caplog.records
    assert (line.name, line.getMessage()) == ("wspipe", "the carrier of trace context failed")
    assert line.exc_info is not None
    assert line.exc_info[0] is KeyError
    assert len(spans.named("process")) == len(spans.named("send")) == 2


class Careless(JSONField):
    """A carrier that writes what is no message, and spoils what it reads."""

    def read(self, event: Event) -> str | None:
        event.clear()
        return None

    def write(self, event: Event, traceparent: str) -> Any:
        return traceparent if event.pop("text") == "1" else {"type": "websocket.close"}


@pytest.mark.anyio
@pytest.mark.reports_failures
async def test_a_carrier_that_writes_no_message_loses_none(spans: Spans) -> None:
    assert await echo(spans, Careless(), "1", "2") == ["1", "2"]


@settings(derandomize=True, database=None, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.text(alphabet=" \t\n", max_size=3),
    st.sampled_from([None, 1]),
)
def test_any_json_keeps_its_value_and_gets_the_field_if_it_is_an_object(
    value: Any, lead: str, indent: int | None
) -> None:
    field = JSONField("trace")
    event = {"type": "websocket.send", "text": lead + json.dumps(value, indent=indent)}
    try:
        orjson.loads(event["text"])
    except orjson.JSONDecodeError:  # a number or text that orjson does not take
        assert field.write(event, "x") is event
        return
    written = json.loads(field.write(event, TRACEPARENT)["text"])
    if isinstance(value, dict):
        assert written.pop("trace") == value.pop("trace", TRACEPARENT)
    assert written == json.loads(json.dumps(value))


@pytest.mark.parametrize(
    ("options", "message"), [({"name": ""}, "needs a name"), ({"limit": 0}, "is 1 or more, not 0")]
)
def test_a_field_that_could_not_work_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ImproperlyConfiguredException, match=message):
        JSONField(**options)
