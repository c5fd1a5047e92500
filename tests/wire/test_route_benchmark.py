"""`fivelevers route benchmark` on the simulated tiers, with fit, certify and show; killed and gone on with; batched."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.cli.report_reading import read_lines
from fivelevers.metering.report import GroupBy
from tests.wire import sums
from tests.wire.batching import CLAUDE, MINI, takes
from tests.wire.proxy import ACME, Proxy, wait_for
from tests.wire.test_endpoints_admin import ADMIN

PICO = Decimal(10) ** 12
SMALL, LARGE = "ticket-pipeline", "support-assistant"
NAMES = {SMALL: "openai/gpt-4.1-nano", LARGE: "openai/gpt-4.1"}
CHECK = ("--python", "tests.wire.sums:right")


def words(
    proxy: Proxy,
    prompts: Path,
    out: Path,
    *more: str,
    models: str = f"{SMALL},{LARGE}",
    key: str = ACME,
    route: str = "sums",
) -> list[str]:
    way = ("--proxy", proxy.stack.litellm_url, "--key", key, "--models", models)
    return ["route", "benchmark", "--route", route, *way, "--prompts", str(prompts), "--out", str(out), "--yes", *more]


def run(words: Sequence[str]) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "100"})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_benchmark_fit_certify_show(quiet: Proxy, tmp_path: Path) -> None:
    out, artifact = tmp_path / "labelled.jsonl", tmp_path / "sums.route"
    prompts = sums.write(tmp_path / "prompts.jsonl", 60, 1)
    done = run(words(quiet, prompts, out, *CHECK, "--json"))
    assert done.exit_code == 0, done.output
    assert "120 calls of ticket-pipeline, support-assistant." in done.stderr
    told = json.loads(done.stdout)
    assert (told["calls"], told["labelled"], set(told["models"])) == (120, 60, set(NAMES.values()))
    assert told["models"][NAMES[SMALL]]["right"] < told["models"][NAMES[LARGE]]["right"]
    fitted = run(["route", "fit", str(out), "--out", str(artifact), "--json"])
    assert fitted.exit_code == 1, fitted.output  # 60 prompts prove nothing
    assert json.loads(fitted.stdout)["verdict"] != "route"
    assert all(set(one["answers"]) == set(NAMES.values()) and all(one["answers"].values()) for one in lines(out))
    looks = tmp_path / "sums.cascade"
    scorer = run(["route", "fit", str(out), "--cascade", NAMES[SMALL], "--out", str(looks), "--json"])
    assert scorer.exit_code == 1, scorer.output
    told = json.loads(scorer.stdout)
    assert (told["kind"], told["strong"], told["fitted_on"] + told["tested"] > 40) == ("cascade", NAMES[LARGE], True)
    later = tmp_path / "later.jsonl"
    assert run(words(quiet, sums.write(tmp_path / "more.jsonl", 20, 2), later, *CHECK)).exit_code == 0
    again = run(["route", "certify", str(artifact), str(later), "--out", str(artifact)])
    assert "accuracy_delta" in again.stdout, again.output
    assert "Holds for openai/gpt-4.1 at $2 in, $8 out" in run(["route", "show", str(artifact)]).stdout


def test_a_judge_with_a_rubric_labels_and_is_held_against_people(quiet: Proxy, tmp_path: Path) -> None:
    """The simulator is no judge: what it says is no verdict, so nothing is labelled, and that is told."""
    rubric, labels = tmp_path / "rubric.txt", tmp_path / "labels.jsonl"
    rubric.write_text("It passes if the sum is right.")
    labels.write_text(json.dumps({"prompt": "What is 2 + 2?", "answer": "4", "right": True}) + "\n")
    judging = ("--judge", "handbook-rag", "--rubric", str(rubric), "--labels", str(labels), "--json")
    done = run(words(quiet, sums.write(tmp_path / "p.jsonl", 3, 3), tmp_path / "out.jsonl", *judging))
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["asked"], told["labelled"], told["judge"]["decided"]) == (3, 0, 0)
    assert 7 < told["calls"] <= 13


def test_killed_in_the_middle_it_goes_on_and_asks_nothing_twice(quiet: Proxy, tmp_path: Path) -> None:
    out, prompts = tmp_path / "labelled.jsonl", sums.write(tmp_path / "prompts.jsonl", 80, 4)
    command = [sys.executable, "-m", "fivelevers", *words(quiet, prompts, out, *CHECK, "--concurrency", "4")]
    journal, environment = tmp_path / "labelled.jsonl.journal", {**os.environ, "PYTHONPATH": "."}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 120
    while (not journal.exists() or journal.read_bytes().count(b'"heard"') < 30) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    heard = {record["call"] for record in lines_of(journal) if "call" in record}
    assert 30 <= len(heard) < 160
    done = run(words(quiet, prompts, out, *CHECK, "--json"))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["calls"] == 160 - len(heard)
    assert len(lines(out)) == 80
    asked = Counter(record["call"] for record in lines_of(journal) if "call" in record)
    assert set(asked.values()) == {1}
    assert json.loads(run(words(quiet, prompts, out, *CHECK, "--json")).stdout)["calls"] == 0


def lines_of(journal: Path) -> list[dict[str, Any]]:
    """The last line may be torn."""
    return [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]]


def test_the_budget_is_kept_and_more_goes_on(quiet: Proxy, tmp_path: Path) -> None:
    out, prompts = tmp_path / "labelled.jsonl", sums.write(tmp_path / "prompts.jsonl", 12, 5)
    some = run(words(quiet, prompts, out, *CHECK, "--json", "--budget-usd", "0.009", "--concurrency", "1"))
    assert some.exit_code == 1, some.output
    told = json.loads(some.stdout)
    assert 0 < told["labelled"] < 12
    assert float(told["spent_usd"]) <= 0.009
    rest = run(words(quiet, prompts, out, *CHECK, "--budget-usd", "1"))
    assert rest.exit_code == 0, rest.output
    assert len(lines(out)) == 12


def test_what_fails_on_the_way_is_left_out_and_asked_again_later(quiet: Proxy, tmp_path: Path) -> None:
    out, prompts = tmp_path / "labelled.jsonl", sums.write(tmp_path / "prompts.jsonl", 2, 6)
    quiet.fault(match={"model": "gpt-4.1-nano"}, fault="400", times=1)
    done = run(words(quiet, prompts, out, *CHECK, "--json", "--concurrency", "1"))
    assert (done.exit_code, json.loads(done.stdout)["labelled"]) == (0, 1), done.output
    quiet.no_faults()
    again = json.loads(run(words(quiet, prompts, out, *CHECK, "--json")).stdout)
    assert (again["calls"], again["labelled"]) == (1, 2)


def test_by_the_batch_lane(quiet: Proxy, tmp_path: Path) -> None:
    takes(quiet, 0)
    out, prompts = tmp_path / "labelled.jsonl", sums.write(tmp_path / "prompts.jsonl", 4, 7)
    batch = (*CHECK, "--batch", "--poll-s", "0.5", "--json")
    done = run(words(quiet, prompts, out, *batch, models=f"{MINI},{CLAUDE}"))
    httpx.delete(f"{quiet.stack.simulator_url}/sim/batches")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["labelled"] == 4
    records = [record for record in lines_of(tmp_path / "labelled.jsonl.journal") if "call" in record]
    # Chat completions have a batch API at OpenAI alone: Claude answers live.
    assert Counter((record["model"], record["lane"]) for record in records) == {
        ("openai/gpt-4.1-mini", True): 4,
        ("anthropic/claude-haiku-4-5", False): 4,
    }


def rows_since(proxy: Proxy, event_ids: set[str], models: str, count: int) -> list[sqlite3.Row]:
    """Of these aliases: what earlier tests asked may still come in."""

    def new() -> list[sqlite3.Row]:
        rows = proxy.query("select * from attempt order by at")
        return [row for row in rows if row["event_id"] not in event_ids and row["alias"] in models.split(",")]

    wait_for(new, lambda rows: len(rows) >= count)
    return new()


def reported(proxy: Proxy, route: str) -> tuple[int, Decimal, Decimal]:
    """What the report says of a route: requests, what it cost to know, what lever 4 saved by observation."""
    lines = read_lines(proxy.stack.state_dir, proxy.stack.ledger_url, GroupBy.ROUTE, 0.0)
    line = next((line for line in lines if line.group == route), None)
    if line is None:
        return 0, Decimal(0), Decimal(0)
    saved = sum((usd for lever, basis, usd in line.savings if (lever, basis) == ("routing", "observed")), Decimal(0))
    return line.totals.requests, line.totals.proof_cost, saved


@pytest.mark.parametrize("batch", [False, True])
def test_an_operator_s_benchmark_is_a_cost_of_lever_4_and_no_traffic(quiet: Proxy, tmp_path: Path, batch: bool) -> None:
    takes(quiet, 0)
    route, models = ("tiers", f"{MINI},{CLAUDE}") if batch else ("tiers", f"{SMALL},{LARGE}")
    before = {row["event_id"] for row in quiet.query("select event_id from attempt")}
    requests, proof, saved = reported(quiet, route)
    prompts = sums.write(tmp_path / "prompts.jsonl", 3, 90 + batch)
    more = (*CHECK, "--json", *(("--batch", "--poll-s", "0.5") if batch else ()))
    done = run(words(quiet, prompts, tmp_path / "out.jsonl", *more, models=models, key=ADMIN, route=route))
    httpx.delete(f"{quiet.stack.simulator_url}/sim/batches")
    assert done.exit_code == 0, done.output
    assert "as traffic" not in done.stderr
    rows = rows_since(quiet, before, models, 6)
    assert len(rows) == 6
    for row in rows:
        assert (row["charged_to"], row["route"], row["holdout"], row["treated"]) == ("routing", route, 0, "[]")
        assert row["cost_without_us_usd"] == 0
        told = quiet.query("select lever, usd from saving where event_id = ?", row["event_id"])
        assert [(one["lever"], one["usd"]) for one in told] == [("routing", -row["cost_usd"])]
        assert quiet.query("select 1 from outcome where request_id = ?", row["request_id"]) == []
    paid = sum(Decimal(row["cost_usd"]) for row in rows) / PICO
    assert reported(quiet, route) == (requests, proof + paid, saved - paid)
    if batch:  # at the price of a batch, where there is one
        by_batch = [row for row in rows if row["model"] == "gpt-4.1-mini"]
        assert [2 * row["cost_usd"] for row in by_batch] == [row["list_cost_usd"] for row in by_batch]


def test_with_an_ordinary_key_it_is_traffic_like_any_other(quiet: Proxy, tmp_path: Path) -> None:
    refused = quiet.metric("fivelevers_requests_total", lever="routing", result="charge-refused")
    before = {row["event_id"] for row in quiet.query("select event_id from attempt")}
    done = run(words(quiet, sums.write(tmp_path / "p.jsonl", 2, 92), tmp_path / "o", *CHECK, "--json", route="tiers"))
    assert done.exit_code == 0, done.output
    assert "4 answers stand in the ledger as traffic" in " ".join(done.stderr.split())
    rows = rows_since(quiet, before, f"{SMALL},{LARGE}", 4)
    assert {row["charged_to"] for row in rows} == {None}
    assert "tiers" not in {row["route"] for row in rows}
    assert {row["cost_without_us_usd"] == row["cost_usd"] for row in rows} == {True}
    counted = quiet.metric("fivelevers_requests_total", lever="routing", result="charge-refused")
    assert counted == refused + 4


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ("support-assistant,nobody", "'nobody' is no model of the proxy for this key"),
        (f"{SMALL},ticket-pipeline", "is not two models"),
        ("support-assistant,coding-agent-gpt", "are both openai/gpt-4.1"),
    ],
)
def test_models_that_can_not_be_compared(quiet: Proxy, tmp_path: Path, models: str, said: str) -> None:
    prompts = sums.write(tmp_path / "prompts.jsonl", 1, 8)
    done = run(words(quiet, prompts, tmp_path / "out", *CHECK, models=models))
    assert done.exit_code == 2
    assert said in done.output
