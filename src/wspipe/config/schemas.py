"""The JSON Schema of what an option takes."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wspipe.config.objects import USE
from wspipe.config.references import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable

DEFINITIONS: Final[dict[str, Any]] = {
    "placeholder": {
        "description": "A value from the environment.",
        "type": "string",
        "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}",
    },
    "reference": {
        "description": "What Python code has, as module:attribute.",
        "type": "string",
        "pattern": REFERENCE,
    },
    "object": {
        "description": "An object of the class that `use` names, made with the other keys.",
        "type": "object",
        "properties": {USE: {"$ref": "#/$defs/reference"}},
        "required": [USE],
    },
}
"""What the schemas of options refer to, in the `$defs` of a whole JSON Schema."""


_LEFT: Final = {"title", "default", "uniqueItems"}
"""Keywords that are left out. A file may say twice what is in a set."""


def reference_to(name: str) -> dict[str, str]:
    """Refer to one of the `DEFINITIONS` in a schema."""
    return {"$ref": f"#/$defs/{name}"}


NAMED: Final = [reference_to("reference"), reference_to("object")]
"""How a file names an object."""


def schemas_of(data: Any) -> list[dict[str, Any]]:
    """Give the JSON Schemas of a type, of which a value has to fit one.

    Args:
        data: What msgspec can make of a file's value.
    """
    schema = msgspec.json.schema(data, schema_hook=_schema_of_object)
    return _adapted(schema, schema.pop("$defs", {}))


def _schema_of_object(kind: type[Any]) -> dict[str, Any]:
    return {"type": "string"} if issubclass(kind, PurePath) else {"anyOf": NAMED}


def any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    """Make one schema of several.

    Args:
        schemas: Of which a value has to fit one.
    """
    different = [each for i, each in enumerate(schemas) if each not in schemas[:i]]
    return different[0] if len(different) == 1 else {"anyOf": different}


def _adapted(
    schema: Any, definitions: dict[str, Any], within: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    """Put definitions where they are referred to, and let the environment stand for scalars."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name in within:
        return [{}]  # it contains itself, without end
    if name in definitions:
        return _adapted(definitions[name], definitions, (*within, name))
    if "anyOf" in schema:
        return [each for one in schema["anyOf"] for each in _adapted(one, definitions, within)]

    def one(inner: Any) -> Any:
        return any_of(_adapted(inner, definitions, within)) if isinstance(inner, dict) else inner

    adapted = {key: _inside(key, value, one) for key, value in schema.items() if key not in _LEFT}
    # Of what is in it msgspec says nothing where that may be any object.
    if adapted == {"type": "array"}:
        adapted["items"] = any_of(NAMED)
    elif adapted == {"type": "object"}:
        adapted["additionalProperties"] = any_of(NAMED)
    if adapted in ({}, {"type": "string"}) or adapted.get("type") in {"array", "object", "null"}:
        return [adapted]
    return [adapted] if "$ref" in adapted else [adapted, reference_to("placeholder")]


def _inside(key: str, value: Any, one: Callable[[Any], Any]) -> Any:
    match key:
        case "items" | "additionalProperties":
            return one(value)
        case "prefixItems":
            return [one(each) for each in value]
        case "properties":
            return {name: one(each) for name, each in value.items()}
        case _:
            return value
