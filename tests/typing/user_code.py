"""What users write, for the type checkers: mypy strict and pyright strict pass over this file.

A `type: ignore` marks what they must refuse; it is an error itself where they do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, assert_type

from wspipe import (
    ASGIApp,
    ASGIConnection,
    ConnectionRejected,
    Event,
    Middleware,
    Pipeline,
    PipelineMiddleware,
    Receive,
    Scope,
    Send,
    StateValidation,
    WebSocket,
    WebSocketDisconnect,
    message_size,
    on_receive,
    on_send,
    select,
    websocket_app,
)
from wspipe.testing import connect
from wspipe_middlewares import Logging, RateLimit
from wspipe_middlewares.rate_limit import Exceeded, Grant, Limit, Request, draw

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class User:
    name: str


@dataclass
class Token:
    scopes: list[str]


# A middleware is a function or an object.


def passing(connection: ASGIConnection, receive: Receive, send: Send) -> tuple[Receive, Send]:
    return receive, send


@dataclass(frozen=True)
class Admitting:
    key: str

    def __call__(
        self, connection: ASGIConnection, receive: Receive, send: Send
    ) -> tuple[Receive, Send]:
        async def counted() -> Event:
            return await receive()

        return counted, send

    async def admit(self, connection: ASGIConnection) -> None:
        if connection.query_params.get("key") != self.key:
            raise ConnectionRejected(401, {"www-authenticate": "Key"}, b"no", code=4401)


stages: list[Middleware] = [passing, Admitting("k"), Logging(), Pipeline(), StateValidation()]


# Interceptors, sync and async, as calls and as decorators.


def trim(event: Event, connection: ASGIConnection) -> Event | None:
    return {**event, "text": event["text"].strip()} if event.get("text") else None


@on_send(lifecycle=True)
async def audit(event: Event, connection: ASGIConnection) -> Event:
    assert_type(connection.id, str)
    return event


@on_receive
def same(event: Event, connection: ASGIConnection) -> Event:
    return event


def is_admin(connection: ASGIConnection) -> bool:
    return connection.path_params.get("role") == "admin"


assert_type(on_receive(trim) | audit, Pipeline)
assert_type(select(is_admin, passing) | on_send(trim), Pipeline)
pipeline = Logging() | on_receive(trim) | audit | select(is_admin, passing) | Admitting("k")
assert_type(pipeline, Pipeline)
assert_type(passing | Logging(), Pipeline)
assert_type(pipeline.without(Logging).before(Admitting, Logging(messages=True)), Pipeline)

Pipeline(3)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


# The class: bare, with its parameters, with a pipeline, inherited.


class ChatSocket(WebSocket[User, Token], pipeline=Logging() | passing):
    async def greet(self) -> None:
        assert_type(self.user, User)
        assert_type(self.auth, Token)
        await self.send_text(f"hello {self.user.name}")


class AdminSocket(ChatSocket): ...


class Wrapped(WebSocket):
    def receive_wrapper(self, receive: Receive) -> Receive:
        inner = super().receive_wrapper(receive)

        async def wrapped() -> Event:
            return await inner()

        return wrapped


async def use(socket: WebSocket) -> None:
    assert_type(socket.user, Any)
    await socket.accept("chat", headers={"x-a": "b"})
    await socket.accept(headers=[(b"x-a", b"b")])
    assert_type(await socket.receive_text(), str)
    assert_type(await socket.receive_bytes(), bytes)
    assert_type(await socket.receive_data("text"), str)
    assert_type(await socket.receive_data("binary"), bytes)
    await socket.receive_data("json")  # type: ignore[call-overload] # pyright: ignore
    async for text in socket.iter_text():
        assert_type(text, str)
    await socket.send_json({"a": 1}, mode="binary")
    await socket.close(1000, "bye")
    await socket.close(4000, by=passing)
    assert_type(socket.traffic.messages_received, int)
    assert_type(socket.close_code, int | None)


# Rate limits.


def slow_down(exceeded: Exceeded) -> None:
    assert_type(exceeded.retry_after, float)


async def answer(exceeded: Exceeded) -> Event | None:
    await exceeded.send({"type": "websocket.send", "text": exceeded.limit})
    return exceeded.event


def weight(event: Event, connection: ASGIConnection) -> int:
    return message_size(event)


class OwnStore:
    async def take(self, key: str, limits: Sequence[Limit], request: Request) -> Grant:
        terms = [limit.terms(1_000_000_000) for limit in limits]
        drawn = draw(terms, [0] * len(terms), request)
        return Grant(drawn.granted, drawn.debts, drawn.wait)

    async def put_back(
        self, key: str, limits: Sequence[Limit], *, count: int, mark: object
    ) -> None: ...


limited = RateLimit("20/second", on_limit=slow_down) | RateLimit("9/minute; 1/second", (9, 1))
limited |= RateLimit("1_000/second", cost=weight, key=lambda connection: connection.id)
limited |= RateLimit("5/day", cost="connections", on_limit=answer, store=OwnStore())
RateLimit("5/day", on_limit="ignore")  # type: ignore[arg-type] # pyright: ignore
RateLimit("5/day", store=object())  # type: ignore[arg-type] # pyright: ignore


# Applications.


@websocket_app
async def plain(socket: WebSocket) -> None:
    await socket.accept()


@websocket_app(pipeline=pipeline, websocket_class=ChatSocket)
async def chat(socket: ChatSocket) -> None:
    try:
        await socket.greet()
    except WebSocketDisconnect as error:
        assert_type(error.code, int)


@websocket_app  # type: ignore[arg-type] # pyright: ignore
def not_async(socket: WebSocket) -> None: ...


async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.close"})


apps: list[ASGIApp] = [plain, chat, raw, PipelineMiddleware(raw, pipeline=pipeline)]
apps.append(PipelineMiddleware(chat, Logging()))


async def drive() -> None:
    async with connect(chat, "/?a=1", subprotocols=["chat"]) as client:
        await client.send_text("hi")
        assert_type(await client.receive(), str | bytes)
