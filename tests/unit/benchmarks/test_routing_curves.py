"""The curves' figures are those of cases that can be reckoned by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.rig.routing_curves import Ranking, aiq, figures
from benchmarks.rig.routing_data import USD_PER_MILLION, load
from fivelevers.levers.routing.examples import Examples
from fivelevers.levers.routing.features import features_of


def truth() -> Examples:
    """Ten prompts; the strong model alone is right on the first four, both on the others. It costs tenfold."""
    success = np.array([[0.0, 1.0]] * 4 + [[1.0, 1.0]] * 6)
    return Examples(
        ("weak", "strong"), [features_of("")] * 10, ["all"] * 10, np.ones(10), success, np.full((10, 2), [1.0, 10.0])
    )


def test_who_knows_reaches_all_with_four_calls() -> None:
    score = np.arange(10, 0, -1.0)
    found = figures(truth(), Ranking(score, score))
    assert found["apgr"] == pytest.approx(0.1 * (0.125 + 0.375 + 0.625 + 0.875 + 6))
    assert (found["cpt50"], found["cpt80"]) == (20, 40)
    assert found["save100"] == found["save95"] == pytest.approx(100 - (4 * 10 + 6 * 1))


def test_who_is_always_wrong_needs_all_calls() -> None:
    score = np.arange(10.0)
    found = figures(truth(), Ranking(score, score), without_usd=200.0)
    assert found["cpt80"] == 100
    assert found["save100"] == pytest.approx(50)


def test_aiq_is_the_mean_height_of_the_hull() -> None:
    costs = np.array([0.0, 1.0])
    assert aiq(np.array([[0.0, 0.5], [1.0, 0.9]]), costs) == pytest.approx(0.7)
    assert aiq(np.array([[0.0, 0.5], [0.5, 0.6], [1.0, 0.9]]), costs) == pytest.approx(0.7)  # below the line
    assert aiq(np.array([[0.0, 0.5], [0.5, 0.9], [1.0, 0.8]]), costs) == pytest.approx(0.8, abs=1e-3)


def test_a_file_is_read_and_what_nobody_answered_is_left_out(tmp_path: Path) -> None:
    rows = [
        {"prompt": "1 + 1?", "domain": "sums", "correct": {"mixtral-8x7b": 1, "gpt-4-1106": 1}},
        {"prompt": "seen", "domain": "sums", "contaminated": True, "correct": {"mixtral-8x7b": 1, "gpt-4-1106": 1}},
        {"prompt": "half", "domain": "sums", "correct": {"mixtral-8x7b": 1}},
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = load(path, ["mixtral-8x7b", "gpt-4-1106"], USD_PER_MILLION)
    assert (found.texts, found.left_out) == (["1 + 1?"], 2)
    assert found.examples.cost_usd[0] == pytest.approx([2.5 * 0.24e-6, 2.5 * 24.7e-6])
    with pytest.raises(ValueError, match="no row that nobody"):
        load(path, ["nobody"], USD_PER_MILLION)
    with pytest.raises(ValueError, match="give --price gpt-4-1106=INPUT/OUTPUT"):
        load(path, ["gpt-4-1106"], {})
