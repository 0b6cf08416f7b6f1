"""A configuration around an application: each connection gets the pipeline of its route."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from anyio import CancelScope, Lock, move_on_after

from wspipe import lifespan
from wspipe.config.config import Config
from wspipe.config.environment import told_safely
from wspipe.config.problems import ConfigurationError, Problem
from wspipe.connection import ASGIConnection
from wspipe.middleware import PipelineMiddleware
from wspipe.pipeline import Pipeline

if TYPE_CHECKING:
    from wspipe.config.document import Source
    from wspipe.types import ASGIApp, Middleware, Receive, Scope, Send

STARTUP_TIMEOUT = 30.0
"""Seconds that the stages of a changed configuration have to start."""

_logger = logging.getLogger("wspipe")


class Generation:
    """A configuration in force, and how many connections it serves.

    Args:
        config: The configuration.
        last: A stage behind those of every pipeline that has none of its kind.
    """

    def __init__(self, config: Config, last: Middleware | None) -> None:
        self.config = config
        self.connections = 0
        self.pipelines: dict[str, Pipeline] = {
            name: _with_last(each.pipeline, last).with_wire(strict=False)
            for name, each in config.pipelines.items()
        }
        self.none: Pipeline = _with_last(Pipeline(), last).with_wire(strict=False)

    @property
    def stages(self) -> dict[int, Middleware]:
        """All stages, each once."""
        pipelines = (*self.pipelines.values(), self.none)
        return {id(stage): stage for pipeline in pipelines for stage in pipeline}

    @property
    def resources(self) -> dict[int, Middleware]:
        """The stages that have something to start or to shut down, each once."""
        return {key: each for key, each in self.stages.items() if Pipeline(each).owns_resources}

    def pipeline_of(self, scope: Scope) -> Pipeline:
        """Give the pipeline of a connection, an empty one where no route has it."""
        chosen = self.config.choose(scope)
        return self.none if chosen is None else self.pipelines[chosen.name]


def _with_last(pipeline: Pipeline, last: Middleware | None) -> Pipeline:
    if last is None or any(isinstance(stage, type(last)) for stage in pipeline):
        return pipeline
    return Pipeline(pipeline, last)


class ConfiguredMiddleware(PipelineMiddleware):
    """An ASGI application with the pipelines of a configuration around its WebSockets.

    Made by `PipelineMiddleware.from_config`. A connection gets the pipeline of the first route that
    matches it, or the default; where there is neither, an empty one. It is chosen once, so that a
    message costs nothing more.

    Args:
        app: Any ASGI application.
        source: The configuration: see `Config.load`.
        last: A stage behind those of every pipeline that has none of its kind, closest to the
            application.

    Raises:
        ImproperlyConfiguredException: `app` is not callable, or `last` is no middleware.
        ConfigurationError: Something is wrong with the configuration.
    """

    def __init__(
        self, app: ASGIApp, source: Source | Config = None, *, last: Middleware | None = None
    ) -> None:
        super().__init__(app)
        self._last = last
        self._current = Generation(Config.load(source), last)
        self._generations = [self._current]
        self._changing = Lock()
        self._secrets = dict(self.config.secrets)
        self._running: dict[int, Middleware] | None = None
        """What was started, from the startup to the shutdown."""
        self._opens_lazily = True
        """Whether there was no startup, so that stages open what they need by themselves."""

    @property
    def config(self) -> Config:
        """The configuration that new connections get."""
        return self._current.config

    @property
    def middlewares(self) -> tuple[Middleware, ...]:
        """The stages of all pipelines that serve connections, also of earlier configurations."""
        every = {key: each for one in self._generations for key, each in one.stages.items()}
        return tuple(every.values())

    def __repr__(self) -> str:
        """Read as the code that makes it."""
        return f"PipelineMiddleware.from_config({self.app!r}, {self.config.document.name!r})"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await lifespan.run_around(self.app, self, scope, receive, send)
        elif scope["type"] == "websocket":
            generation = self._current
            generation.connections += 1
            try:
                pipeline = generation.pipeline_of(scope)
                await self._serve(pipeline, ASGIConnection(scope), receive, send)
            finally:
                generation.connections -= 1
                if generation is not self._current and not generation.connections:
                    with CancelScope(shield=True):
                        async with self._changing:
                            await self._release()
        else:
            await self.app(scope, receive, send)

    async def reload(self, source: Source = None) -> Config:
        """Read the configuration anew, for connections that come from now on.

        Those that are open keep their pipeline to their end. Stages that are declared as before
        live on, with all that they have counted.

        Args:
            source: The configuration; left out, the file that it came from.

        Returns:
            The configuration that is now in force.

        Raises:
            ConfigurationError: Something is wrong with it. The old one stays in force.
        """
        async with self._changing:
            config = self.config.reloaded(source)
            generation = Generation(config, self._last)
            self._secrets |= config.secrets
            with move_on_after(STARTUP_TIMEOUT) as scope:
                await self._start(generation)
            if scope.cancelled_caught:
                raise self._not_started(config, f"it took more than {STARTUP_TIMEOUT:g} seconds")
            self._generations.append(generation)
            self._current = generation
            await self._release()
            return config

    async def startup(self) -> None:
        """Start what the stages own.

        Raises:
            ConfigurationError: Some stage cannot be started.
        """
        async with self._changing:
            self._running, self._opens_lazily = self._running or {}, False
            await self._start(self._current)

    async def shutdown(self) -> None:
        """Shut down what the stages own."""
        async with self._changing:
            running, self._running = self._running or {}, None
            await self._stop(running)

    async def _start(self, generation: Generation) -> None:
        """Start what a generation owns and is not running already."""
        if self._running is None:
            return
        resources = generation.resources
        new = {key: each for key, each in resources.items() if key not in self._running}
        try:
            await Pipeline(*new.values()).startup()
        # A stage may do anything, such as to exit.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is told
            why = told_safely(error, self._secrets)
            raise self._not_started(generation.config, why) from None
        self._running |= new

    def _not_started(self, config: Config, why: str) -> ConfigurationError:
        return ConfigurationError(
            [Problem(f"cannot be started: {why}", source=config.document.name)]
        )

    async def _release(self) -> None:
        """Forget generations that serve nobody any more, and stop what only they owned."""
        owned = self._held() if self._opens_lazily else self._running or {}
        self._generations = [
            each for each in self._generations if each.connections or each is self._current
        ]
        kept = self._held()
        if self._running is not None:
            self._running = {key: each for key, each in owned.items() if key in kept}
        await self._stop({key: each for key, each in owned.items() if key not in kept})

    async def _stop(self, stages: dict[int, Middleware]) -> None:
        try:
            await Pipeline(*stages.values()).shutdown()
        except ExceptionGroup as group:
            for error in group.exceptions:
                told = told_safely(error, self._secrets)
                _logger.error("a stage could not be shut down: %s", told)  # noqa: TRY400

    def _held(self) -> dict[int, Middleware]:
        return {key: each for one in self._generations for key, each in one.resources.items()}
