"""`websocket_app`: a handler as an ASGI application, with every ending defined."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial, update_wrapper
from types import new_class
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from anyio import move_on_after

from wspipe import lifespan
from wspipe.close_codes import is_sendable_code
from wspipe.closing import CLOSE_TIMEOUT, close, plan_end, reject
from wspipe.exceptions import (
    ConnectionRejected,
    ImproperlyConfiguredException,
    ProtocolError,
    WebSocketException,
)
from wspipe.pipeline import Pipeline, StateValidation, is_async
from wspipe.state_machine import ACCEPTED, DENIAL_BODY, DENYING, UNANSWERED
from wspipe.websocket import WebSocket

if TYPE_CHECKING:
    from wspipe.types import Middleware, Receive, Scope, Send

RETRY_TIMEOUT = 1.0
"""Seconds that a server has to take a close that it did not take before."""

_logger = logging.getLogger("wspipe")

Handler: TypeAlias = Callable[[Any], Awaitable[None]]
"""An async function that takes a `WebSocket`."""


class WebSocketApp:
    """A handler as an ASGI application; made by `websocket_app`.

    Args:
        handler: An async function that takes a `WebSocket`.
        pipeline: A pipeline or a single middleware, around that of the class.
        websocket_class: The class that the handler gets.

    Raises:
        ImproperlyConfiguredException: The handler is not an async function, or `pipeline` is no
            middleware.
    """

    def __init__(
        self, handler: Handler, pipeline: Middleware | None, websocket_class: type[WebSocket]
    ) -> None:
        if not is_async(handler):
            raise ImproperlyConfiguredException(
                detail=f"the handler must be an async function of one WebSocket, not {handler!r}"
            )
        update_wrapper(self, handler)
        self.handler = handler
        self.websocket_class: type[WebSocket] = _run_by_us(websocket_class, pipeline)

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline around the handler, first the application's, then the class's."""
        return self.websocket_class.pipeline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await lifespan.run_around(lifespan.answer, self.pipeline, scope, receive, send)
        elif scope["type"] == "http":
            await _require_upgrade(send)
        else:
            raise ImproperlyConfiguredException(
                detail=f"a websocket_app cannot serve a scope of type {scope['type']!r}"
            )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Made in two steps, so that a stage or an `__init__` that fails does not keep the stages
        # that came before it from their end.
        socket = self.websocket_class.__new__(self.websocket_class)
        try:
            socket.__init__(scope, receive, send)  # type: ignore[misc]
            try:
                await self.pipeline.admit(socket)
                with socket.running():
                    await self.handler(socket)
            except ConnectionRejected as rejection:
                if socket.wire.sent != UNANSWERED and not socket.wire.evicted:
                    raise
                await reject(socket.wire, rejection)
            await _end_returned(socket)
        except BaseException as error:
            if not socket.has_wire:
                raise
            code, by = _ending_of(error)
            if socket.wire.sent == UNANSWERED:
                status = _failure(by).status_in(socket.scope)
                plan_end(socket.wire, 1011 if status == 403 else None, by, status=status)
            else:
                plan_end(socket.wire, code, by)
            expected = socket.ending.is_reported_by(error)
            try:
                suppressed = await socket.finish(error)
            finally:
                await _end_failed(socket, code, by)
            if suppressed or expected:
                return
            raise
        await socket.finish(None)


def _run_by_us(websocket_class: type[WebSocket], pipeline: Middleware | None) -> type[WebSocket]:
    """Assemble a class from the application's pipeline and the class's own, in this order."""
    wire, *stages = websocket_class.pipeline
    outer = Pipeline(*(() if pipeline is None else (pipeline,)))
    if not any(isinstance(stage, StateValidation) for stage in outer):
        outer = Pipeline(wire, outer)

    def body(namespace: dict[str, Any]) -> None:
        namespace.update(
            __doc__=websocket_class.__doc__,
            __module__=websocket_class.__module__,
            __qualname__=websocket_class.__qualname__,
            __slots__=(),
            runs_itself=False,
        )

    keywords = {"pipeline": Pipeline(outer, *stages)}
    return new_class(websocket_class.__name__, (websocket_class,), keywords, body)


