"""The tools that a request offers a model, whatever API it came through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def tools_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameter schema of each tool of a request, by name; None where it has none (a provider's own, free text)."""
    found: dict[str, Any] = {}
    for given in [*_list(body.get("tools")), *_list(body.get("functions"))]:
        # Chat nests it under `function` or `custom`; Messages calls the schema `input_schema`.
        outer = _mapping(given)
        tool = _mapping(outer.get("function") or outer.get("custom")) or outer
        if isinstance(tool.get("name"), str):
            schema = tool.get("parameters", tool.get("input_schema"))
            found[tool["name"]] = {} if schema is None and outer.get("type") == "function" else schema
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
