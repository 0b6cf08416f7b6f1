"""Testing without a server: a client in memory that drives any ASGI application.

Between the client and the application stands a strict wire stage, so that an application which
breaks the ASGI specification gets a `ProtocolError` whatever the test asserts.
"""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import anyio
import anyio.lowlevel
import orjson

from wspipe.app import websocket_app
from wspipe.connection import ASGIConnection
from wspipe.exceptions import WebSocketDisconnect, WSPipeException
from wspipe.headers import HeadersInput, header_list
from wspipe.pipeline import Pipeline, is_async
from wspipe.serialization import default_serializer
from wspipe.state_machine import ACCEPT, CLOSE, DENIAL_EXTENSION

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from wspipe.app import Handler
    from wspipe.types import ASGIApp, Event, Scope


class ConnectionDenied(WSPipeException):
    """The application denied the connection.

    Args:
        status: The HTTP status that the client gets: that of the denial response, or 403.
        headers: The headers of the denial response.
        body: Its body.
        code: The code of a close that came instead of a denial response.
        reason: Its reason.
    """

    def __init__(
        self,
        status: int,
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        code: int | None = None,
        reason: str = "",
    ) -> None:
        super().__init__(detail=f"the application denied the connection: {status}, {code} {reason}")
        self.status = status
        self.headers = headers
        self.body = body
        self.code = code
        self.reason = reason


@dataclass
class Client:
    """The client's side of a connection; made by `connect`.

    Attributes:
        subprotocol: What the application chose.
        headers: What it added to the handshake response.
        close_code: The close code, once either side has closed.
        close_reason: The close reason.
    """

    subprotocol: str | None
    headers: Sequence[tuple[bytes, bytes]]
    _to_app: MemoryObjectSendStream[Event] = field(repr=False)
    _from_app: MemoryObjectReceiveStream[Event] = field(repr=False)
    close_code: int | None = None
    close_reason: str = ""

    async def send_text(self, data: str) -> None:
        """Send a text message.

        Args:
            data: The text.
        """
        await self._to_app.send({"type": "websocket.receive", "text": data})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message.

        Args:
            data: The bytes.
        """
        await self._to_app.send({"type": "websocket.receive", "bytes": data})

    async def send_json(self, data: Any) -> None:
        """Send a value as JSON in a text message.

        Args:
            data: The value, as for `WebSocket.send_json`.
        """
        await self.send_text(orjson.dumps(data, default_serializer).decode())

    async def receive(self) -> str | bytes:
        """Receive a message.

        Raises:
            WebSocketDisconnect: The application closed, with its code; with code 1006 where it
                ended without closing.
        """
        try:
            event = await self._from_app.receive()
        except anyio.EndOfStream:
            code = self.close_code or 1006
            raise WebSocketDisconnect(detail="the application has ended", code=code) from None
        if event["type"] == CLOSE:
            self.close_code = code = event.get("code", 1000)
            self.close_reason = event.get("reason") or ""
            raise WebSocketDisconnect(detail=self.close_reason, code=code)
        data: str | bytes = event["text"] if event.get("text") is not None else event["bytes"]
        return data

    async def receive_json(self) -> Any:
        """Receive a message and parse it as JSON."""
        return orjson.loads(await self.receive())

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Close the connection.

        Args:
            code: The close code; 1005 stands for a close frame without one, and `None` for a
                client that vanishes.
            reason: The close reason.
        """
        if self.close_code is None:
            self.close_code, self.close_reason = code or 1006, reason
            await self._to_app.send(
                {"type": "websocket.disconnect", "code": code or 1006, "reason": reason}
            )


def websocket_scope(
    url: str = "/",
    *,
    headers: HeadersInput | None = None,
    subprotocols: Sequence[str] = (),
    extensions: Sequence[str] = (DENIAL_EXTENSION,),
    scope: Mapping[str, Any] | None = None,
) -> Scope:
    """Make the scope of a WebSocket connection.

    Args:
        url: Path and query.
        headers: The request headers; `host` is added.
        subprotocols: What the client offers.
        extensions: The names of the ASGI extensions that the server offers.
        scope: What the scope has besides or instead, such as another `client`, or the `user` that
            an ASGI middleware for authentication would have found.
    """
    path, _, query = url.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"testserver"), *header_list(headers)],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "subprotocols": list(subprotocols),
        "extensions": {name: {} for name in extensions},
        **(scope or {}),
    }


@asynccontextmanager
async def connect(
    app: ASGIApp | Handler, url: str = "/", **options: Any
) -> AsyncGenerator[Client, None]:
    """Connect to an application, or a handler as of `websocket_app`, and yield the client.

    At the end of the block the client closes, and the block waits for the application to end.

    Args:
        app: The ASGI application, or an async function of one argument, a `WebSocket`.
        url: Path and query.
        **options: As for `websocket_scope`.

    Raises:
        ConnectionDenied: The application did not accept.
        Exception: Whatever the application raised.
    """
    application = _application(app)
    to_app, app_receives = anyio.create_memory_object_stream[Any](inf)
    app_sends, from_app = anyio.create_memory_object_stream[Any](inf)
    failures: list[Exception] = []
    answer: Event | ConnectionDenied | None = None
    to_app.send_nowait({"type": "websocket.connect"})

    async def send(event: Event) -> None:
        await anyio.lowlevel.checkpoint()
        app_sends.send_nowait(event)
        if event["type"] == CLOSE:
            code, reason = event.get("code", 1000), event.get("reason") or ""
            to_app.send_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def run() -> None:
        connection: ASGIConnection = ASGIConnection(websocket_scope(url, **options))
        ends = Pipeline().with_wire(strict=True)(connection, app_receives.receive, send)
        try:
            await application(connection.scope, *ends)
        except Exception as error:  # noqa: BLE001 - raised to the test at the end of the block
            failures.append(error)
        finally:
            app_sends.close()

    with to_app, app_receives, app_sends, from_app:
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                answer = await _answer(from_app)
                if isinstance(answer, ConnectionDenied):
                    to_app.send_nowait({"type": "websocket.disconnect", "code": 1006})
                else:
                    client = Client(answer.get("subprotocol"), answer["headers"], to_app, from_app)
                    yield client
                    await client.close()
        except BaseExceptionGroup as group:
            # The group has one member: what the block raised. `run` raises nothing.
            raise group.exceptions[0] from None
        finally:
            if failures:
                raise failures[0]
    if isinstance(answer, ConnectionDenied):
        raise answer


def _application(app: ASGIApp | Handler) -> ASGIApp:
    """Tell a handler by its signature, and make an application of it."""
    try:
        inspect.signature(app, follow_wrapped=False).bind(None)
    except (TypeError, ValueError):
        return cast("ASGIApp", app)
    return websocket_app(cast("Handler", app)) if is_async(app) else cast("ASGIApp", app)


async def _answer(from_app: MemoryObjectReceiveStream[Event]) -> Event | ConnectionDenied:
    try:
        event = await from_app.receive()
    except anyio.EndOfStream:
        return ConnectionDenied(500)
    if event["type"] == ACCEPT:
        return {"headers": (), **event}
    if event["type"] == CLOSE:
        return ConnectionDenied(403, code=event.get("code", 1000), reason=event.get("reason") or "")
    body = b""
    async for part in from_app:
        body += part.get("body", b"")
        if not part.get("more_body", False):
            break
    return ConnectionDenied(event["status"], event.get("headers", ()), body)
