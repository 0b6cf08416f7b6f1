"""What a configuration declares, in its shape only: pipelines, their stages, routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

from wspipe.config.keys import PIPELINE_KEYS, ROUTE_KEYS, STAGE_KEYS, TOP_KEYS
from wspipe.config.objects import USE
from wspipe.config.patterns import HostPattern, PathPattern, PatternError
from wspipe.config.problems import shown

if TYPE_CHECKING:
    from wspipe.config.positions import KeyPath
    from wspipe.config.problems import Problems

Place: TypeAlias = Literal["before", "after", "replace"]

_SAMPLE: Final = "any-name-that-nobody-gives"
PLACES: Final[tuple[Place, ...]] = ("before", "after", "replace")


@dataclass(frozen=True, slots=True)
class StageDeclaration:
    """A stage as it is written.

    Args:
        use: The middleware: a registered name, or a reference.
        options: Its options, as written.
        pipeline: The pipeline in which it is written.
        path: Where.
        place: How it stands to another stage, `None` for behind all so far.
        other: That other stage's `use`.
    """

    use: str
    options: Mapping[str, Any]
    pipeline: str
    path: KeyPath
    place: Place | None = None
    other: str = ""


@dataclass(frozen=True, slots=True)
class PipelineDeclaration:
    """A pipeline as it is written.

    Args:
        name: Its name.
        path: Where.
        extends: The pipeline whose stages come first, if any.
        without: The `use` of those that it leaves out.
        stages: Its own.
        complete: Whether nothing was left out because it is wrong.
    """

    name: str
    path: KeyPath
    extends: str | None
    without: tuple[str, ...]
    stages: tuple[StageDeclaration, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class RouteDeclaration:
    """A route as it is written.

    Args:
        path: The pattern of the path.
        host: The pattern of the host, `None` for any.
        pipeline: The name of the pipeline.
        cookies: Whether the application behind it believes cookies.
        at: Where.
    """

    path: PathPattern
    host: HostPattern | None
    pipeline: str
    cookies: bool
    at: KeyPath

    def covers(self, other: RouteDeclaration) -> bool:
        """Tell whether it surely matches whatever the other one matches."""
        if self.host is not None and (other.host is None or not self.host.covers(other.host)):
            return False
        return self.path.covers(other.path)

    @property
    def sample(self) -> dict[str, Any]:
        """The scope of a connection that it takes, and that few other routes do."""
        path = self.path.shape.replace("{}", _SAMPLE).replace("*", _SAMPLE)
        host = "" if self.host is None else self.host.host
        if self.host is not None and self.host.is_wildcard:
            host = f"{_SAMPLE}.{host}"
        return {"path": path, "headers": [(b"host", host.encode("latin-1", "replace"))]}

    def as_table(self) -> dict[str, Any]:
        """Give it as a file has it."""
        table: dict[str, Any] = {"path": self.path.text, "pipeline": self.pipeline}
        if self.host is not None:
            table["host"] = self.host.text
        if self.cookies:
            table["cookies"] = True
        return table


@dataclass(frozen=True, slots=True)
class Declarations:
    """A whole configuration as it is written."""

    default: str | None
    pipelines: Mapping[str, PipelineDeclaration]
    routes: tuple[RouteDeclaration, ...]


def read(data: Mapping[str, Any], problems: Problems) -> Declarations:
    """Read the shape of a configuration.

    Args:
        data: The tables.
        problems: Where to note what is wrong; what is wrong is left out of the result.
    """
    reader = _Reader(problems)
    top = reader.table(data, (), "the configuration has no key", TOP_KEYS)
    tables = reader.named_tables(top.get("pipelines", {}), ("pipelines",))
    pipelines = {name: reader.pipeline(name, table) for name, table in tables.items()}
    default = reader.text(top, "default", (), optional=True)
    routes = reader.array(top, "routes", (), "tables [[routes]]")
    declared = [reader.route(each, ("routes", i)) for i, each in enumerate(routes)]
    if not tables and not problems:
        problems.add((), "there is no pipeline; give one, as a table such as [pipelines.main]")
    named: list[tuple[str | None, KeyPath]] = [(default, ("default",))]
    named += [(route.pipeline, (*route.at, "pipeline")) for route in declared if route]
    for name, path in named if tables else ():
        if name is not None and name not in tables:
            problems.unknown(path, "there is no pipeline", name, tables)
    return Declarations(default, pipelines, tuple(route for route in declared if route))


class _Reader:
    """Takes values of the right shape, and notes those of another."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def pipeline(self, name: str, value: Any) -> PipelineDeclaration:
        path: KeyPath = ("pipelines", name)
        before = len(self.problems)
        table = self.table(value, path, "a pipeline has no key", PIPELINE_KEYS)
        stages = self.array(table, "middlewares", path, "names and tables")
        declared = [
            self.stage(each, name, (*path, "middlewares", i)) for i, each in enumerate(stages)
        ]
        without = self.array(table, "without", path, "names of middlewares")
        names = [self.text({i: each}, i, (*path, "without")) for i, each in enumerate(without)]
        return PipelineDeclaration(
            name,
            path,
            self.text(table, "extends", path, optional=True),
            tuple(each for each in names if each is not None),
            tuple(each for each in declared if each),
            complete=len(self.problems) == before,
        )

    def stage(self, value: Any, pipeline: str, path: KeyPath) -> StageDeclaration | None:
        if isinstance(value, str):
            return StageDeclaration(value, {}, pipeline, path)
        if not isinstance(value, Mapping):
            self.problems.add(
                path,
                f"must be the name of a middleware, or a table with {USE}, not {shown(value)}",
                given=value,
            )
            return None
        table = self.table(value, path)
        use = self.text(table, USE, path)
        places: list[Place] = [place for place in PLACES if place in table]
        others = [self.text(table, place, path) for place in places]
        if len(places) > 1:
            self.problems.add(path, f"has {' and '.join(places)}; a stage has one place only")
        if use is None or None in others:
            return None
        options = {key: each for key, each in table.items() if key not in STAGE_KEYS}
        place, other = (places[0], others[0] or "") if places else (None, "")
        return StageDeclaration(use, options, pipeline, path, place, other)

    def route(self, value: Any, path: KeyPath) -> RouteDeclaration | None:
        table = self.table(value, path, "a route has no key", ROUTE_KEYS)
        if not table and value != {}:
            return None
        cookies = table.get("cookies", False)
        if not isinstance(cookies, bool):
            self.problems.add(
                (*path, "cookies"), f"must be true or false, not {shown(cookies)}", given=cookies
            )
        found = self.pattern(table, path)
        host = self.host(table, path)
        pipeline = self.text(table, "pipeline", path)
        if found is None or pipeline is None:
            return None
        return RouteDeclaration(found, host, pipeline, cookies is True, path)

    def pattern(self, table: Mapping[str, Any], path: KeyPath) -> PathPattern | None:
        text = self.text(table, "path", path)
        try:
            return None if text is None else PathPattern.parse(text)
        except PatternError as error:
            self.problems.add((*path, "path"), str(error), given=text)
            return None

    def host(self, table: Mapping[str, Any], path: KeyPath) -> HostPattern | None:
        text = self.text(table, "host", path, optional=True)
        try:
            return None if text is None else HostPattern.parse(text)
        except PatternError as error:
            self.problems.add((*path, "host"), str(error), given=text)
            return None

    # Shapes.

    def table(
        self, value: Any, path: KeyPath, unknown: str = "", keys: Iterable[str] = ()
    ) -> Mapping[str, Any]:
        """Take a table; where its keys are given, it has no others."""
        if not isinstance(value, Mapping):
            self.problems.add(path, f"must be a table, not {shown(value)}", given=value)
            return {}
        table = cast("Mapping[object, Any]", value)
        for key in table:
            if not isinstance(key, str):
                self.problems.add(path, f"has the key {key!r}, which must be a text", given=key)
            elif keys and key not in keys:
                allowed = [each for each in keys if not each.startswith("$")]
                self.problems.unknown((*path, key), unknown, key, allowed)
        return {key: each for key, each in table.items() if isinstance(key, str)}

    def named_tables(self, value: Any, path: KeyPath) -> Mapping[str, Any]:
        if isinstance(value, list):
            self.problems.add(
                path,
                "must be a table, with brackets as in [pipelines.main]",
                given=cast("Any", value),
            )
            return {}
        table = self.table(value, path)
        for name in table:
            if not name.strip():
                self.problems.add((*path, name), "a pipeline needs a name that is not empty")
        return table

    def array(self, table: Mapping[str, Any], key: str, path: KeyPath, what: str) -> list[Any]:
        value = table.get(key, [])
        if isinstance(value, list | tuple):
            return list(cast("list[Any]", value))
        self.problems.add(
            (*path, key), f"must be an array of {what}, not {shown(value)}", given=value
        )
        return []

    def text(
        self, table: Mapping[Any, Any], key: str | int, path: KeyPath, *, optional: bool = False
    ) -> str | None:
        value = table.get(key)
        if isinstance(value, str):
            return value
        if key in table:
            self.problems.add((*path, key), f"must be a text, not {shown(value)}", given=value)
        elif not optional:
            self.problems.add(path, f"has no {key}, which must be given")
        return None
