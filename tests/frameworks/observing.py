"""Applications under observation: each framework's way to route and to handle, and what is told."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import django
import litestar
import quart
from django.urls import path
from fastapi import APIRouter, FastAPI, WebSocket
from litestar.params import FromPath  # noqa: TC002 - Litestar looks for it when it runs
from opentelemetry import baggage
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router, WebSocketRoute

from tests.story import Observers
from wspipe import PipelineMiddleware
from wspipe.testing import connect
from wspipe_middlewares import names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

    from wspipe import ASGIApp, Receive, Scope, Send

TRACER = "tests.tracer"
HEADERS = {"baggage": "user=ada", "traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}


class Observed:
    """An application behind all three observers, and what they have told.

    `place` takes the application and a function that puts the observers around one.
    """

    def __init__(self, app: ASGIApp, place: Any = None, **tracing: Any) -> None:
        self.observers = Observers(**{"span": "handshake", "messages": "off"} | tracing)
        self.spans, self.measured = self.observers.spans, self.observers.measured
        wrap = partial(PipelineMiddleware, pipeline=self.observers.pipeline)
        self.app: ASGIApp = wrap(app) if place is None else place(app, wrap)

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection; the application finds a tracer in the scope."""
        scope[TRACER] = self.spans.tracer
        await self.app(scope, receive, send)

    async def converse(self, path: str, *texts: str) -> list[str | bytes]:
        """Send each text, wait for its answer, and leave; give the answers."""
        answers = []
        with anyio.fail_after(10):
            async with connect(self.serve, path, headers=HEADERS) as client:
                for text in texts:
                    await client.send_text(text)
                    answers.append(await client.receive())
        return answers

    def of_kind(self, kind: str) -> list[ReadableSpan]:
        """Give the spans of a kind, in the order of their ends."""
        return [span for span in self.spans.ended if span.kind.name == kind]

    @property
    def connection(self) -> ReadableSpan:
        """The span of the connection."""
        return self.observers.connection_span

    def routes(self) -> set[str | None]:
        """Give every route that any of the observers told."""
        told: list[Any] = [line.get("route") for line in self.observers.lines]
        for kind in ("SERVER", "CONSUMER", "PRODUCER"):
            for span in self.of_kind(kind):
                told += [
                    (span.attributes or {}).get(names.ROUTE),
                    span.name.partition(" ")[2] or None,
                ]
        for metric in names.METRICS:
            told += [
                point.attributes.get(names.ROUTE) for point in self.measured.points(metric.name)
            ]
        return set(told)

    def close(self) -> None:
        """Check that the connection was counted, and that nothing was left open."""
        ends = [self.measured.points(metric.name) for metric in (names.DURATION, names.REJECTED)]
        assert sum(map(len, ends)) == 1
        assert [point.value for point in self.measured.points(names.ACTIVE.name)] in ([], [0])
        assert self.spans.open == 0
        self.measured.provider.shutdown()


def work(scope: Scope, name: str) -> str:
    """Make a span of the application's own; give the user, whom the baggage tells."""
    user = str(baggage.get_baggage("user"))
    with scope[TRACER].start_as_current_span(name, attributes={"user": user}):
        return user


# Before the accept each application opens a span, "before", and for each message another, "work".


async def talk(websocket: WebSocket) -> None:
    work(websocket.scope, "before")
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(f"{text} {work(websocket.scope, 'work')}")


async def refuse(websocket: WebSocket) -> None:
    work(websocket.scope, "before")
    await websocket.close(4003)


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    work(scope, "before")
    if "refused" in scope["path"]:
        await send({"type": "websocket.close", "code": 4003})
        return
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        answer = f"{event['text']} {work(scope, 'work')}"
        await send({"type": "websocket.send", "text": answer})


def plain_app() -> ASGIApp:
    return plain


def impatient_app() -> ASGIApp:
    async def impatient(scope: Scope, receive: Receive, send: Send) -> None:
        await plain(scope, lambda: asyncio.wait_for(receive(), 10), send)

    return impatient


