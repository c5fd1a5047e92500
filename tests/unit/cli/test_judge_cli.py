"""`fivelevers judge check`: what it counts, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from fivelevers.cli import app

PLAIN = [
    {"question": "price?", "a": "It costs $29.", "b": "it costs **$29**", "same": True},
    {"question": "price?", "a": "It costs $29 a month", "b": "It costs $39 a month", "same": False},
    {"question": "when?", "a": "Parcels arrive on Tuesday", "b": "We love cheese", "same": False},
]


def run(tmp_path: Path, rows: list[dict[str, object]], *arguments: str) -> tuple[int, str]:
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(app, ["judge", "check", "--labels", str(labels), *arguments], env={"COLUMNS": "100"})
    return done.exit_code, done.output


def test_agreement_is_told_and_what_stays_open(tmp_path: Path) -> None:
    code, told = run(tmp_path, PLAIN)
    assert code == 0
    assert "Left open: 1 of 3 pairs." in told
    assert "100.0%" in told


def test_a_judge_that_disagrees_fails(tmp_path: Path) -> None:
    code, told = run(tmp_path, [{**PLAIN[0], "same": False}, *PLAIN[1:]])
    assert code == 1
    assert "50.0%" in told


def test_bad_input_is_named(tmp_path: Path) -> None:
    code, told = run(tmp_path, [{"a": "x"}])
    assert (code, "labels.jsonl:1" in told.replace("\n", "")) == (2, True)
    code, told = run(tmp_path, PLAIN, "--model", "cheap")
    assert (code, "--url: is missing" in told) == (2, True)
