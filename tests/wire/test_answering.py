"""Lever 2 on the real proxy: what it answers again, for whom, at what cost, and what it never does."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import redis

from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Verdict
from fivelevers.levers.semantic_cache.serve import Rule
from fivelevers.providers.minilm import MiniLm
from fivelevers.stores.calibrations import Calibrated, add
from fivelevers.stores.ledger import Ledger
from tests.wire.answering import CLAUDE, GPT, SERVING, SHADOW
from tests.wire.proxy import ACME, GLOBEX, PATHS, Proxy, wait_for

SAID, ADMIN = "x-fivelevers-semantic-cache", "sk-test-admin-3a4b5c6d7e"
NONE: Mapping[str, str] = MappingProxyType({})
COMBINATIONS = [(api, alias, stream) for api in PATHS for alias in (GPT, CLAUDE) for stream in (False, True)]
FACTS = "Facts: The Pro plan costs 49 euros a month. Parcels arrive on Tuesday."


def upstream(proxy: Proxy, marker: str) -> int:
    recorded = httpx.get(f"{proxy.stack.simulator_url}/sim/requests?last=200").json()["requests"]
    return sum(marker in request["body"] for request in recorded)


def stored(proxy: Proxy, ask: Any) -> Any:
    """The first answer to a request, once a second one is served from it."""
    first = ask()
    assert "hit" not in first.headers[SAID]
    assert wait_for(lambda: ask().headers[SAID], lambda said: said.startswith("hit")).startswith("hit")
    return first


def chat(
    proxy: Proxy,
    alias: str,
    text: str,
    *,
    key: str = ACME,
    system: str = FACTS,
    pause_s: float = 0,
    headers: Mapping[str, str] = NONE,
    **fields: Any,
) -> httpx.Response:
    time.sleep(pause_s)
    messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
    body = {"model": alias, "temperature": 0, "messages": messages, **fields}
    return proxy.http.post(PATHS["chat"], json=body, headers={"authorization": f"Bearer {key}", **headers})


@pytest.mark.parametrize(("api", "alias", "stream"), COMBINATIONS)
def test_the_same_request_is_paid_once_whatever_its_shape(quiet: Proxy, api: str, alias: str, stream: bool) -> None:
    name = f"{api} {alias} {stream} {uuid.uuid4().hex}"

    def ask() -> Any:
        cold: Any = {"extra_body": {"temperature": 0}}  # the SDK of Messages knows no temperature
        return quiet.call(api, alias, f"{name}: what is 2 + 3?", stream=stream, system=FACTS, **cold)

    first = stored(quiet, ask)
    again = ask()
    assert again.text == first.text
    assert again.headers[SAID].startswith("hit; why=same; tier=exact")
    assert again.headers["x-litellm-response-cost"] == "0.0"
    assert upstream(quiet, name) == 1
    (paid,), (free,) = quiet.attempts(first.request_id), quiet.attempts(again.request_id)
    assert (free["cost_usd"], free["usage_source"]) == (0, "none")
    assert free["cost_without_us_usd"] == paid["cost_usd"] > 0
    (saving,) = quiet.query("select * from saving where event_id = ?", free["event_id"])
    assert (saving["lever"], saving["basis"], saving["usd"]) == ("semantic_cache", "estimated", paid["cost_usd"])


def test_streamed_and_whole_share_one_answer(quiet: Proxy) -> None:
    name = uuid.uuid4().hex
    ask: Any = {"api": "chat", "model": GPT, "prompt": f"{name}: what is 4 + 5?", "temperature": 0}
    first = stored(quiet, lambda: quiet.call(**ask))
    assert quiet.call(**ask, stream=True).text == first.text
    assert upstream(quiet, name) == 1


def test_a_hundred_at_once_make_one_call(quiet: Proxy) -> None:
    name = uuid.uuid4().hex
    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: chat(quiet, GPT, f"{name}: what is 6 + 7?"), range(100)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["choices"][0]["message"]["content"] for answer in answers}) == 1
    assert len({answer.json()["id"] for answer in answers}) == 100
    assert upstream(quiet, name) == 1


@pytest.mark.parametrize(
    "change",
    [{"key": GLOBEX}, {"system": "Facts: none."}, {"max_tokens": 77}, {"alias": CLAUDE}],
    ids=["tenant", "system", "parameter", "model"],
)
def test_nothing_crosses_a_wall(quiet: Proxy, change: dict[str, Any]) -> None:
    name = uuid.uuid4().hex
    asked: dict[str, Any] = {"alias": GPT, "text": f"{name}: what is 3 + 3?"}
    stored(quiet, lambda: chat(quiet, **asked))
    assert chat(quiet, **asked | change).headers[SAID].startswith("miss")


def test_clients_and_routes_keep_their_say(quiet: Proxy) -> None:
    name = uuid.uuid4().hex
    text = f"{name}: what is 8 + 1?"
    stored(quiet, lambda: chat(quiet, GPT, text))
    before = upstream(quiet, name)
    assert chat(quiet, GPT, text, cache={"no-cache": True}).headers[SAID] == "bypass; why=no-cache"
    assert chat(quiet, GPT, text, headers={"cache-control": "no-cache"}).headers[SAID] == "bypass; why=no-cache"
    assert chat(quiet, GPT, text, temperature=0.7).headers[SAID] == "bypass; why=sampled"
    assert SAID not in chat(quiet, GPT, text, headers={"x-fivelevers-skip": "semantic_cache"}).headers
    assert upstream(quiet, name) == before + 4
    tool = {"type": "web_search_preview"}
    assert chat(quiet, GPT, text, tools=[tool]).headers[SAID] == "bypass; why=hosted_tool"


def test_asked_again_in_a_session_the_answer_had_failed(quiet: Proxy) -> None:
    name, session = uuid.uuid4().hex, {"x-fivelevers-session": uuid.uuid4().hex}
    text = f"{name}: what is 2 + 9?"
    stored(quiet, lambda: chat(quiet, GPT, text))
    assert chat(quiet, GPT, text, headers=session).headers[SAID].startswith("hit")
    assert upstream(quiet, name) == 1
    again = wait_for(lambda: chat(quiet, GPT, text, headers=session), lambda it: not it.headers[SAID].startswith("hit"))
    assert again.headers[SAID] == "bypass; why=repeat"
    assert upstream(quiet, name) == 2


def test_what_is_not_to_be_stored_is_not(quiet: Proxy) -> None:
    text = f"{uuid.uuid4().hex}: what is 9 + 1?"
    for _ in range(2):
        assert chat(quiet, GPT, text, cache={"no-store": True}).headers[SAID].startswith("miss")


def test_a_failed_leader_leaves_nobody_waiting(quiet: Proxy) -> None:
    name = uuid.uuid4().hex
    quiet.fault(fault="400", match={"contains": name}, times=1)  # nobody retries that
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: chat(quiet, GPT, f"{name}: what is 5 + 5?"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [400]
    with redis.Redis.from_url(quiet.stack.redis_url) as client:
        assert wait_for(lambda: list(client.scan_iter("fl:*:l:*")), lambda leases: not leases) == []


@pytest.mark.parametrize("what", ["entry", "model", "tag"])
def test_an_admin_takes_answers_back_and_nobody_else(quiet: Proxy, what: str) -> None:
    text, tag = f"{uuid.uuid4().hex}: what is 7 + 2?", uuid.uuid4().hex
    asked: dict[str, Any] = {"alias": GPT, "text": text, "metadata": {"tags": [tag]}}
    stored(quiet, lambda: chat(quiet, **asked))
    name = {"entry": chat(quiet, **asked).headers["x-fivelevers-semantic-cache-entry"], "model": GPT, "tag": tag}[what]
    answers = [
        quiet.http.post(
            "/fivelevers/v1/cache/forget",
            json={"what": what, "name": name},
            headers={"authorization": f"Bearer {key}"},
        )
        for key in (ACME, ADMIN)
    ]
    assert [answer.status_code for answer in answers] == [403, 200]
    assert answers[1].json()["done"]
    assert wait_for(
        lambda: chat(quiet, **asked, cache={"no-store": True}).headers[SAID], lambda s: s.startswith("miss")
    )


def serve(proxy: Proxy, route: str, system: str, **rule: Any) -> None:
    """Write a calibration that serves, and wait until the workers follow it."""
    probe = chat(proxy, SERVING, f"{uuid.uuid4().hex}?", system=system)
    asked = wait_for(
        lambda: proxy.query(
            "select seen, embedder from look_up where request_id = ?", probe.headers["x-fivelevers-request"]
        ),
        bool,
    )
    prompt = json.loads(asked[0]["seen"])["prompt"]
    holds = Holds(MiniLm().version, ("gpt-4.1",), (prompt,))
    made = Calibration(Verdict.SERVE, 0.03, 500, 500, 1.0, 2.0, holds, Rule(**rule))
    ledger = Ledger(proxy.stack.ledger_url)
    add(ledger, Calibrated(2e9, route, "semantic_cache", "test", made.to_json()))
    ledger.close()


WORDINGS = [
    f"{opening} the {what} of the Pro plan{end}"
    for opening in ("What is", "What's", "Tell me", "I want to know", "Please tell me", "Could you tell me")
    for what in ("price", "cost", "monthly price", "monthly cost")
    for end in ("?", ", please?", " now?")
]


def test_other_words_are_answered_once_the_route_is_calibrated(quiet: Proxy) -> None:
    # What the simulated model makes of a prompt is fixed by its words and the seed: with these it is right each time.
    system = f"{FACTS} Asked in other words."
    wordings = iter(WORDINGS)
    said: list[str] = []

    def ask(text: str, **fields: Any) -> httpx.Response:
        answer = chat(quiet, SERVING, text, system=system, **fields)
        said.append(answer.json()["choices"][0]["message"]["content"])
        return answer

    first = stored(quiet, lambda: ask("How much does the Pro plan cost?"))
    assert ask(next(wordings)).headers[SAID].startswith("miss")
    serve(quiet, "answer-serving", system, serve_at=0.0)
    # Proxies follow the ledger within seconds; until then each wording is answered afresh, so none comes twice.
    served = wait_for(lambda: ask(next(wordings), pause_s=0.3), lambda answer: answer.headers[SAID].startswith("hit"))
    assert "tier=semantic; similarity=0." in served.headers[SAID]
    assert "49" in said[-1]
    assert said.pop() in said
    assert served.headers["x-litellm-response-cost"] == "0.0"
    rows = wait_for(
        lambda: quiet.query("select * from look_up where request_id = ?", served.headers["x-fivelevers-request"]), bool
    )
    assert (rows[0]["mode"], rows[0]["result"]) == ("on", "hit")
    assert first.status_code == 200
    wrong = {"request_id": served.headers["x-fivelevers-request"], "outcome": "failure"}
    headers = {"authorization": f"Bearer {ACME}"}
    quiet.http.post("/fivelevers/v1/outcomes", json=wrong, headers=headers).raise_for_status()


def test_shadow_looks_judges_and_serves_nothing(quiet: Proxy) -> None:
    system = f"{FACTS} {uuid.uuid4().hex}"
    names = []
    for text in ("When do parcels arrive?", "When do parcels arrive?", "On which day do parcels arrive?"):
        answer = chat(quiet, SHADOW, text, system=system)
        assert answer.headers[SAID].startswith("shadow")
        names.append(answer.headers["x-fivelevers-request"])
        quiet.attempts(names[-1])
    rows = wait_for(lambda: quiet.query("select * from look_up where request_id = ?", names[2]), bool)
    assert (rows[0]["mode"], rows[0]["route"]) == ("shadow", "answer-shadow")
    assert upstream(quiet, system) == 3
