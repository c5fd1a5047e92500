"""Which rows say whether an answer was good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fivelevers.audit.labels import label_in
from tests.unit.audit.logged import read_all, write


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, None),
        ({"outcome": "success"}, True),
        ({"metadata": {"outcome": "failure"}}, False),
        ({"metadata": '{"outcome": "success"}'}, True),
        ({"outcome": "unknown"}, None),
        ({"outcome": ["success"]}, None),
        ({"scores": [{"name": "correct", "value": 1, "dataType": "BOOLEAN"}]}, True),
        ({"scores": [{"value": 1, "data_type": "BOOLEAN"}, {"value": 0, "data_type": "BOOLEAN"}]}, False),
        ({"scores": [{"name": "ok", "value": False}]}, False),
        ({"scores": [{"name": "stars", "value": 1, "dataType": "NUMERIC"}]}, None),
        ({"scores": [{"name": "stars", "value": 1}]}, None),
        ({"scores": '[{"value": 1, "dataType": "BOOLEAN"}]'}, True),
        ({"scores": {"value": True}}, None),
        ({"scores": ["good", 1, None]}, None),
    ],
)
def test_label(row: dict[str, Any], said: bool | None) -> None:
    assert label_in(row) is said


def test_a_logged_call_has_its_label(tmp_path: Path) -> None:
    row = {
        "timestamp": 1.79e9,
        "request": {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hello?"}]},
        "response": {"usage": {"prompt_tokens": 9, "completion_tokens": 1}},
    }
    (silent, good), _ = read_all(write(tmp_path / "log.jsonl", [row, {**row, "outcome": "success"}]))
    assert (silent.good, good.good) == (None, True)
