"""A configuration with nothing left to look up: every option's value, and where it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, cast

from wspipe.config.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wspipe.config.building import Stage
    from wspipe.config.config import Config, NamedPipeline
    from wspipe.config.positions import KeyPath

_VARIABLE: Final = re.compile(r"(?<!\$)\$\{(\w+)\}")
_BITS: Final = 63
"""How many a whole number has in TOML, besides its sign."""


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an option.

    Args:
        name: The option.
        value: As a file says it, with placeholders for what the environment holds.
        origin: Where it came from.
    """

    name: str
    value: Any
    origin: str


class Unsayable(Exception):
    """A value is an object for which a file has no name."""


def values_of(config: Config, stage: Stage) -> Iterator[Value]:
    """Give the options of a stage, in the order of its class.

    A default that a file could not say, such as the system's clock, is left out.

    Args:
        config: The configuration that has the stage.
        stage: The stage.
    """
    written = stage.declaration.options
    for name, option in stage.options.items():
        if name in written:
            path = (*stage.declaration.path, name)
            yield Value(name, written[name], _origin(config, path, written[name]))
            continue
        try:
            yield Value(name, said(option.default), "default")
        except Unsayable:
            continue


def origin_of(config: Config, path: KeyPath) -> str:
    """Tell where something is written: the file and the line, or the key.

    Args:
        config: The configuration.
        path: The keys that lead there.
    """
    document = config.document
    position = document.position_of(path)
    return f"{document.name}:{position.line}" if position else f"{document.name}, {dotted(path)}"


def effective(config: Config, pipelines: Iterable[NamedPipeline] | None = None) -> dict[str, Any]:
    """Give a configuration that makes the same pipelines and says everything.

    Args:
        config: The configuration.
        pipelines: Which of its pipelines, without any routes; left out, all with the routes.

    Returns:
        A dictionary that `Config.load` takes. Under `$sources`, which that ignores, it tells where
        the values came from.
    """
    sources: dict[str, str] = {}
    tables: dict[str, Any] = {}
    for pipeline in config.pipelines.values() if pipelines is None else pipelines:
        tables[pipeline.name] = {"middlewares": []}
        for i, stage in enumerate(pipeline.stages):
            path = ("pipelines", pipeline.name, "middlewares", i)
            sources[dotted(path)] = origin_of(config, stage.declaration.path)
            table = {"use": stage.declaration.use}
            for each in values_of(config, stage):
                table[each.name] = each.value
                sources[dotted((*path, each.name))] = each.origin
            tables[pipeline.name]["middlewares"].append(table)
    whole: dict[str, Any] = {}
    if config.default in tables:
        whole["default"] = config.default
    whole["pipelines"] = tables
    if pipelines is None:
        whole["routes"] = [route.as_table() for route in config.routes]
    return {**whole, "$sources": sources}


def _origin(config: Config, path: KeyPath, value: Any) -> str:
    origin = origin_of(config, path)
    names = sorted(set(_variables(value)))
    return f"{origin}, environment {' and '.join(names)}" if names else origin


def _variables(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from _VARIABLE.findall(value)
    elif isinstance(value, Mapping):
        for each in cast("Mapping[str, Any]", value).values():
            yield from _variables(each)
    elif isinstance(value, list | tuple):
        for each in cast("Iterable[Any]", value):
            yield from _variables(each)


def said(value: Any) -> Any:
    """Say a Python value as a file does.

    Args:
        value: The default of an option.

    Raises:
        Unsayable: It is an object for which a file has no name.
    """
    if isinstance(value, int) and value.bit_length() > _BITS:
        raise Unsayable
    if isinstance(value, float) and not isfinite(value):
        raise Unsayable  # JSON has no such numbers
    if isinstance(value, str):
        return value.replace("${", "$${")
    if value is None or isinstance(value, int | float | bool):
        return value
    if isinstance(value, list | tuple):
        return [said(each) for each in cast("Iterable[Any]", value)]
    if isinstance(value, set | frozenset):
        items = map(said, cast("Iterable[Any]", value))
        return sorted(items, key=lambda item: (type(item).__name__, _comparable(item)))
    if isinstance(value, Mapping):
        table = cast("Mapping[object, Any]", value)
        return {str(key): said(each) for key, each in table.items()}
    raise Unsayable


def _comparable(item: Any) -> Any:
    return item if isinstance(item, int | float | str) else repr(item)
