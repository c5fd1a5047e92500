"""The ledger against the provider's bill: random traffic with everything that goes wrong, two workers."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import pytest

from fivelevers.metering.reconcile import Why
from tests.wire.agreement import Books, judged
from tests.wire.proxy import ACME, CLAUDE, GLOBEX, GPT, PATHS, Proxy, together

SEED = 20261123
CALLS = 120
NARROW_RULES = [
    {"fault": "500", "rate": 0.06},
    {"fault": "529", "rate": 0.03},
    {"fault": "cut_stream", "rate": 0.06, "after_chunks": 3},
    {"fault": "no_stream_usage", "rate": 0.05},
    {"fault": "timeout", "rate": 0.1, "hang_s": 1.5, "match": {"contains": "impatient"}},
]
PREFIX = "You are the assistant of Quillbarn, a maker of barns for quills. " * 120


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
def traffic(proxy: Proxy) -> Books:
    """Random calls, through faults, retries, time-outs, cut streams and clients that leave."""
    books = Books.opened(proxy)
    proxy.fault(rules=NARROW_RULES)
    rng = random.Random(SEED)
    calls = [random_call(proxy, rng, n) for n in range(CALLS)]
    for start in range(0, CALLS, 24):
        together(calls[start : start + 24])
    proxy.no_faults()
    for ttl in ("5m", "1h"):  # whatever chance and a busy machine did to the calls that write a cache
        mark = {"type": "ephemeral", "ttl": ttl}
        system = [{"type": "text", "text": f"Without faults, {ttl}. {PREFIX}", "cache_control": mark}]
        proxy.call("messages", CLAUDE, "What is 6 * 7?", system=system)
    return books


def test_the_ledger_agrees_with_the_bill(traffic: Books) -> None:
    told = traffic.settled()
    assert judged(told) == ([], [])
    # It met what it is about: several models, cache reads and both kinds of writes, calls that nobody was told about.
    kinds = {kind for row in told.rows for kind, pair in row.tokens.items() if pair[1]}
    assert {kind.value for kind in kinds} == {"input", "cache_read", "cache_write_5m", "cache_write_1h", "output"}
    assert {alone.why for alone in told.set_apart} >= {Why.NEVER_REPORTED, Why.ESTIMATED}
    retried = "select request_id from attempt group by request_id having count(*) > 1 and max(success) = 1"
    assert traffic.proxy.query(retried)


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
def test_the_comparison_can_fail(traffic: Books, tmp_path: Path, mutation: str) -> None:
    assert judged(traffic.settled()) == ([], [])
    copy = tmp_path / "ledger.db"
    source = traffic.proxy.stack.ledger_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(source)) as ours, contextlib.closing(sqlite3.connect(copy)) as theirs:
        ours.backup(theirs)
        theirs.execute("delete from attempt where at < ?", (traffic.since,))
        for statement in MUTATIONS[mutation].split(";"):
            changed = theirs.execute(statement).rowcount
        assert changed > 0
        theirs.commit()
    assert judged(traffic.compare(f"sqlite:///{copy}")) != ([], [])