def _ending_of(error: BaseException) -> tuple[int, str]:
    # What is no Exception is the cancellation, by which the server stops the application.
    if not isinstance(error, Exception):
        return 1001, "server"
    if (
        isinstance(error, WebSocketException)
        and not isinstance(error, ProtocolError)
        and is_sendable_code(error.code)
    ):
        return error.code, "application"
    return 1011, "application"


def _failure(by: str) -> ConnectionRejected:
    rejection = ConnectionRejected(500, code=1011)
    rejection.by = by
    return rejection


async def _end_returned(socket: WebSocket) -> None:
    wire = socket.wire
    if not wire.answering and (wire.over or wire.ending.lost):
        return
    # A middleware's close that the server did not take in time gets one more chance.
    with move_on_after(RETRY_TIMEOUT if wire.evicted else CLOSE_TIMEOUT) as scope:
        await wire.settle()
        if wire.over or wire.ending.lost:
            return
        try:
            await _close_returned(socket)
        except Exception as error:
            if error is not wire.refusal:
                raise
            _logger.warning("the server refused the close after the handler returned: %r", error)
    if scope.cancelled_caught:
        _logger.warning("the server took no close after the handler returned")
    plan_end(wire, None, "application")


async def _close_returned(socket: WebSocket) -> None:
    if eviction := socket.ending.eviction:
        await close(socket.wire, 1000, eviction.reason, eviction.by)
    elif socket.wire.sent == ACCEPTED:
        await socket.close()
    elif socket.wire.sent == DENYING:
        await socket.send({"type": DENIAL_BODY, "body": b"", "more_body": False})
    else:
        await socket.send_denial_response(500)


async def _end_failed(socket: WebSocket, code: int, by: str) -> None:
    wire = socket.wire
    try:
        with move_on_after(RETRY_TIMEOUT if wire.evicted else CLOSE_TIMEOUT, shield=True):
            if eviction := wire.ending.eviction:
                await close(wire, 1000, eviction.reason, eviction.by)
            elif wire.sent == UNANSWERED:
                await reject(wire, _failure(by))
            else:
                await close(wire, code, "", by)
    except Exception as error:  # noqa: BLE001 - the handler's exception is what goes on
        _logger.warning("the connection could not be closed after its handler failed: %r", error)


async def _require_upgrade(send: Send) -> None:
    # RFC 9110 section 15.5.22: 426 names the protocol to upgrade to.
    await send(
        {
            "type": "http.response.start",
            "status": 426,
            "headers": [
                (b"connection", b"upgrade"),
                (b"upgrade", b"websocket"),
                (b"content-type", b"text/plain; charset=utf-8"),
            ],
        }
    )
    await send({"type": "http.response.body", "body": b"This is a WebSocket endpoint.\n"})


@overload
def websocket_app(
    handler: Handler,
    *,
    pipeline: Middleware | None = None,
    websocket_class: type[WebSocket] = WebSocket,
) -> WebSocketApp: ...
@overload
def websocket_app(
    *, pipeline: Middleware | None = None, websocket_class: type[WebSocket] = WebSocket
) -> Callable[[Handler], WebSocketApp]: ...


def websocket_app(
    handler: Handler | None = None,
    *,
    pipeline: Middleware | None = None,
    websocket_class: type[WebSocket] = WebSocket,
) -> WebSocketApp | Callable[[Handler], WebSocketApp]:
    """Make an ASGI application of a handler; also a decorator, with or without arguments.

    Every ending is defined. A return closes with 1000, an exception with 1011 (or with its `code`,
    where it is a `WebSocketException`) and is raised on to the server, cancellation closes with
    1001; before the accept each of them is a denial with status 500, a plain close where the server
    has no denial response. `ConnectionRejected` before the accept denies as it says. That the
    client left is no error.

    Args:
        handler: An async function that takes a `WebSocket`.
        pipeline: A pipeline or a single middleware, around that of the class.
        websocket_class: The class that the handler gets.

    Raises:
        ImproperlyConfiguredException: The handler is not an async function, or `pipeline` is no
            middleware.
    """
    if handler is None:
        return partial(WebSocketApp, pipeline=pipeline, websocket_class=websocket_class)
    return WebSocketApp(handler, pipeline, websocket_class)
