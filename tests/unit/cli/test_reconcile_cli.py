"""`fivelevers reconcile` on the example exports, against a ledger with the same story and with another one."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.metering.event import Attempt, UsageSource, to_record
from fivelevers.prices import Kind, Usage
from fivelevers.stores.ledger import Ledger
from tests.unit.events import attempt
from tests.unit.providers.exported import EXAMPLES

NOON = 1795132800.0 + 12 * 3600  # 2026-11-20T12:00Z
MILLION = 1_000_000
RATES = {
    "gpt-4.1": {Kind.INPUT: "2", Kind.CACHE_READ: "0.5", Kind.OUTPUT: "8"},
    "gpt-4.1-mini": {Kind.INPUT: "0.4", Kind.OUTPUT: "1.6"},
    "claude-haiku-4-5": dict(zip(Kind, ("1", "0.1", "1.25", "2", "5"), strict=True)),
}


def used(model: str, usage: Usage, **changes: Any) -> Attempt:
    rates = RATES[model]
    parts = {kind: Decimal(rates[kind]) * count / MILLION for kind, count in usage.items() if count}
    provider = "anthropic" if model.startswith("claude") else "openai"
    paid = sum(parts.values(), Decimal(0))
    story = {"at": NOON, "model": model, "provider": provider, "usage": usage, "cost_usd": paid, "cost_parts": parts}
    return attempt(**(story | changes))


GPT = used("gpt-4.1", Usage(input=120_000, cache_read=60_000, output=30_000))
MINI = used("gpt-4.1-mini", Usage(input=50_000, output=10_000), at=NOON + 86_400)
HAIKU = used("claude-haiku-4-5", Usage(40_000, 200_000, 20_000, 10_000, 8_000))
STORY = (GPT, MINI, HAIKU)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    fill(tmp_path, *STORY)
    return tmp_path


def fill(state: Path, *events: Attempt) -> None:
    ledger = Ledger(f"sqlite:///{state}/ledger.db")
    ledger.create()
    assert ledger.insert([to_record(event) for event in events]) == []
    ledger.close()


def run(state: Path, *files: str | Path, options: tuple[str, ...] = ()) -> Result:
    named = [part for file in files for part in ("--provider-export", str(EXAMPLES / file))]
    environment = {"FIVELEVERS_LEDGER_URL": "", "COLUMNS": "110", "NO_COLOR": "1"}
    return CliRunner().invoke(app, ["reconcile", *named, "--state-dir", str(state), *options], env=environment)


@pytest.mark.parametrize(
    "files",
    [
        ("openai_usage.json",),
        ("openai_usage.csv",),
        ("openai_costs.json",),
        ("openai_costs.csv",),
        ("openai_usage.csv", "openai_costs.json"),
        ("anthropic_usage.json",),
        ("anthropic_usage.csv",),
        ("anthropic_costs.json",),
        ("anthropic_costs.csv",),
        ("anthropic_usage.json", "anthropic_costs.csv"),
        ("litellm_spend_logs.jsonl",),
    ],
    ids="+".join,
)
def test_every_example_agrees_with_its_ledger_and_not_with_another(state: Path, files: tuple[str, ...]) -> None:
    agreed = run(state, *files)
    assert (agreed.exit_code, "The ledger agrees" in agreed.stdout) == (0, True), agreed.output
    fill(state, replace(GPT, event_id="more"), replace(HAIKU, event_id="more too"))
    differs = run(state, *files)
    assert (differs.exit_code, "does NOT agree" in differs.stdout) == (1, True), differs.output


def test_the_table_says_tokens_then_dollars_then_why(state: Path) -> None:
    fill(state, used("claude-haiku-4-5", Usage(cache_read=5_000, input=1_000)))
    shown = run(state, "anthropic_usage.json", "anthropic_costs.json", options=("--by", "kind"))
    assert shown.exit_code == 1
    assert shown.stdout.index("Tokens") < shown.stdout.index("Dollars") < shown.stdout.index("- anthropic/claude-haiku")
    text = " ".join(shown.stdout.split())
    assert "cache_read 205,000 200,000 -5,000 -2.50 differs" in text
    assert "output 8,000 8,000 0 agrees" in text
    assert "unexplained [input -1,000, cache_read -5,000, -$0.0015]" in text
    assert "left out: web_search $0.0100" in text
    assert "claude-haiku-4-5-20251001 as claude-haiku-4-5" in text


def test_programs_get_rows_and_causes(state: Path) -> None:
    fill(state, used("claude-haiku-4-5", Usage(input=-0, cache_read=0, output=1), usage_source=UsageSource.ESTIMATED))
    text = (EXAMPLES / "anthropic_usage.json").read_text().replace('"cache_read_input_tokens": 200000',
        '"cache_read_input_tokens": 150000').replace("40000", "90000")  # fmt: skip
    (state / "export.json").write_text(text)
    told = json.loads(run(state, state / "export.json", options=("--by", "model", "--report-format", "json")).stdout)
    assert (told["agrees"], told["from"], told["until"]) == (False, "2026-11-20T00:00Z", "2026-11-22T00:00Z")
    (row,) = told["rows"]
    assert (row["model"], row["ledger_tokens"], row["export_tokens"]) == (
        "anthropic/claude-haiku-4-5",
        278_000,
        278_000,
    )
    (finding,) = told["findings"]
    assert finding["cause"] == "cache reads counted as input"
    assert finding["tokens"] == {"input": 50_000, "cache_read": -50_000}
    assert told["estimated_attempts"] == 1
    shown = run(state, state / "export.json", options=("--report-format", "csv"))
    (line,) = csv.DictReader(io.StringIO(shown.stdout))
    assert (line["day"], line["agrees"], line["causes"]) == ("2026-11-20", "False", "cache reads counted as input")


def test_a_period_a_key_and_a_tolerance(state: Path) -> None:
    fill(state, replace(MINI, event_id="second day", usage=Usage(input=60)))
    assert run(state, "openai_usage.csv").exit_code == 1
    assert run(state, "openai_usage.csv", options=("--until", "2026-11-21")).exit_code == 0
    assert run(state, "openai_usage.csv", options=("--since", "2026-11-21")).exit_code == 1
    assert run(state, "openai_usage.csv", options=("--tolerance", "0.01")).exit_code == 0
    assert run(state, "openai_usage.csv", options=("--until", "2026-11-21", "--key", "proj_desk")).exit_code == 0
    assert run(state, "openai_usage.csv", options=("--until", "2026-11-21", "--ledger-key", "other")).exit_code == 1


@pytest.mark.parametrize(
    ("files", "options", "said"),
    [
        (("no_such_file.csv",), (), "No such file"),
        (("README.md",), (), "are fields of no known export"),
        (("openai_usage.csv",), ("--key", "key_nobody"), "it names key_proxy, proj_desk"),
        (("openai_usage.csv",), ("--since", "yesterday"), "--since: 'yesterday' is no ISO date"),
        (("openai_usage.csv",), ("--since", "2027-01-01"), "no day is left"),
        (("openai_usage.csv",), ("--tolerance", "much"), "--tolerance: 'much' is not a number"),
        (("openai_usage.csv",), ("--tolerance", "2"), "--tolerance: 2 is not in 0..1"),
        (("openai_usage.csv",), ("--ledger", "mysql://x"), "FIVELEVERS_LEDGER_URL"),
    ],
)
def test_what_can_not_run_says_why(state: Path, files: tuple[str, ...], options: tuple[str, ...], said: str) -> None:
    result = run(state, *files, options=options)
    assert result.exit_code == 2, result.output
    assert said in " ".join(result.stderr.split())
