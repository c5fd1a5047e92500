"""Which tools a request offers, in the shapes of every API."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.tools import tools_of

SCHEMA = {"type": "object"}


@pytest.mark.parametrize(
    ("body", "tools"),
    [
        ({}, {}),
        ({"tools": "odd", "functions": [3, {}]}, {}),
        ({"tools": [{"type": "function", "function": {"name": "find", "parameters": SCHEMA}}]}, {"find": SCHEMA}),
        ({"tools": [{"type": "function", "function": {"name": "now"}}]}, {"now": {}}),
        ({"tools": [{"type": "function", "name": "find", "parameters": SCHEMA}]}, {"find": SCHEMA}),
        ({"tools": [{"name": "find", "input_schema": SCHEMA}]}, {"find": SCHEMA}),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, {"web_search": None}),
        ({"tools": [{"type": "web_search"}]}, {}),
        ({"tools": [{"type": "custom", "custom": {"name": "shell"}}]}, {"shell": None}),
        ({"functions": [{"name": "old", "parameters": SCHEMA}]}, {"old": SCHEMA}),
    ],
)
def test_the_tools_of_a_request(body: dict[str, Any], tools: dict[str, Any]) -> None:
    assert tools_of(body) == tools
