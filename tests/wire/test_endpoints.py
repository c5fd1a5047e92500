"""Our own endpoints in the proxy: who may say what about which request, and what is told to everybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from fivelevers import __version__, metrics
from fivelevers.cli import app
from fivelevers.policy import load
from tests.wire.proxy import ACME, GLOBEX, GPT, Proxy, wait_for

OUTCOMES = "/fivelevers/v1/outcomes"
KEYS = yaml.safe_load(Path(__file__).with_name("keys.yaml").read_text())["keys"]
TEAM = next(entry["key"] for entry in KEYS if entry["key_alias"] == "team")
UNKNOWN = "0" * 32


def say(
    proxy: Proxy, request_id: str, outcome: str = "success", *, key: str | None = ACME, **more: Any
) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return proxy.http.post(OUTCOMES, json={"request_id": request_id, "outcome": outcome, **more}, headers=headers)


@pytest.fixture(scope="module")
def asked(proxy: Proxy) -> str:
    """A request of ACME's."""
    proxy.no_faults()
    return proxy.call("chat", GPT, "What is 3 * 5?").request_id


@pytest.mark.parametrize("entry", KEYS, ids=lambda entry: str(entry["key_alias"]))
def test_every_role_may_speak_about_its_own_request(quiet: Proxy, asked: str, entry: dict[str, Any]) -> None:
    model = entry.get("models", [GPT])[0]
    own = quiet.call("chat", model, "What is 4 * 5?", key=entry["key"]).request_id
    answer = say(quiet, own, key=entry["key"], detail="the ticket was closed")
    assert (answer.status_code, answer.json()) == (202, {"request_id": own, "outcome": "success"})
    (row,) = quiet.outcomes(own)
    assert (row["outcome"], row["source"], row["detail"]) == ("success", "explicit", "the ticket was closed")
    if entry["key"] != ACME:
        assert say(quiet, asked, key=entry["key"]).status_code == 404


def test_nobody_learns_whose_request_an_id_is(quiet: Proxy, asked: str) -> None:
    of_another, of_nobody = say(quiet, asked, key=GLOBEX), say(quiet, UNKNOWN, key=GLOBEX)
    assert of_another.status_code == of_nobody.status_code == 404
    assert of_another.text.replace(asked, "") == of_nobody.text.replace(UNKNOWN, "")
    assert "request_id" in of_nobody.text
    forged = asked[:-1] + ("0" if asked[-1] != "0" else "1")
    assert say(quiet, forged).status_code == 404
    assert say(quiet, asked, key=quiet.stack.master_key).status_code == 404


@pytest.mark.parametrize("key", [None, "sk-test-nobody-0000000000", "nothing-like-a-key"])
@pytest.mark.parametrize("body", [{"request_id": UNKNOWN, "outcome": "success"}, {"outcome": 7}])
def test_without_a_good_key_it_is_401_whatever_is_said(quiet: Proxy, key: str | None, body: dict[str, Any]) -> None:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    assert quiet.http.post(OUTCOMES, json=body, headers=headers).status_code == 401


