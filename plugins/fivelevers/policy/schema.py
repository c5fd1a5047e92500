"""The JSON Schema of the policy file, for editors: what the file may say, which is more than a policy holds."""

from __future__ import annotations

import copy
from typing import Any

from fivelevers.policy.model import Policy

_UNQUOTED = "YAML 1.1 reads a bare `off` and `on` as booleans, which mean the same here."


def json_schema() -> dict[str, Any]:
    """Draft 2020-12. Included files fit it too: they hold `routes` alone."""
    schema = Policy.model_json_schema()
    definitions, keys = schema["$defs"], schema["properties"]
    definitions["Mode"] = _or_boolean(definitions["Mode"], [False, True])
    content = definitions["Route"]["properties"]["content"]
    definitions["Route"]["properties"]["content"] = _or_boolean(content, [False])
    definitions["Defaults"] = _defaults(definitions["Route"])
    keys["defaults"] = _or_empty({"$ref": "#/$defs/Defaults"}, "What every route starts from, field by field.")
    keys["routes"] = _or_empty({key: keys["routes"][key] for key in ("type", "items")}, keys["routes"]["description"])
    keys["include"] = {
        "description": "Paths or globs, from this file's folder, of files with routes; these stand before `default`.",
        "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}, {"type": "null"}],
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "fivelevers policy"}


def _or_boolean(words: dict[str, Any], booleans: list[bool]) -> dict[str, Any]:
    about = f"{words.get('description', '')} {_UNQUOTED}".strip()
    return {**words, "enum": [*words["enum"], *booleans], "description": about, "type": ["string", "boolean"]}


def _or_empty(schema: dict[str, Any], description: str) -> dict[str, Any]:
    """A key with nothing behind it is as good as none."""
    return {"description": description, "anyOf": [schema, {"type": "null"}]}


def _defaults(route: dict[str, Any]) -> dict[str, Any]:
    """A route without name and match."""
    defaults = copy.deepcopy(route)
    for key in ("name", "match"):
        del defaults["properties"][key]
    del defaults["required"]
    return {**defaults, "title": "Defaults", "description": "A route without name and match."}
