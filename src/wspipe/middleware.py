"""`PipelineMiddleware`: a pipeline around any ASGI application."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from wspipe import lifespan
from wspipe.closing import await_close, plan_end, reject
from wspipe.connection import ASGIConnection
from wspipe.ending import who_ended
from wspipe.exceptions import ConnectionRejected, ImproperlyConfiguredException
from wspipe.pipeline import Pipeline

if TYPE_CHECKING:
    from wspipe.config.application import ConfiguredMiddleware
    from wspipe.config.config import Config
    from wspipe.config.document import Source
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
        stages = () if pipeline is None else (pipeline,)
        self.pipeline: Pipeline = Pipeline(*stages).with_wire(strict=False)

    @classmethod
    def from_config(cls, app: ASGIApp, source: Source | Config = None) -> ConfiguredMiddleware:
        """Put the pipelines of a configuration around an application.

        Args:
            app: Any ASGI application.
            source: A file ending in `.toml` or `.json`, of a `pyproject.toml` the table
                `[tool.wspipe]`; a dictionary; or a `Config`. Left out, it is `wspipe.toml` in the
                current directory, or else its `pyproject.toml`.

        Returns:
            The application, whose `reload` takes a changed configuration.

        Raises:
            ImproperlyConfiguredException: `app` is not callable.
            ConfigurationError: Something is wrong with the configuration.
        """
        from wspipe.config.application import ConfiguredMiddleware  # noqa: PLC0415 - a subclass

        return ConfiguredMiddleware(app, source)

    def __repr__(self) -> str:
        """Read as the code that makes it."""
        return f"PipelineMiddleware({self.app!r}, pipeline={self.pipeline!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket":
            await self._serve(self.pipeline, ASGIConnection(scope), receive, send)
        elif scope["type"] == "lifespan" and self.pipeline.owns_resources:
            await lifespan.run_around(self.app, self.pipeline, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(
        self, pipeline: Pipeline, connection: ASGIConnection, receive: Receive, send: Send
    ) -> None:
        try:
            connection.receive, connection.send = pipeline(connection, receive, send)
            try:
                await pipeline.admit(connection)
            except ConnectionRejected as rejection:
                await reject(connection.wire, rejection)
            else:
                send = _as_coroutine_function(connection.send)
                try:
                    with connection.running():
                        await self.app(connection.scope, connection.receive, send)
                finally:
                    await await_close(connection.wire)
        except BaseException as error:
            plan_end(connection.wire, None, who_ended(error))
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
