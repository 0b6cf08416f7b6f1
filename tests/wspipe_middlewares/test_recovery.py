"""`Recovery` gives an application that fails one end, whatever the server."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import structlog
from structlog.testing import LogCapture

from wspipe import (
    ClientDisconnected,
    ConnectionRejected,
    ImproperlyConfiguredException,
    Pipeline,
    PipelineMiddleware,
    SerializationException,
    StateValidation,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    on_send,
    websocket_app,
)
from wspipe.testing import ConnectionDenied, connect, websocket_scope
from wspipe_middlewares import Logging, Metrics
from wspipe_middlewares.recovery import Close, Recovery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wspipe import ASGIApp, ASGIConnection, Event, Receive, Scope, Send

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close", "code": 1000}
DENIAL = {"type": "websocket.http.response.start", "status": 503, "headers": []}
INTERNAL = "no route to 10.0.0.7"


class RoomError(Exception):
    """An application's own error."""


class RoomFull(RoomError):
    """A special case of it."""


class RoomGone(RoomError):
    """Another."""


class OwnDisconnect(Exception):
    """What a framework raises when the client has left."""

    code = 1001


def raising(error: BaseException, *first: Event) -> ASGIApp:
    """Make an application that takes the connect event, sends these events and raises."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in first:
            await send(event)
        raise error

    return app


def returning(*first: Event) -> ASGIApp:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        for event in first:
            await send(event)

    return app


def failing_after_disconnect(error: Exception) -> ASGIApp:
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        raise error

    return app


@dataclass
class Server:
    """What a server is sent, and what it has to say to that.

    `refuses` are close codes that it does not take; `lost` is how many events the client gets
    before it is gone.
    """

    events: list[Event] = field(default_factory=list)
    refuses: tuple[int, ...] = ()
    lost: int | None = None
    extensions: tuple[str, ...] = ("websocket.http.response",)
    raised: BaseException | None = None
    connections: list[ASGIConnection] = field(default_factory=list)

    async def serve(self, app: ASGIApp, *stages: Any, strict: bool = True) -> list[Event]:
        """Serve one connection; give what was sent after the first event of the application."""
        turns: list[Event] = [
            {"type": "websocket.connect"},
            {"type": "websocket.disconnect", "code": 1001},
        ]

        async def receive() -> Event:
            await anyio.lowlevel.checkpoint()
            return turns.pop(0)

        async def send(event: Event) -> None:
            await anyio.lowlevel.checkpoint()
            if event.get("code") in self.refuses:
                raise ValueError(f"the code must be another than {event['code']}")
            if self.lost == len(self.events):
                raise OSError("gone")
            self.events.append(event)

        def remember(
            connection: ASGIConnection, receive: Receive, send: Send
        ) -> tuple[Receive, Send]:
            self.connections.append(connection)
            return receive, send

        pipeline = Pipeline(StateValidation(strict=strict), remember, *stages)
        scope = websocket_scope(extensions=self.extensions)
        with anyio.fail_after(10):
            try:
                await PipelineMiddleware(app, pipeline)(scope, receive, send)
            except Exception as error:  # noqa: BLE001 - what the server would have to deal with
                self.raised = error
        return self.events

    @property
    def ending(self) -> tuple[object, ...]:
        connection = self.connections[0]
        return connection.close_code, connection.close_reason, connection.closed_by


def close_event(code: int, reason: str = "") -> Event:
    return {"type": "websocket.close", "code": code, "reason": reason}


def denial_events(status: int) -> list[Event]:
    return [
        {"type": "websocket.http.response.start", "status": status, "headers": []},
        {"type": "websocket.http.response.body", "body": b"", "more_body": False},
    ]


# What is not in the table.


@pytest.mark.anyio
async def test_an_error_after_the_accept_closes_with_1011_and_is_raised_on() -> None:
    server, error = Server(), RuntimeError(INTERNAL)
    sent = await server.serve(raising(error, ACCEPT), Recovery())
    assert sent == [ACCEPT, close_event(1011)]
    assert server.raised is error
    assert server.ending == (1011, "", "application")
    assert server.connections[0].error is error


@pytest.mark.anyio
async def test_an_error_before_the_accept_denies_with_500_and_is_raised_on() -> None:
    server, error = Server(), RuntimeError(INTERNAL)
    assert await server.serve(raising(error), Recovery()) == denial_events(500)
    assert server.raised is error


@pytest.mark.anyio
async def test_a_server_without_denial_responses_is_left_to_answer_an_error_with_500() -> None:
    server, error = Server(extensions=()), RuntimeError()
    assert await server.serve(raising(error), Recovery()) == []
    assert server.raised is error


@pytest.mark.anyio
async def test_such_a_server_is_told_of_a_return_before_the_accept_by_an_error() -> None:
    server = Server(extensions=())
    assert await server.serve(returning(), Recovery()) == []
    assert isinstance(server.raised, WebSocketException)
    assert "returned without an answer" in str(server.raised)


@pytest.mark.anyio
async def test_such_a_server_closes_like_any_other_after_the_accept() -> None:
    server = Server(extensions=())
    sent = await server.serve(raising(RuntimeError(), ACCEPT), Recovery())
    assert sent == [ACCEPT, close_event(1011)]


@pytest.mark.anyio
async def test_it_is_told_nothing_where_the_client_did_not_wait_for_an_answer() -> None:
    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        await receive()

    server = Server(extensions=())
    assert await server.serve(app, Recovery()) == []
    assert server.raised is None


@pytest.mark.anyio
async def test_code_reason_and_status_are_the_users() -> None:
    recovery = Recovery(code=4500, reason="désolé", status=503)
    assert await Server().serve(raising(RuntimeError()), recovery) == denial_events(503)
    sent = await Server().serve(raising(RuntimeError(), ACCEPT), recovery)
    assert sent[1:] == [close_event(4500, "désolé")]


@pytest.mark.anyio
async def test_an_error_in_the_middle_of_a_denial_ends_it() -> None:
    server = Server()
    sent = await server.serve(raising(RuntimeError(), DENIAL), Recovery())
    assert sent == [DENIAL, denial_events(500)[1]]
    assert isinstance(server.raised, RuntimeError)


@pytest.mark.anyio
async def test_an_error_of_the_table_after_an_end_without_a_code_tells_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    await Server().serve(raising(RoomFull(), *denial_events(404)), Recovery({RoomFull: 4001}))
    await Server().serve(raising(RoomFull(), DENIAL), Recovery({RoomFull: 4001}))
    ends = [message.partition(" ended with ")[2].partition(",")[0] for message in caplog.messages]
    assert ends == ["no code", "its own denial"]


@pytest.mark.anyio
async def test_an_error_after_the_applications_own_close_changes_nothing_but_is_raised_on() -> None:
    server = Server()
    assert await server.serve(raising(RuntimeError(), ACCEPT, CLOSE), Recovery()) == [ACCEPT, CLOSE]
    assert isinstance(server.raised, RuntimeError)


# What is in the table.


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RoomFull(), close_event(4001, "the room is full")),
        (RoomGone(), close_event(4000)),
        (type("RoomFuller", (RoomFull,), {})(), close_event(4001, "the room is full")),
        (type("Both", (RoomGone, KeyError), {})(), close_event(4000)),
        (IndexError(), close_event(4002)),
        (ExceptionGroup("", [RoomGone(), RoomFull()]), close_event(4000)),
        (ExceptionGroup("", [ExceptionGroup("", [RoomFull()]), RoomGone()]),
         close_event(4001, "the room is full")),
    ],
    ids=repr,
)  # fmt: skip
async def test_the_nearest_class_decides_and_the_error_goes_no_further(
    error: Exception, told: Event
) -> None:
    codes: Mapping[Any, Any] = {
        RoomError: 4000,
        "builtins:LookupError": 4002,
        RoomFull: Close(4001, "the room is full"),
    }
    server = Server()
    assert await server.serve(raising(error, ACCEPT), Recovery(codes)) == [ACCEPT, told]
    assert server.raised is None
    assert server.connections[0].error is error


@pytest.mark.anyio
async def test_a_group_with_an_error_that_is_not_in_the_table_is_not_in_it() -> None:
    server, error = Server(), ExceptionGroup("", [RoomFull(), ExceptionGroup("", [KeyError()])])
    sent = await server.serve(raising(error, ACCEPT), Recovery({RoomError: 4000}))
    assert sent == [ACCEPT, close_event(1011)]
    assert server.raised is error


@pytest.mark.anyio
async def test_before_the_accept_an_error_of_the_table_denies_with_its_status_or_that_of_all() -> (
    None
):
    recovery = Recovery({RoomFull: Close(4001, "full", 429), RoomGone: 4004}, status=503)
    server = Server()
    assert await server.serve(raising(RoomFull()), recovery) == denial_events(429)
    assert server.raised is None
    assert await Server().serve(raising(RoomGone()), recovery) == denial_events(503)
    sent = await Server(extensions=()).serve(raising(RoomFull()), recovery)
    assert sent == [close_event(4001, "full")]


@pytest.mark.anyio
async def test_the_log_has_one_line_for_it_that_the_client_cannot_forge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    server, error = Server(), RoomFull("room 7\nERROR root: all is lost")
    await server.serve(raising(error, ACCEPT), Recovery({RoomFull: 4001}))
    (record,) = caplog.records
    assert (record.name, record.levelname, record.exc_info) == ("wspipe", "INFO", None)
    assert record.getMessage() == (
        f"connection {server.connections[0].id} ended with code 4001, for "
        f"{__name__}.RoomFull: room 7\\nERROR root: all is lost"
    )


@pytest.mark.anyio
async def test_the_log_tells_of_a_groups_first_errors_and_of_a_denial(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    error = ExceptionGroup("", [KeyError(number) for number in range(9)])
    await Server().serve(raising(error), Recovery({KeyError: Close(4004, status=404)}))
    told = caplog.messages[0].partition(" ended with ")[2]
    assert told == f"status 404, for {'; '.join(f'KeyError: {number}' for number in range(5))}"


@pytest.mark.anyio
async def test_what_the_log_is_told_the_client_is_not() -> None:
    app = PipelineMiddleware(raising(RoomFull(INTERNAL), ACCEPT), Recovery({RoomFull: 4001}))
    async with connect(app) as client:
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
    assert (client.close_code, client.close_reason) == (4001, "")


# wspipe's own exceptions.


@pytest.mark.anyio
async def test_a_websocket_exception_closes_with_its_code_and_keeps_its_detail() -> None:
    server = Server()
    error = WebSocketException(detail=INTERNAL, code=4003)
    sent = await server.serve(raising(error, ACCEPT), Recovery({Exception: 4999}))
    assert sent == [ACCEPT, close_event(4003)]
    assert server.raised is None


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [
        SerializationException(detail="a set has no JSON form", code=1011),
        WebSocketException(detail="no close frame may carry this", code=1006),
        ConnectionRejected(403),
    ],
    ids=repr,
)
async def test_one_whose_code_is_1011_or_cannot_be_sent_is_a_fault_like_any_other(
    error: Exception,
) -> None:
    server = Server()
    sent = await server.serve(raising(error, ACCEPT), Recovery(code=4500))
    assert sent == [ACCEPT, close_event(4500)]
    assert server.raised is error


@pytest.mark.anyio
async def test_breaking_the_specification_is_a_fault() -> None:
    server = Server()
    sent = await server.serve(returning(ACCEPT, ACCEPT), Recovery())
    assert sent == [ACCEPT, close_event(1011)]
    assert "websocket.accept" in str(server.raised)


@pytest.mark.anyio
async def test_the_table_may_have_another_code_for_them() -> None:
    error = SerializationException(detail="not JSON", code=1007)
    sent = await Server().serve(raising(error, ACCEPT), Recovery({SerializationException: 4007}))
    assert sent == [ACCEPT, close_event(4007)]


# Returns.


@pytest.mark.anyio
async def test_a_return_after_the_accept_closes_with_1000() -> None:
    server = Server()
    assert await server.serve(returning(ACCEPT), Recovery()) == [ACCEPT, close_event(1000)]
    assert server.ending == (1000, "", "application")


@pytest.mark.anyio
async def test_the_code_of_a_return_is_the_users() -> None:
    sent = await Server().serve(returning(ACCEPT), Recovery(returned=4100))
    assert sent == [ACCEPT, close_event(4100)]


@pytest.mark.anyio
async def test_a_return_before_the_accept_is_denied() -> None:
    server = Server()
    assert await server.serve(returning(), Recovery(status=503)) == denial_events(503)
    assert server.connections[0].handshake_status == 503


@pytest.mark.anyio
async def test_a_return_in_the_middle_of_a_denial_ends_it() -> None:
    assert await Server().serve(returning(DENIAL), Recovery()) == [DENIAL, denial_events(503)[1]]


@pytest.mark.anyio
@pytest.mark.parametrize("own", [[ACCEPT, CLOSE], [CLOSE], denial_events(404)], ids=repr)
async def test_who_ends_by_itself_is_not_noticed(own: list[Event]) -> None:
    sent = await Server().serve(returning(*own), Recovery())
    assert len(sent) == len(own)
    assert all(one is other for one, other in zip(sent, own, strict=True))


# Closes that the application or its framework sends.


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("own", "told"),
    [
        (close_event(4500, INTERNAL), close_event(1011)),
        (close_event(4404, INTERNAL), close_event(4004, "no such room")),
        ({"type": "websocket.close", "code": 1005}, close_event(4005)),
        ({"type": "websocket.close"}, close_event(4100)),
        (close_event(4000, "x" * 124), close_event(4000, "x" * 123)),
        (close_event(4000, "é" * 62), close_event(4000, "é" * 61)),
        (close_event(4000, "a\ud800b"), close_event(4000, "a?b")),
        ({**close_event(1008), "reason": [{"loc": "path"}]}, {**close_event(1008), "reason": None}),
    ],
    ids=str,
)
async def test_a_close_of_its_own_is_mapped_and_made_to_fit(own: Event, told: Event) -> None:
    closes: dict[int, int | Close] = {
        4500: 1011,
        4404: Close(4004, "no such room"),
        1005: 4005,
        1000: 4100,
    }
    before = {**own}
    server = Server()
    assert await server.serve(returning(ACCEPT, own), Recovery(closes=closes)) == [ACCEPT, told]
    assert own == before
    assert server.ending == (told["code"], told["reason"] or "", "application")


@pytest.mark.anyio
async def test_the_codes_of_exceptions_are_not_mapped() -> None:
    recovery = Recovery({RoomFull: 4500}, closes={4500: 1011})
    sent = await Server().serve(raising(RoomFull(), ACCEPT), recovery)
    assert sent == [ACCEPT, close_event(4500)]


# The conversation is over.


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [
        ClientDisconnected(detail="gone", code=1001),
        WebSocketDisconnect(detail="gone", code=1001),
        OwnDisconnect(),
        ExceptionGroup("", [WebSocketDisconnect(detail="gone", code=1001), OwnDisconnect()]),
    ],
    ids=repr,
)
async def test_that_the_client_has_left_is_no_failure(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    server = Server()
    assert await server.serve(failing_after_disconnect(error), Recovery()) == [ACCEPT]
    assert server.raised is None
    assert not caplog.records
    assert server.ending == (1001, "", "client")


@pytest.mark.anyio
async def test_an_error_after_the_client_has_left_is_told_to_the_log_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    server = Server()
    error = ExceptionGroup("", [OwnDisconnect(), RoomFull("7")])
    app = failing_after_disconnect(error)
    assert await server.serve(app, Recovery({RoomFull: 4001})) == [ACCEPT]
    assert server.raised is None
    assert caplog.messages[0].endswith(f"ended with code 1001, for {__name__}.RoomFull: 7")


@pytest.mark.anyio
@pytest.mark.parametrize("strict", [True, False])
async def test_a_fault_after_the_client_has_left_is_raised_on(strict: bool) -> None:  # noqa: FBT001
    server, error = Server(), KeyError()
    app = failing_after_disconnect(error)
    assert await server.serve(app, Recovery(), strict=strict) == [ACCEPT]
    assert server.raised is error


@pytest.mark.anyio
async def test_a_client_that_left_before_an_answer_gets_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")

    async def app(_: Scope, receive: Receive, __: Send) -> None:
        await receive()
        await receive()
        raise RoomFull

    for extensions in ((), ("websocket.http.response",)):
        server = Server(extensions=extensions)
        assert await server.serve(app, Recovery({RoomFull: 4001})) == []
        assert server.raised is None
        assert "ended with code 1001, for" in caplog.messages[-1]


@pytest.mark.anyio
async def test_a_client_that_goes_while_it_is_told_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    server = Server(lost=1)
    sent = await server.serve(raising(RoomFull(), ACCEPT), Recovery({RoomFull: 4001}))
    assert sent == [ACCEPT]
    assert server.raised is None
    assert [record.levelname for record in caplog.records] == ["INFO"]


@pytest.mark.anyio
async def test_what_a_middleware_closed_stays_as_it_is() -> None:
    @on_send
    async def guard(event: Event, connection: ASGIConnection) -> Event:
        await connection.close(1008, "enough", by="guard")
        return event

    server = Server()
    message = {"type": "websocket.send", "text": "hello"}
    sent = await server.serve(returning(ACCEPT, message), guard, Recovery())
    assert sent == [ACCEPT, close_event(1008, "enough")]
    assert server.raised is None
    assert server.ending == (1008, "enough", "guard")


@pytest.mark.anyio
async def test_who_is_not_admitted_is_denied_as_ever() -> None:
    class Door:
        def __call__(self, _: Any, receive: Receive, send: Send) -> tuple[Receive, Send]:
            return receive, send

        async def admit(self, _: Any) -> None:
            raise ConnectionRejected(401)

    assert await Server().serve(returning(), Recovery(), Door()) == denial_events(401)


# A server that stops the application, or does not take the close.


@pytest.mark.anyio
async def test_a_cancellation_closes_with_1001_and_goes_on() -> None:
    server, accepted = Server(), anyio.Event()

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        accepted.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, app, Recovery())
        await accepted.wait()
        tasks.cancel_scope.cancel()
    assert server.events == [ACCEPT, close_event(1001)]
    assert server.ending == (1001, "", "server")


@pytest.mark.anyio
async def test_an_error_whose_code_the_server_refuses_is_raised_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server, error = Server(refuses=(1008,)), RoomFull()
    sent = await server.serve(raising(error, ACCEPT), Recovery({RoomFull: 1008}))
    assert sent == [ACCEPT]
    assert server.raised is error
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith("close code 1008 is refused: ValueError(")


@pytest.mark.anyio
async def test_a_fault_whose_code_the_server_refuses_is_told_by_what_is_raised_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wspipe")
    server, error = Server(refuses=(1011,)), KeyError()
    assert await server.serve(raising(error, ACCEPT), Recovery()) == [ACCEPT]
    assert server.raised is error
    assert not caplog.records


@pytest.mark.anyio
async def test_a_return_whose_code_the_server_refuses_closes_with_1000(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(refuses=(1001,))
    sent = await server.serve(returning(ACCEPT), Recovery(returned=1001))
    assert sent == [ACCEPT, close_event(1000)]
    assert server.ending == (1000, "", "application")
    assert "close code 1001 is refused" in caplog.text


# Among other stages.


@pytest.mark.anyio
async def test_the_close_passes_the_stages_between_it_and_the_server() -> None:
    passed: list[Event] = []

    @on_send(lifecycle=True)
    def between(event: Event, _: ASGIConnection) -> Event:
        passed.append(event)
        return event

    await Server().serve(raising(KeyError(), ACCEPT), between, Recovery())
    assert passed == [ACCEPT, close_event(1011)]


@pytest.mark.anyio
async def test_an_observer_before_it_tells_the_end_that_it_makes() -> None:
    capture = LogCapture()
    logger = structlog.wrap_logger(None, processors=[capture])
    await Server().serve(
        raising(RoomFull("7"), ACCEPT), Logging(logger=logger), Recovery({RoomFull: 4001})
    )
    last = capture.entries[-1]
    assert (last["code"], last["closed_by"]) == (4001, "application")
    assert last["error"] == "RoomFull: 7"


@pytest.mark.anyio
async def test_a_handler_of_ours_ends_by_the_table_too() -> None:
    @websocket_app(pipeline=Recovery({RoomFull: Close(4001, "full", status=429)}))
    async def handler(socket: WebSocket) -> None:
        if socket.url.path == "/early":
            raise RoomFull
        await socket.accept()
        raise RoomFull

    async with connect(handler) as client:
        with pytest.raises(WebSocketDisconnect):
            await client.receive()
    assert (client.close_code, client.close_reason) == (4001, "full")
    with pytest.raises(ConnectionDenied) as denied:
        async with connect(handler, "/early"):
            pass
    assert denied.value.status == 429


@pytest.mark.anyio
async def test_connections_do_not_know_of_each_other() -> None:
    app = PipelineMiddleware(raising(KeyError(), ACCEPT), Recovery({KeyError: 4001}))
    for _ in range(2):
        async with connect(app) as client:
            with pytest.raises(WebSocketDisconnect):
                await client.receive()
        assert client.close_code == 4001


# Options and place.


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"code": 1005}, "code=1005 must be a code that may be sent"),
        ({"reason": "x" * 124}, "reason='x"),
        ({"status": 200}, "status=200 must be an HTTP status of an error, 400 to 599"),
        ({"status": 500.0}, "status=500.0 must be"),
        ({"returned": 999}, "returned=999 must be a code that may be sent"),
        ({"codes": {KeyError: 1006}}, "codes[<class 'KeyError'>]=1006 must be a code"),
        ({"codes": {"no.such:Name": 4000}}, "codes='no.such:Name' must be an exception class that"),
        ({"codes": {"builtins:int": 4000}}, "codes='builtins:int' must be an exception class, or"),
        ({"codes": {KeyboardInterrupt: 4000}}, "codes=<class 'KeyboardInterrupt'> must be an exc"),
        ({"codes": {7: 4000}}, "codes=7 must be an exception class"),
        ({"codes": {ExceptionGroup: 4000}}, "codes=<class 'ExceptionGroup'> must be a class of s"),
        ({"closes": {"4500": 1011}}, "closes='4500' must be a close code"),
        ({"closes": {4500: 1006}}, "closes[4500]=1006 must be a code that may be sent"),
    ],
    ids=repr,
)
def test_an_option_that_makes_no_sense_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Recovery(**options)
    assert str(refused.value).startswith(fault)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"code": 99}, "code=99 must be"),
        ({"code": 4000, "reason": "é" * 62}, "reason='é"),
        ({"code": 4000, "status": 600}, "status=600 must be"),
    ],
)
def test_an_end_that_could_not_be_sent_is_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ImproperlyConfiguredException) as refused:
        Close(**options)
    assert str(refused.value).startswith(fault)


def test_it_belongs_behind_the_observers() -> None:
    advice = list(Recovery().review([Logging()], [Metrics()]))
    assert advice == [
        "ends connections after Metrics has told their end; put it behind Metrics",
    ]
    assert not list(Recovery().review([Logging(), Metrics()], []))


def test_a_second_one_is_advised_against() -> None:
    outer, inner = Recovery(), Recovery({KeyError: 4000})
    assert list(inner.review([outer], [])) == []
    (advice,) = outer.review([], [inner])
    assert "another Recovery behind it" in advice


def test_it_is_a_value_and_shows_its_options() -> None:
    assert Recovery({KeyError: 4000}) == Recovery({KeyError: 4000})
    assert hash(Recovery({KeyError: 4000})) == hash(Recovery({KeyError: 4000}))
    assert Recovery({KeyError: 4000}) != Recovery({KeyError: 4001})
    assert repr(Recovery(code=4500)).startswith("Recovery(codes={}, code=4500, reason='', ")
