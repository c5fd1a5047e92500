"""The audit's page: drawn from what `--json` prints, for any log; names from logs are text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.pages.audit_page import audit_page
from tests.unit.audit.logged import write
from tests.unit.pages.test_markup import Read
from tests.unit.pages.test_report_page import HOSTILE

LOG = str(Path(__file__).parents[3] / "examples/logs/requests.jsonl.gz")


def audited(tmp_path: Path, *arguments: str) -> tuple[dict[str, Any], Read]:
    page = tmp_path / "audit.html"
    result = CliRunner().invoke(app, ["audit", *arguments, "--json", "--html", str(page)])
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout), Read(page.read_text())


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Read]:
    return audited(tmp_path_factory.mktemp("page"), LOG)


def test_the_page_says_what_could_be_saved(example: tuple[Mapping[str, Any], Read]) -> None:
    _, page = example
    assert "a month could be saved" in page.text
    for title in ("Cost over time", "How soon a prefix is seen again", "Where like prompts part"):
        assert title in page.text
    assert not {"script", "link", "img"} & set(page.names)


def test_what_it_draws_is_in_the_json(example: tuple[Mapping[str, Any], Read]) -> None:
    record, _ = example
    paid = sum(float(one["cost_usd"]) for one in record["spent"]["steps"])
    assert paid == pytest.approx(sum(float(line["cost_usd"]) for line in record["lines"]))
    gaps = {one["route"]: one for one in record["reuse_gaps"]}
    assert 0 < sum(gaps["coding-agent"]["again"].values()) <= gaps["coding-agent"]["visits"]


def test_a_lever_that_does_not_pay_on_a_route_is_not_counted_there(example: tuple[Mapping[str, Any], Read]) -> None:
    record, page = example
    losing = [one for one in record["lines"] if one["route"] == "support-assistant"]
    assert float(losing[0]["projections"]["prompt_cache"]["saving_usd"][1]) < 0
    in_order = {"all": record["in_order"]["routes"]["support-assistant"]}
    alone = Read(audit_page({**record, "lines": losing, "in_order": in_order}))
    assert "is shown to be saved" in alone.text
    assert "could be saved" in page.text


def test_a_month_is_the_records_own(example: tuple[Mapping[str, Any], Read]) -> None:
    record, page = example
    lines = [
        {**one, "cost_a_month_usd": "1234.5", "projections": {"semantic_cache": {}}} for one in record["lines"][:1]
    ]
    in_order = {"all": {**record["in_order"]["all"], "steps": [], "held_out_a_month_usd": None}}
    alone = Read(audit_page({**record, "lines": lines, "in_order": in_order}))
    assert "Nothing of $1,234.50 a month is shown to be saved" in alone.text
    first = record["lines"][0]
    rate = 30 * 86_400 / record["period"]["seconds"]
    assert float(first["cost_a_month_usd"]) == pytest.approx(float(first["cost_usd"]) * rate)
    assert f"${sum(float(one['cost_a_month_usd']) for one in record['lines']):,.2f} a month could be saved" in page.text


def test_the_share_that_may_be_wrong_is_the_records_own(example: tuple[Mapping[str, Any], Read]) -> None:
    record, _ = example
    curve = [[0.8, 0.5, 0.2, 0.8], [0.9, 0.4, 0.1, 0.7]]
    similar = {"looked_at": 9, "alone": 1, "hits": 2, "by_similarity": curve, "max_wrong": 0.07,
               "judged_hits_needed": [42, 99], "days_to_judge_them": None}  # fmt: skip
    lines = [{**record["lines"][0], "projections": {"semantic_cache": {"similar": similar}}}]
    assert "that at most 7 % of such answers are wrong" in Read(audit_page({**record, "lines": lines})).text


def row(at: float, alias: str, text: str) -> dict[str, Any]:
    body = {"model": alias, "messages": [{"role": "user", "content": text}]}
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
              "usage": {"prompt_tokens": 100, "completion_tokens": 10}}  # fmt: skip
    return {"timestamp": 1.79e9 + at, "request": body, "response": answer}


def test_names_and_places_from_a_log_are_text(tmp_path: Path) -> None:
    log = write(tmp_path / "<b>log.jsonl", [row(0, HOSTILE, "hi"), row(9000, HOSTILE, "there"), {"odd": 1}])
    _, page = audited(tmp_path, str(log))
    assert HOSTILE in page.text
    assert "<b>log.jsonl" in page.text
    assert not {"script", "img", "b"} & set(page.names)


def test_labels_put_cost_per_token_beside_cost_per_good_answer(tmp_path: Path) -> None:
    rows = [row(3600.0 * n, "gpt-4.1", "hi") | {"outcome": "failure" if n % 8 == 0 else "success"} for n in range(40)]
    _, page = audited(tmp_path, str(write(tmp_path / "labelled.jsonl", rows)))
    assert "A token, and a good answer" in page.text
    assert "of 40 that the logs label" in page.text
    each = 1000 * (100 * 2e-6 + 10 * 8e-6) * 40 / 35
    assert f"${each:.4f}" in page.text


def test_logs_without_a_call_say_so(tmp_path: Path) -> None:
    _, page = audited(tmp_path, str(write(tmp_path / "odd.jsonl", [{"odd": 1}])))
    assert "No usable call is in these logs" in page.text


def test_a_log_of_one_moment_has_no_month(tmp_path: Path) -> None:
    _, page = audited(tmp_path, str(write(tmp_path / "one.jsonl", [row(0, "gpt-4.1", "hi")])))
    assert "in this log" in page.text


@pytest.mark.parametrize("by", ["model", "team", "key"])
def test_other_groups(tmp_path: Path, by: str) -> None:
    _, page = audited(tmp_path, LOG, "--by", by)
    assert f"by {by}" in page.text
