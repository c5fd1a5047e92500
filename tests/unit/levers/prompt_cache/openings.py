"""Openings for tests, through the code that reads them from bodies."""

from __future__ import annotations

from typing import Any

from fivelevers.levers.prompt_cache.opening import Opening, opening_of
from fivelevers.request import Api, parse


def opening(system: Any = "", tools: Any = (), said: str = "Hello", **params: Any) -> Opening:
    """The opening of a Messages request."""
    body = {"system": system, "tools": list(tools), "messages": [{"role": "user", "content": said}], **params}
    return opening_of(body, parse(Api.MESSAGES, body))


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "description": f"Does {name}.", "input_schema": {"type": "object", "required": []}, **more}
