"""`wspipe schema`: the JSON Schema of a configuration, for editors."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from wspipe.cli.describing import descriptions_of, summary_of
from wspipe.cli.output import print_json
from wspipe.config import BrokenPlugin, Plugin, Registry
from wspipe.config.effective import Unsayable, said
from wspipe.config.keys import PIPELINE_KEYS, ROUTE_KEYS, STAGE_KEYS, TOP_KEYS
from wspipe.config.objects import USE
from wspipe.config.schemas import DEFINITIONS, reference_to

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_PLACE_SCHEMAS: Final = {
    name: {"type": "string", "description": meaning}
    for name, meaning in STAGE_KEYS.items()
    if name != USE
}
_OTHER_STAGE: Final = {
    "description": "A middleware that is not registered, by its reference.",
    "type": "object",
    "properties": {USE: reference_to("reference"), **_PLACE_SCHEMAS},
    "required": [USE],
}


def schema() -> None:
    """Print the JSON Schema of wspipe.toml, as it is with the installed middlewares."""
    print_json(schema_of(Registry.installed()))


def schema_of(registry: Registry) -> dict[str, Any]:
    """Give the JSON Schema of `wspipe.toml`, as it is with the installed middlewares.

    Args:
        registry: The middlewares. Those that are broken are left out.
    """
    stages = [stage for plugin in registry if (stage := _stage_schema(plugin)) is not None]
    # The name alone will do where no option must be given.
    names = [stage["properties"][USE]["const"] for stage in stages if stage["required"] == [USE]]
    text = {"type": "string"}
    stage = {"anyOf": [{"enum": names}, reference_to("reference"), *stages, _OTHER_STAGE]}
    return {
        "$schema": DIALECT,
        "title": "wspipe.toml",
        "description": "Pipelines of wspipe, and which connections get them.",
        **_table(
            TOP_KEYS,
            {
                "default": text,
                "pipelines": {"type": "object", "additionalProperties": reference_to("pipeline")},
                "routes": {"type": "array", "items": reference_to("route")},
                "$schema": text,
                "$sources": {"type": "object"},
            },
            required=["pipelines"],
        ),
        "$defs": {
            **DEFINITIONS,
            "pipeline": _table(
                PIPELINE_KEYS,
                {
                    "middlewares": {"type": "array", "items": stage},
                    "extends": text,
                    "without": {"type": "array", "items": text},
                },
            ),
            "route": _table(
                ROUTE_KEYS,
                {
                    "path": {**text, "pattern": "^/"},
                    "host": text,
                    "pipeline": text,
                    "cookies": {"type": "boolean"},
                },
                required=["path", "pipeline"],
            ),
        },
    }


def _table(
    keys: Mapping[str, str], schemas: dict[str, Any], required: Sequence[str] = ()
) -> dict[str, Any]:
    """Give the schema of a table with these keys and no others."""
    return {
        "type": "object",
        "properties": {
            name: {"description": meaning, **schemas[name]} for name, meaning in keys.items()
        },
        "required": [*required],
        "additionalProperties": False,
    }


def _stage_schema(plugin: Plugin) -> dict[str, Any] | None:
    try:
        middleware, options = plugin.middleware, plugin.options
    except BrokenPlugin:
        return None
    descriptions = descriptions_of(middleware)
    properties: dict[str, Any] = {USE: {"const": plugin.name}, **_PLACE_SCHEMAS}
    for name, option in options.items():
        properties[name] = option.kind.schema()
        if name in descriptions:
            properties[name]["description"] = descriptions[name]
        if not option.required:
            with suppress(Unsayable):
                properties[name]["default"] = said(option.default)
    return {
        "description": summary_of(middleware),
        "type": "object",
        "properties": properties,
        "required": [USE, *(name for name, option in options.items() if option.required)],
        "additionalProperties": False,
    }
