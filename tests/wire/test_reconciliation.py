"""The ledger against the provider's bill: random traffic with everything that goes wrong, two workers, a kill -9."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from fivelevers.embedded import bill
from fivelevers.metering.reconcile import Reconciliation, Why
from fivelevers.stores.ledger import Ledger
from tests.wire.proxy import ACME, CLAUDE, GLOBEX, GPT, PATHS, Proxy, together, wait_for

SEED = 20261123
CALLS = 120
NARROW_RULES = [
    {"fault": "500", "rate": 0.06},
    {"fault": "529", "rate": 0.03},
    {"fault": "cut_stream", "rate": 0.06, "after_chunks": 3},
    {"fault": "no_stream_usage", "rate": 0.05},
    {"fault": "timeout", "rate": 0.1, "hang_s": 1.5, "match": {"contains": "impatient"}},
]
STARTED = 0.0
PREFIX = "You are the assistant of Quillbarn, a maker of barns for quills. " * 120


def compare(proxy: Proxy, ledger_url: str | None = None, **options: Any) -> Reconciliation:
    ledger = Ledger(ledger_url or proxy.stack.ledger_url)
    try:
        return bill.compare(ledger, _own_bill(proxy), since=STARTED, **options)
    finally:
        ledger.close()


def _own_bill(proxy: Proxy) -> bill.Bill:
    return bill.fetch(proxy.stack.simulator_url)


def judged(told: Reconciliation) -> tuple[list[Any], list[Any]]:
    """(rows that differ, calls that nothing explains), without the alias whose price no map knows on purpose."""
    unpriced = bill.key_name("sk-simulated-unpriced")
    rows = [row for row in told.rows if row.verdict.value != "agreed" and row.key != unpriced]
    return rows, [alone for alone in told.unexplained if alone.entry.key != unpriced]


def settled(proxy: Proxy, **options: Any) -> Reconciliation:
    """The comparison once the last events are drained; LiteLLM logs a while after it has answered."""
    return wait_for(lambda: compare(proxy, **options), lambda told: judged(told) == ([], []), limit_s=40)


def random_call(proxy: Proxy, rng: random.Random, n: int) -> Callable[[], None]:
    api, stream = rng.choice(list(PATHS)), rng.random() < 0.5
    alias = rng.choice([GPT, CLAUDE, "handbook-rag", "handbook-rag-claude", "impatient-gpt", "impatient-claude"])
    prompt = f"{'impatient ' if alias.startswith('impatient') else ''}What is {n} * {rng.randrange(99)}? "
    prompt += "Please take your time and tell me why. " * rng.randrange(3)
    key = rng.choice([ACME, GLOBEX])
    system: Any = PREFIX if rng.random() < 0.5 else None
    if system and api == "messages":
        ttl = rng.choice(["5m", "1h"])
        system = [{"type": "text", "text": PREFIX + ttl, "cache_control": {"type": "ephemeral", "ttl": ttl}}]
    if stream and rng.random() < 0.15:
        return partial(leave, proxy, api, alias, prompt)

    def call() -> None:
        with contextlib.suppress(openai.OpenAIError, anthropic.AnthropicError, httpx.HTTPError):
            proxy.call(api, alias, prompt, stream=stream, key=key, system=system)

    return call


def leave(proxy: Proxy, api: str, alias: str, prompt: str) -> None:
    """A client that goes away after the first bytes of a stream."""
    body: dict[str, Any] = {"model": alias, "stream": True}
    body |= {"input": prompt} if api == "responses" else {"messages": [{"role": "user", "content": prompt}]}
    if api == "messages":
        body["max_tokens"] = 200
    headers = {"authorization": f"Bearer {ACME}"}
    with (
        contextlib.suppress(httpx.HTTPError),
        httpx.Client(base_url=proxy.stack.envoy_url, timeout=60) as client,
        client.stream("POST", PATHS[api], json=body, headers=headers) as answer,
    ):
        next(answer.iter_raw(), None)


@pytest.fixture(scope="module")
def traffic(proxy: Proxy) -> Proxy:
    """Random calls, through faults, retries, time-outs, cut streams and clients that leave."""
    # Other tests forget subjects, which the bill does not: both sides start here.
    httpx.post(f"{proxy.stack.simulator_url}/sim/reset").raise_for_status()
    global STARTED  # noqa: PLW0603
    STARTED = time.time()
    proxy.fault(rules=NARROW_RULES)
    rng = random.Random(SEED)
    calls = [random_call(proxy, rng, n) for n in range(CALLS)]
    for start in range(0, CALLS, 24):
        together(calls[start : start + 24])
    proxy.no_faults()
    return proxy


def test_the_ledger_agrees_with_the_bill(traffic: Proxy) -> None:
    told = settled(traffic)
    assert judged(told) == ([], [])
    # It met what it is about: several models, cache reads and both kinds of writes, calls that nobody was told about.
    kinds = {kind for row in told.rows for kind, pair in row.tokens.items() if pair[1]}
    assert {kind.value for kind in kinds} == {"input", "cache_read", "cache_write_5m", "cache_write_1h", "output"}
    assert {alone.why for alone in told.set_apart} >= {Why.NEVER_REPORTED, Why.ESTIMATED}
    retried = "select request_id from attempt group by request_id having count(*) > 1 and max(success) = 1"
    assert traffic.query(retried)


HALVE = "update attempt set cost_usd = cost_usd - {kind}_usd / 2, {kind}_usd = {kind}_usd / 2 where model = '{model}'"
MUTATIONS = {
    "a cache-write price halved": HALVE.format(kind="cache_write_5m", model="claude-sonnet-4-5"),
    "a retry dropped": """delete from attempt where event_id = (
        select event_id from attempt where success and usage_source = 'reported' and request_id in (
            select request_id from attempt group by request_id having count(*) > 1) limit 1)""",
    "a stream's usage lost": """update attempt set input_tokens = 0, output_tokens = 0, cache_read_tokens = 0,
        cost_usd = 0, input_usd = 0, output_usd = 0, cache_read_usd = 0 where event_id = (
            select event_id from attempt where success and stream and usage_source = 'reported' and output_tokens > 0
            order by output_tokens limit 1)""",
    "an attempt counted twice": """create table twice as
            select * from attempt where usage_source = 'reported' order by cost_usd desc limit 1;
        update twice set event_id = 'twice';
        insert into attempt select * from twice""",
}


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_the_comparison_can_fail(traffic: Proxy, tmp_path: Path, mutation: str) -> None:
    assert judged(settled(traffic)) == ([], [])
    copy = tmp_path / "ledger.db"
    source = traffic.stack.ledger_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(source)) as ours, contextlib.closing(sqlite3.connect(copy)) as theirs:
        ours.backup(theirs)
        theirs.execute("delete from attempt where at < ?", (STARTED,))
        for statement in MUTATIONS[mutation].split(";"):
            changed = theirs.execute(statement).rowcount
        assert changed > 0
        theirs.commit()
    assert judged(compare(traffic, f"sqlite:///{copy}")) != ([], [])


def test_a_killed_worker_loses_only_what_was_in_flight_and_the_comparison_names_it(traffic: Proxy) -> None:
    assert judged(settled(traffic)) == ([], [])
    done = [traffic.call("chat", GPT, f"What is {n} + {n}?") for n in range(6)]
    time.sleep(1.5)  # LiteLLM logs soon after it has answered; then they are accepted, on whichever worker they were
    traffic.fault(fault="timeout", hang_s=4, match={"contains": "in flight"})
    started = time.time()
    with ThreadPoolExecutor(8) as pool:
        hanging = [pool.submit(answered, traffic, f"What is {n} + 1, in flight?") for n in range(8)]
        time.sleep(1.5)
        killed = traffic.stack.kill_worker()
        window = (started, time.time())
    traffic.no_faults()
    lost = sum(not call.result() for call in hanging)
    assert lost > 0

    def in_flight() -> int:
        told = compare(traffic, kill_windows=[window])
        return sum(alone.why is Why.IN_FLIGHT_AT_KILL for alone in told.bill_alone)

    # What the other worker answered is metered; what the killed one had in flight is on the bill alone, and named.
    assert wait_for(in_flight, lambda n: n == lost) == lost
    assert judged(settled(traffic, kill_windows=[window])) == ([], [])
    for reply in done:
        assert len(traffic.attempts(reply.request_id)) == 1
    assert wait_for(lambda: traffic.stack.worker_pids, lambda pids: len(pids) == 2 and killed not in pids, limit_s=60)
    traffic.call("chat", GPT, "What is 2 + 2?")


def answered(proxy: Proxy, prompt: str) -> bool:
    try:
        proxy.call("chat", GPT, prompt)
    except openai.OpenAIError:
        return False
    return True