def starlette_app() -> ASGIApp:
    rooms = [WebSocketRoute("/rooms/{room}", talk), WebSocketRoute("/refused/{who}", refuse)]
    return Starlette(
        routes=[
            *rooms,
            WebSocketRoute("/halls/{hall:int}", talk),
            Mount("/api", routes=[*rooms, Mount("/v{version}", routes=rooms)]),
            Mount("/sub", Starlette(routes=rooms)),
            Mount("/plain/{kind}", plain),
            Host("{name}server", Router([WebSocketRoute("/hosted/{room}", talk)])),
        ]
    )


def fastapi_app() -> ASGIApp:
    rooms = APIRouter()
    rooms.websocket("/rooms/{room}")(talk)
    rooms.websocket("/refused/{who}")(refuse)
    api = APIRouter(prefix="/api/{tenant}")
    api.include_router(rooms)
    api.include_router(rooms, prefix="/v{version}")
    app, sub = FastAPI(), FastAPI()
    sub.include_router(rooms)
    app.websocket("/rooms/{room}")(talk)
    app.websocket("/refused/{who}")(refuse)
    app.include_router(rooms, prefix="/more")
    app.include_router(api)
    app.mount("/sub", sub)
    return app


async def litestar_talk(socket: litestar.WebSocket[Any, Any, Any]) -> None:
    work(socket.scope, "before")
    await socket.accept()
    async for text in socket.iter_data():
        await socket.send_text(f"{text} {work(socket.scope, 'work')}")


async def litestar_refuse(socket: litestar.WebSocket[Any, Any, Any]) -> None:
    work(socket.scope, "before")
    await socket.close(4003)


async def listen(data: str, socket: litestar.WebSocket[Any, Any, Any]) -> str:
    return f"{data} {work(socket.scope, 'work')}"


class Halls(litestar.Controller):
    path = "/halls/{hall:int}"

    @litestar.websocket("/seats/{seat:str}")
    async def take(
        self, socket: litestar.WebSocket[Any, Any, Any], hall: FromPath[int], seat: FromPath[str]
    ) -> None:
        assert (hall, seat) == (7, "a1")
        await litestar_talk(socket)


def litestar_app() -> ASGIApp:
    def rooms() -> list[Any]:
        return [
            litestar.websocket("/rooms/{room:int}")(litestar_talk),
            litestar.websocket("/refused/{who:str}")(litestar_refuse),
        ]

    api = litestar.Router("/api/{tenant:str}", route_handlers=[*rooms(), Halls])
    listener = litestar.websocket_listener("/listener/{name:str}")(listen)
    return litestar.Litestar([*rooms(), Halls, api, listener], openapi_config=None)


def quart_app() -> ASGIApp:
    app = quart.Quart(__name__)

    @app.websocket("/rooms/<room>")
    async def talk(room: str) -> None:
        assert room == "7"
        scope = quart.websocket.scope
        work(scope, "before")
        await quart.websocket.accept()
        while True:
            text = await quart.websocket.receive()
            await quart.websocket.send(f"{text} {work(scope, 'work')}")

    @app.websocket("/refused/<who>")
    async def refuse(who: str) -> None:
        assert who == "you"
        work(quart.websocket.scope, "before")
        quart.abort(401)

    return app


def channels_app() -> ASGIApp:
    from django.conf import settings  # noqa: PLC0415 - Django's settings are global

    if not settings.configured:
        settings.configure(DATABASES={})
        django.setup()
    from channels.exceptions import DenyConnection  # noqa: PLC0415 - needs them
    from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: PLC0415 - likewise
    from channels.routing import URLRouter  # noqa: PLC0415 - likewise

    class Talk(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            work(self.scope, "before")
            await self.accept()

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            await self.send(f"{text_data or bytes_data} {work(self.scope, 'work')}")

    class Refuse(AsyncWebsocketConsumer):
        async def connect(self) -> None:
            work(self.scope, "before")
            raise DenyConnection

    return URLRouter(
        [path("rooms/<room>", Talk.as_asgi()), path("refused/<who>", Refuse.as_asgi())]
    )
