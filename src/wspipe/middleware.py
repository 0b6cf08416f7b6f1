"""`PipelineMiddleware`: a pipeline around any ASGI application."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from wspipe import lifespan
from wspipe.closing import plan_end, reject
from wspipe.connection import ASGIConnection
from wspipe.exceptions import ConnectionRejected, ImproperlyConfiguredException
from wspipe.pipeline import Pipeline

if TYPE_CHECKING:
    from wspipe.types import ASGIApp, Event, Middleware, Receive, Scope, Send


class PipelineMiddleware:
    """An ASGI application with a pipeline around its WebSockets.

    With an empty pipeline it cannot be noticed, except that events which the ASGI specification
    forbids raise `ProtocolError`. Scopes of other types pass through untouched.

    Args:
        app: Any ASGI application.
        pipeline: A pipeline or a single middleware.

    Raises:
        ImproperlyConfiguredException: `app` is not callable, or `pipeline` is no middleware.
    """

    def __init__(self, app: ASGIApp, pipeline: Middleware | None = None) -> None:
        if not callable(app):
            raise ImproperlyConfiguredException(detail=f"{app!r} is not an ASGI application")
        self.app = app
        self.pipeline = Pipeline(*(() if pipeline is None else (pipeline,))).with_wire(strict=False)

    def __repr__(self) -> str:
        """Read as the code that makes it."""
        return f"PipelineMiddleware({self.app!r}, pipeline={self.pipeline!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await self._serve(ASGIConnection(scope), receive, send)
        elif scope["type"] == "lifespan" and self.pipeline.owns_resources:
            await lifespan.run_around(self.app, self.pipeline, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, connection: ASGIConnection, receive: Receive, send: Send) -> None:
        try:
            connection.receive, connection.send = self.pipeline(connection, receive, send)
            try:
                await self.pipeline.admit(connection)
            except ConnectionRejected as rejection:
                await reject(connection.wire, rejection)
            else:
                send = _as_coroutine_function(connection.send)
                await self.app(connection.scope, connection.receive, send)
        except BaseException as error:
            # What is no Exception is the cancellation, by which the server stops the application.
            by = "application" if isinstance(error, Exception) else "server"
            plan_end(connection.wire, None, by)
            if await connection.finish(error):
                return
            if connection.wire.evicted and connection.ending.is_reported_by(error):
                return
            raise
        plan_end(connection.wire, None, "application")
        await connection.finish(None)


def _as_coroutine_function(send: Send) -> Send:
    # A stage may give a plain function that returns an awaitable; asgiref, among others, looks.
    if inspect.iscoroutinefunction(send):
        return send

    async def awaited_send(event: Event) -> None:
        await send(event)

    return awaited_send
