"""The /sim endpoints, the faults' rules, and the command."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from examples.provider_simulator.faults import Faults, Target
from examples.provider_simulator.simulator import Simulator
from tests.simulator.conftest import Running, start

HI: list[Any] = [{"role": "user", "content": "hi"}]
ROOT = Path(__file__).parents[2]


def test_health_and_prices(simulator: Running) -> None:
    assert simulator.http.get("/sim/health").json()["status"] == "ok"
    table = simulator.http.get("/sim/prices").json()
    assert table["models"]["gpt-4.1"]["usd"]["output"] == "8.00"
    assert all(source["urls"] and source["checked"] for source in table["sources"].values())


def test_recorded_requests_are_exact_and_hold_no_key(oai: openai.OpenAI, simulator: Running) -> None:
    raw = b'{"model": "gpt-4.1",   "messages": [{"content": "hi", "role": "user"}]}'
    simulator.http.post("/v1/chat/completions", content=raw, headers={"authorization": "Bearer sk-secret"})
    oai.chat.completions.create(model="gpt-4.1", messages=HI)
    (row,) = simulator.http.get("/sim/requests", params={"last": 2}).json()["requests"][:1]
    assert (row["body"], row["path"]) == (raw.decode(), "/v1/chat/completions")
    assert "sk-secret" not in str(row)
    assert len(simulator.http.get("/sim/requests", params={"last": 1}).json()["requests"]) == 1
    assert simulator.http.get("/sim/requests", params={"last": "x"}).status_code == 400


def test_reset_forgets_everything(oai: openai.OpenAI, simulator: Running) -> None:
    oai.chat.completions.create(model="gpt-4.1", messages=HI)
    simulator.http.post("/sim/faults", json={"fault": "500"})
    simulator.http.post("/sim/reset")
    assert simulator.http.get("/sim/bill").json() == {"requests": 0, "lines": []}
    assert simulator.http.get("/sim/faults").json() == {"rules": []}
    assert simulator.http.get("/sim/requests").json() == {"requests": []}


def test_the_clock_moves_forward_only(simulator: Running) -> None:
    before = simulator.http.get("/sim/health").json()["now"]
    assert simulator.http.post("/sim/clock", json={"advance_s": 1000}).json()["now"] >= before + 1000
    wrongs: list[Any] = [{"advance_s": -1}, {"advance_s": "x"}, {}, []]
    for wrong in wrongs:
        assert simulator.http.post("/sim/clock", json=wrong).status_code == 400


def test_entries_carry_the_moved_time(oai: openai.OpenAI, simulator: Running) -> None:
    oai.chat.completions.create(model="gpt-4.1", messages=HI)
    simulator.http.post("/sim/clock", json={"advance_s": 500})
    oai.chat.completions.create(model="gpt-4.1", messages=HI)
    first, second = simulator.sim.bill.entries
    assert second.at - first.at >= 500


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        ({"fault": "418"}, "rules[0].fault"),
        ({"fault": "429", "tims": 1}, "rules[0].tims"),
        ({"fault": "429", "match": {"modle": "x"}}, "rules[0].match.modle"),
        ({"fault": "429", "rate": 2}, "rules[0].rate"),
        ({"fault": "429", "times": "one"}, "rules[0].times"),
        ([{"fault": "429"}, 5], "rules[1]"),
        ("429", "rules"),
    ],
)
def test_wrong_rules_are_named(simulator: Running, rule: Any, named: str) -> None:
    answer = simulator.http.post("/sim/faults", json=rule)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)
    assert simulator.http.get("/sim/faults").json() == {"rules": []}


def target(**changed: Any) -> Target:
    known: dict[str, Any] = {"model": "gpt-4.1", "api": "chat", "key": "k", "stream": False, "text": "hello world"}
    return Target(**(known | changed))


@pytest.mark.parametrize(
    ("match", "changed"),
    [
        ({"model": "gpt-4.1"}, {"model": "gpt-4o"}),
        ({"api": "chat"}, {"api": "responses"}),
        ({"key": "k"}, {"key": "l"}),
        ({"stream": False}, {"stream": True}),
        ({"contains": "hello"}, {"text": "bye"}),
    ],
)
def test_rules_match(match: dict[str, Any], changed: dict[str, Any]) -> None:
    faults = Faults(seed=1)
    faults.add({"fault": "500", "match": match})
    assert faults.draw(target()) is not None
    assert faults.draw(target(**changed)) is None


def drawn(faults: Faults) -> list[str]:
    rules = [faults.draw(target()) for _ in range(402)]
    return [rule.fault if rule else "" for rule in rules]


def test_times_and_rate() -> None:
    faults = Faults(seed=3)
    faults.add([{"fault": "429", "times": 2}, {"fault": "500", "rate": 0.25}])
    kinds = drawn(faults)
    assert kinds[:2] == ["429", "429"]
    assert 60 <= kinds.count("500") <= 140
    again = Faults(seed=3)
    again.add([{"fault": "429", "times": 2}, {"fault": "500", "rate": 0.25}])
    assert kinds == drawn(again)


def test_a_rule_may_hit_the_same_request_so_many_times_and_every_other_one_too() -> None:
    faults = Faults(seed=1)
    faults.add({"fault": "wrong", "times_each": 3})
    asked = [target(text=text) for text in ("a", "b", "a", "a", "a", "b", "a")]
    assert [faults.draw(one) is not None for one in asked] == [True, True, True, True, False, True, False]
    assert faults.draw(target(text="a", model="gpt-4o")) is not None


def test_a_retry_passes_after_the_fault(simulator: Running) -> None:
    simulator.sim.faults.add({"fault": "500", "times": 1})
    with openai.OpenAI(base_url=f"{simulator.url}/v1", api_key="k", max_retries=1) as client:
        assert client.chat.completions.create(model="gpt-4.1", messages=HI).usage is not None
    assert simulator.sim.bill.requests == 1


def test_named_keys_share_a_name_and_others_stay_out() -> None:
    server, thread, url = start(Simulator(latency_scale=0, keys={"sk-1": "gateway"}))
    with httpx.Client(base_url=url) as http:
        body = {"model": "gpt-4.1", "messages": HI}
        assert http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-1"}).is_success
        refused = http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer sk-2"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert {line["key"] for line in http.get("/sim/bill").json()["lines"]} == {"gateway"}
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def command(tmp_path: Path) -> Iterator[str]:
    """The line that the command prints."""
    faults, keys = tmp_path / "faults.yaml", tmp_path / "keys.yaml"
    faults.write_text("- {fault: '429', match: {model: gpt-4o}}\n", encoding="utf-8")
    keys.write_text("gateway: sk-1\n", encoding="utf-8")
    options = ["--latency-scale", "0", "--batch-seconds", "0.5", "--faults", str(faults), "--keys", str(keys)]
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.provider_simulator", *options], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline()
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


def test_the_command_announces_itself_and_serves(command: str) -> None:
    found = re.fullmatch(r"provider simulator on (http://127\.0\.0\.1:\d+)\n", command)
    assert found is not None
    with openai.OpenAI(base_url=f"{found.group(1)}/v1", api_key="sk-1", max_retries=0) as client:
        assert client.chat.completions.create(model="gpt-4.1", messages=HI).usage is not None
        with pytest.raises(openai.RateLimitError):
            client.chat.completions.create(model="gpt-4o", messages=HI)
    httpx.post(f"{found.group(1)}/sim/reset")
    assert httpx.get(f"{found.group(1)}/sim/batches").json()["settings"]["seconds"] == 0.5


def test_help_teaches() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.provider_simulator", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "/sim/bill" in done.stdout
    assert "--latency-scale" in done.stdout


def test_nothing_of_the_package_or_of_litellm_is_loaded() -> None:
    code = (
        "import sys, examples.provider_simulator.__main__\n"
        "print(sorted(n for n in sys.modules if n.split('.')[0] in {'fivelevers', 'litellm', 'openai', 'anthropic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
