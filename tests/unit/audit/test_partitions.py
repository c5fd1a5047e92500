"""A log in partitions, each audited by itself: where the sums are those of the whole, and what another cut loses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fivelevers.cli import app

START = 1.79e9
SYSTEM = "You run the front desk of a small music school. " * 200
# Two routes on one model with one system prompt, one on a model of its own, and one that two models answer.
MODELS = {
    "desk": ["claude-sonnet-4-5"],
    "agent": ["claude-sonnet-4-5"],
    "nightly-eval": ["claude-haiku-4-5"],
    "triage": ["gpt-4.1", "gpt-4.1-mini"],
}


def log() -> list[dict[str, Any]]:
    """Three days: conversations, questions asked again, bursts that nobody waits for, answers with a label."""
    rng, rows = random.Random(3), []
    for number in range(700):
        alias = rng.choices(list(MODELS), [4, 4, 2, 3])[0]
        model = rng.choice(MODELS[alias])
        at = START + rng.randrange(3 * 86_400) if alias != "nightly-eval" else START + 40_000 + number / 10
        question = f"Question {rng.randrange(60)} of the day?"
        body = {
            "model": model, "temperature": 0, "stream": alias == "agent", "max_tokens": 300,
            "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}],
        }  # fmt: skip
        usage = {"prompt_tokens": 2500, "completion_tokens": rng.randrange(20, 400)}
        answer = {"choices": [{"message": {"content": "At ten."}, "finish_reason": "stop"}], "usage": usage}
        rows.append(
            {
                "timestamp": at,
                "end_time": at + 3,
                "model_group": alias,
                "team": rng.choice(["north", "south"]),
                "session_id": f"s{number % 90}",
                "outcome": "success" if rng.random() < 0.9 else "failure",
                "request": json.dumps(body),
                "response": json.dumps({**answer, "model": model}),
                "day": int(at // 86_400),
            }
        )
    return rows


def audit(path: Path) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["audit", str(path), "--json"])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module", autouse=True)
def _without_similar_questions() -> Any:
    """At most 5,000 of them are drawn of each log, so each part draws its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fivelevers.providers.minilm.installed", lambda: False)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("whole") / "log.parquet"
    pq.write_table(pa.Table.from_pylist(log()), path)
    return audit(path)


def parts(folder: Path, key: Callable[[dict[str, Any]], object]) -> list[dict[str, Any]]:
    """The same log, partitioned by what ``key`` gives, as an engine writes it; an audit of each."""
    table = pa.Table.from_pylist([{**row, "part": str(key(row))} for row in log()])
    pq.write_to_dataset(table, folder, partition_cols=["part"])
    found = sorted(folder.iterdir())
    assert len(found) > 1
    return [audit(path) for path in found]


def lines(audits: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
    """By route and model. What is told for a month depends on the time that a log spans, so it is left out."""
    return {(line["route"], line["model"]): _without_months(line) for one in audits for line in one["lines"]}


def _without_months(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_months(inner) for name, inner in value.items() if "_a_month_" not in name}
    return [_without_months(inner) for inner in value] if isinstance(value, list) else value


def wasted(audits: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(_without_months(line)) for one in audits for line in one["waste"])


def saved(audits: list[dict[str, Any]]) -> dict[str, list[Decimal]]:
    """By lever, the ends of what it takes off."""
    sums: dict[str, list[Decimal]] = {}
    for step in (step for one in audits for step in one["in_order"]["all"]["steps"]):
        low, high = map(Decimal, step["saving_usd"] or (0, 0))
        before = sums.setdefault(step["lever"], [Decimal(0), Decimal(0)])
        sums[step["lever"]] = [before[0] + low, before[1] + high]
    return sums


def test_parts_that_keep_models_and_routes_together_sum_to_the_whole(tmp_path: Path, whole: dict[str, Any]) -> None:
    together = {model: models[0] for models in MODELS.values() for model in models}
    found = parts(tmp_path / "parts", lambda row: together[json.loads(row["request"])["model"]])
    assert len(found) == 3
    assert lines(found) == lines([whole])
    assert sum(one["calls"] for one in found) == whole["calls"] == 700
    for lever, ends in saved([whole]).items():
        assert saved(found)[lever] == pytest.approx(ends, abs=Decimal("3e-6")), lever
    assert saved([whole])["prompt_cache"][0] > 0
    assert saved([whole])["semantic_cache"][0] > 0
    assert saved([whole])["batch"][1] > 0
    for name in ("paid_usd", "held_out_usd", "left_usd"):
        *of_parts, of_all = ([Decimal(end) for end in one["in_order"]["all"][name]] for one in (*found, whole))
        sums = [sum(ends, Decimal(0)) for ends in zip(*of_parts, strict=True)]
        assert sums == pytest.approx(of_all, abs=Decimal("9e-6")), name
    assert wasted(found) == wasted([whole])
    assert wasted(found)


def test_parts_by_route_alone_lose_what_routes_share(tmp_path: Path, whole: dict[str, Any]) -> None:
    """The system prompt that two of them send to one model is then written for each. Lever 2 stays exact."""
    found = parts(tmp_path / "parts", lambda row: row["model_group"])
    assert saved(found)["prompt_cache"][0] < saved([whole])["prompt_cache"][0]
    by_line, of_all = lines(found), lines([whole])
    assert set(by_line) == set(of_all)
    for key, line in of_all.items():
        assert by_line[key]["projections"]["semantic_cache"]["same"] == line["projections"]["semantic_cache"]["same"]


def test_parts_by_day_lose_what_goes_on_overnight(tmp_path: Path, whole: dict[str, Any]) -> None:
    found = parts(tmp_path / "parts", lambda row: row["day"])
    same = sum(line["projections"]["semantic_cache"]["same"] for one in found for line in one["lines"])
    assert same < sum(line["projections"]["semantic_cache"]["same"] for line in whole["lines"])