@pytest.mark.parametrize("header", ["x-api-key", "api-key", "x-litellm-api-key", "x-goog-api-key"])
def test_a_key_in_any_header_that_models_take_it_in(quiet: Proxy, asked: str, header: str) -> None:
    body = {"request_id": asked, "outcome": "success"}
    assert quiet.http.post(OUTCOMES, json=body, headers={header: ACME}).status_code == 202
    assert quiet.http.post(OUTCOMES, json=body, headers={header: "sk-test-nobody-0000000000"}).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"request_id": None}, "request_id"),
        ({"request_id": "x"}, "request_id"),
        ({"request_id": "{" + UNKNOWN + "}"}, "request_id"),
        ({"request_id": 7}, "request_id"),
        ({"outcome": None}, "outcome"),
        ({"outcome": "unknown"}, "outcome"),
        ({"outcome": True}, "outcome"),
        ({"outcome": float("nan")}, "outcome"),
        ({"detail": 7}, "detail"),
        ({"detail": "x" * 501}, "detail"),
        ({"detail": "\ud800"}, "detail"),
        ({"outcom": "success"}, "outcom"),
    ],
)
def test_a_bad_body_is_422_and_names_the_field(quiet: Proxy, change: dict[str, Any], field: str) -> None:
    body = {"request_id": UNKNOWN, "outcome": "success"} | change
    said = json.dumps({name: value for name, value in body.items() if value is not None})
    headers = {"authorization": f"Bearer {ACME}", "content-type": "application/json"}
    answer = quiet.http.post(OUTCOMES, content=said, headers=headers)
    assert answer.status_code == 422
    assert field in answer.json()["detail"][0]["loc"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"outcome":' + b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(quiet: Proxy, body: bytes) -> None:
    headers = {"authorization": f"Bearer {ACME}", "content-type": "application/json"}
    assert quiet.http.post(OUTCOMES, content=body, headers=headers).status_code in {400, 422}


def test_an_id_may_be_written_as_a_uuid(quiet: Proxy, asked: str) -> None:
    written = f"{asked[:8]}-{asked[8:12]}-{asked[12:16]}-{asked[16:20]}-{asked[20:]}".upper()
    assert say(quiet, written).json()["request_id"] == asked


def test_the_caller_s_latest_word_wins_over_the_provider_s(quiet: Proxy) -> None:
    before = team_report(quiet)
    cut = quiet.call("chat", GPT, "What is 6 * 7? " * 40, key=TEAM, max_tokens=1).request_id
    (row,) = quiet.outcomes(cut)
    assert (row["outcome"], row["source"]) == ("failure", "provider")
    assert difference(before, team_report(quiet)) == {"requests": 1, "successes": 0, "failures": 1, "unknown": 0}
    for count, outcome in enumerate(("success", "failure", "success"), start=1):
        assert say(quiet, cut, outcome, key=TEAM).status_code == 202
        rows = quiet.outcomes(cut, 1 + count)
        assert [row["outcome"] for row in rows if row["source"] == "explicit"][-1] == outcome
        expected = {"successes": int(outcome == "success"), "failures": int(outcome == "failure")}
        assert difference(before, team_report(quiet)) == {"requests": 1, "unknown": 0, **expected}


def team_report(proxy: Proxy) -> dict[str, int]:
    """What `fivelevers report` counts for the key TEAM, which no other test of this session uses this much."""
    stack = proxy.stack
    arguments = ["report", "--by", "key", "--format", "json"]
    told = CliRunner().invoke(app, [*arguments, "--state-dir", str(stack.state_dir), "--ledger", stack.ledger_url])
    assert told.exit_code == 0, told.output
    (line,) = [line for line in json.loads(told.stdout) if line["key"] == "team"] or [{}]
    return {name: line.get(name, 0) for name in ("requests", "successes", "failures", "unknown")}


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in before}


def families(proxy: Proxy) -> Iterator[Any]:
    answer = proxy.http.get("/fivelevers/v1/metrics").raise_for_status()
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    yield from text_string_to_metric_families(answer.text)


def test_metrics_are_an_exposition_of_the_names_that_we_declare(quiet: Proxy, asked: str) -> None:
    say(quiet, asked)
    found = {family.name: family for family in families(quiet)}
    declared = {family.name: family.type for family in metrics.registry.collect()}
    assert {name: family.type for name, family in found.items()}.items() <= declared.items()
    used = {"tokens", "cost_usd", "baseline_cost_usd", "outcomes", "decision_seconds", "spool_bytes"}
    assert {f"fivelevers_{name}" for name in used} <= set(found)
    assert all(family.documentation for family in found.values())


def test_metrics_name_no_key_no_user_and_no_request(quiet: Proxy, asked: str) -> None:
    (row,) = quiet.attempts(asked)
    secret = [asked, row["session"], row["key"], row["tenant"], row["team"], row["provider_request_id"], "acme", ACME]
    known = {"route", "model", "lever", "kind", "outcome", "source", "result", "reason", "le"}
    for family in families(quiet):
        for sample in family.samples:
            assert set(sample.labels) <= known, sample
            told = " ".join(sample.labels.values())
            assert not [text for text in secret if text in told], sample


def test_metrics_count_what_happens(quiet: Proxy, asked: str) -> None:
    def said() -> float:
        return quiet.metric("fivelevers_outcomes_total", outcome="failure", source="explicit")

    before = said()
    say(quiet, asked, "failure")
    assert wait_for(said, lambda count: count > before) == before + 1


def test_health_says_what_acts(quiet: Proxy) -> None:
    health = quiet.http.get("/fivelevers/v1/health").raise_for_status().json()
    assert health["version"] == __version__
    assert health["routes"] == [route.name for route in load(quiet.policy).routes]
    assert health["policy_problem"] is None
    (row,) = quiet.attempts(quiet.call("chat", GPT, "What is 2 * 2?").request_id)
    assert row["policy"] == health["policy"]


def test_no_endpoint_tells_a_key(quiet: Proxy, asked: str) -> None:
    hashed = sha256(ACME.encode()).hexdigest()
    for answer in (
        say(quiet, asked),
        say(quiet, asked, key=GLOBEX),
        say(quiet, "x"),
        quiet.http.get("/fivelevers/v1/metrics"),
        quiet.http.get("/fivelevers/v1/health"),
    ):
        assert not [key for key in (ACME, GLOBEX, hashed) if key in answer.text + str(answer.headers)]
    assert quiet.http.get(OUTCOMES).status_code == 405
