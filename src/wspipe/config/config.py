"""A whole configuration: named pipelines, and which of them a connection gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wspipe.config.building import Builder, Stage
from wspipe.config.declarations import Declarations, RouteDeclaration, read
from wspipe.config.document import Document
from wspipe.config.environment import told_safely
from wspipe.config.inheritance import Inheritance
from wspipe.config.problems import ConfigurationError, Problems
from wspipe.config.registry import Registry
from wspipe.config.routing import Router
from wspipe.pipeline import Pipeline, StateValidation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from wspipe.config.document import Source
    from wspipe.config.positions import KeyPath
    from wspipe.types import Scope


@dataclass(frozen=True, slots=True)
class NamedPipeline:
    """A pipeline of a configuration.

    Args:
        name: Its name.
        extends: The name of the one that it extends, if any.
        stages: Its stages, those that it inherits included.
        pipeline: The pipeline of them.
    """

    name: str
    extends: str | None
    stages: tuple[Stage, ...]
    pipeline: Pipeline


class Config:
    """A configuration that can be used; made by `Config.load`.

    A pipeline that extends another has its very stages, not copies: what they count, they count
    together.

    Args:
        document: Where it comes from.
        declarations: What it declares.
        pipelines: The pipelines by their names.
        builder: What made them.
    """

    def __init__(
        self,
        document: Document,
        declarations: Declarations,
        pipelines: Mapping[str, NamedPipeline],
        builder: Builder,
    ) -> None:
        self.document = document
        self.pipelines = pipelines
        self._builder = builder
        self.routes: tuple[RouteDeclaration, ...] = declarations.routes
        self.default = declarations.default
        if self.default is None and not self.routes and len(pipelines) == 1:
            (self.default,) = pipelines
        self._router = Router((route.path, route.host, route) for route in self.routes)

    @classmethod
    def load(
        cls,
        source: Source | Config = None,
        *,
        environment: Mapping[str, str] | None = None,
        registry: Registry | None = None,
    ) -> Config:
        """Read a configuration and make its middlewares.

        Args:
            source: A file ending in `.toml` or `.json`, of a `pyproject.toml` the table
                `[tool.wspipe]`; a dictionary; or a `Config`, which is given back. Left out, it is
                the file `wspipe.toml` in the current directory, or else its `pyproject.toml`.
            environment: Where placeholders look; by default the process's.
            registry: The middlewares that there are; by default those that are installed.

        Raises:
            ConfigurationError: Something is wrong; it tells everything that is.
        """
        if isinstance(source, Config):
            return source
        environment = os.environ if environment is None else environment
        return cls._load(source, registry or Registry.installed(), environment)

    def reloaded(self, source: Source = None) -> Config:
        """Read it anew, with the same environment and the same installed middlewares.

        Stages that are declared as before, in the pipeline of the same name, live on with all that
        they have counted.

        Args:
            source: As for `load`; left out, where it came from.

        Raises:
            ConfigurationError: Something is wrong; it tells everything that is.
        """
        source = self.document.source if source is None else source
        builder = self._builder
        return self._load(source, builder.registry, builder.environment, self.stages)

    @classmethod
    def _load(
        cls,
        source: Source,
        registry: Registry,
        environment: Mapping[str, str],
        previous: Iterable[Stage] = (),
    ) -> Config:
        document = Document.read(source)
        problems = Problems(document)
        declarations = read(document.data, problems)
        builder = Builder(registry, environment, problems, previous)
        pipelines = _build(declarations, builder, problems)
        problems.raise_if_any()
        return cls(document, declarations, pipelines, builder)

    @property
    def secrets(self) -> Mapping[str, str]:
        """What the environment has put in, by the placeholders."""
        return self._builder.secrets

    def told(self, error: BaseException) -> str:
        """Tell an error that a stage raised, without what it may quote of the environment.

        Args:
            error: The error.
        """
        return told_safely(error, self.secrets)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, each once."""
        every = (stage for each in self.pipelines.values() for stage in each.stages)
        return tuple({id(stage): stage for stage in every}.values())

    def route_of(self, scope: Scope) -> RouteDeclaration | None:
        """Give the first route that matches a connection, if any does.

        Args:
            scope: The connection's scope.
        """
        return self._router.find(scope)

    def choose(self, scope: Scope) -> NamedPipeline | None:
        """Give the pipeline of a connection: its route's, or the default, if there is one.

        Args:
            scope: The connection's scope.
        """
        route = self._router.find(scope)
        name = self.default if route is None else route.pipeline
        return None if name is None else self.pipelines[name]

    def named(self, name: str | None = None) -> NamedPipeline:
        """Give the pipeline of a name; without one, the default.

        Args:
            name: The name.

        Raises:
            ConfigurationError: There is none of that name, or no default.
        """
        if name is None:
            name = self.default
        if name is not None and name in self.pipelines:
            return self.pipelines[name]
        problems = Problems(self.document)
        if name is None:
            problems.add(
                (), "has no default pipeline; name one of its pipelines", allowed=self.pipelines
            )
        else:
            problems.unknown((), "there is no pipeline", name, self.pipelines)
        raise ConfigurationError(problems)


def _build(
    declarations: Declarations, builder: Builder, problems: Problems
) -> dict[str, NamedPipeline]:
    inheritance = Inheritance(declarations.pipelines, problems)
    inherited = {name: inheritance.stages_of(name) for name in declarations.pipelines}
    written = [stage for each in declarations.pipelines.values() for stage in each.stages]
    built = {stage.path: builder.build(stage) for stage in written}
    pipelines: dict[str, NamedPipeline] = {}
    misplaced: set[KeyPath] = set()
    for name, stages in inherited.items():
        made = [stage for each in stages if (stage := built[each.path]) is not None]
        for position, stage in enumerate(made):
            path = stage.declaration.path
            if position and isinstance(stage.middleware, StateValidation) and path not in misplaced:
                misplaced.add(path)  # once, also where it is inherited
                problems.add(
                    path,
                    "must be the first stage, the closest to the server, "
                    f"which it is not in pipeline {name}; "
                    "it is always there, so leave it out where it has no options",
                )
        if not problems:
            pipeline = Pipeline(*(stage.middleware for stage in made))
            extends = declarations.pipelines[name].extends
            pipelines[name] = NamedPipeline(name, extends, tuple(made), pipeline)
    return pipelines
