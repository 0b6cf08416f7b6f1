"""`wspipe schema`: the JSON Schema of a configuration, for editors."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from wspipe.cli.describing import descriptions_of, summary_of
from wspipe.cli.output import print_json
from wspipe.config import BrokenPlugin, Plugin, Registry
from wspipe.config.effective import Unsayable, said
from wspipe.config.objects import USE
from wspipe.config.schemas import DEFINITIONS, reference_to

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_PLACES: Final = {
    "before": "Put it before the stage so far that is named alike, closer to the server.",
    "after": "Put it after that stage, closer to the application.",
    "replace": "Put it in the place of that stage.",
}
_PLACE_SCHEMAS: Final = {
    name: {"type": "string", "description": description} for name, description in _PLACES.items()
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
    texts = {"type": "array", "items": {"type": "string"}}
    return {
        "$schema": DIALECT,
        "title": "wspipe.toml",
        "description": "Pipelines of wspipe, and which connections get them.",
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            "$sources": {"type": "object"},
            "default": {
                "description": "The pipeline of connections that no route matches.",
                "type": "string",
            },
            "pipelines": {
                "description": "The pipelines by their names.",
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/pipeline"},
            },
            "routes": {
                "description": "Which connections get which pipeline; the first match wins.",
                "type": "array",
                "items": {"$ref": "#/$defs/route"},
            },
        },
        "required": ["pipelines"],
        "additionalProperties": False,
        "$defs": {
            **DEFINITIONS,
            "pipeline": {
                "type": "object",
                "properties": {
                    "extends": {
                        "description": "The pipeline whose stages come first.",
                        "type": "string",
                    },
                    "without": {**texts, "description": "Stages of it to leave out."},
                    "middlewares": {
                        "description": "The stages, the first closest to the server.",
                        "type": "array",
                        "items": {
                            "anyOf": [
                                {"enum": names},
                                reference_to("reference"),
                                *stages,
                                _OTHER_STAGE,
                            ]
                        },
                    },
                },
                "additionalProperties": False,
            },
            "route": {
                "type": "object",
                "properties": {
                    "path": {
                        "description": "The path: {name} stands for a segment, * for anything.",
                        "type": "string",
                        "pattern": "^/",
                    },
                    "host": {
                        "description": "The host: a name, or *. and a name.",
                        "type": "string",
                    },
                    "pipeline": {"description": "The pipeline's name.", "type": "string"},
                    "cookies": {
                        "description": "Whether the application behind it believes cookies.",
                        "type": "boolean",
                    },
                },
                "required": ["path", "pipeline"],
                "additionalProperties": False,
            },
        },
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
