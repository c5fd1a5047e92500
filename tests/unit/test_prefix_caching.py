"""Lever 1 on one attempt: decision, memory, what usage teaches, and what nobody read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.levers.prompt_cache.node import Node
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.prefix_caching import TOKENS_PER_CHAR, Considered, Tokenizers, consider, learn, scope_of
from fivelevers.prices import Kind, Price, Tier, Usage
from fivelevers.request import Api, parse
from fivelevers.unread import Writes, unread

NOW = 1_800_000_000.0
RULES = CacheRules(Style.MARKS)
PRICES = CachePrices(0.1, {300: 1.25, 3600: 2.0})
USD = Price("m", "test", (Tier(0, {
    Kind.INPUT: Decimal(1), Kind.CACHE_READ: Decimal("0.1"), Kind.CACHE_WRITE_5M: Decimal("1.25"),
    Kind.CACHE_WRITE_1H: Decimal(2), Kind.OUTPUT: Decimal(5)}),))  # fmt: skip
LONG, QUESTION = "word " * 8000, "and so on " * 40


class Memory:
    """What Redis does, in one process."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[bytes, bytes], Node] = {}
        self.statistics = Hazards()

    async def look(self, scope: bytes, nodes: Sequence[bytes]) -> Mapping[bytes, Node]:
        return {name: self.nodes[scope, name] for name in nodes if (scope, name) in self.nodes}

    def note(self, scope: bytes, nodes: Mapping[bytes, Node], route: str, counts: Mapping[str, float]) -> None:
        self.nodes |= {(scope, name): node for name, node in nodes.items()}
        self.statistics.add(counts)

    def hazards(self, route: str) -> Hazards:
        return self.statistics


async def ask(memory: Memory, system: str, question: str, now: float, **body: Any) -> Considered:
    request = parse(
        Api.MESSAGES, {"system": system, "messages": [{"role": "user", "content": f"{question} {QUESTION}"}], **body}
    )
    return await consider(
        request,
        [True] * len(request.segments),
        RULES,
        PRICES,
        memory,
        scope=b"scope",
        route="chat",
        provider="anthropic",
        model="m",
        tokens_per_char=TOKENS_PER_CHAR,
        shadow=False,
        now=now,
    )


def billed(considered: Considered) -> Usage:
    use = considered.decision.expected
    return Usage(use.fresh, use.read, use.written.get(300, 0), use.written.get(3600, 0), 10)


async def test_what_one_request_writes_the_next_one_reads() -> None:
    memory = Memory()
    first = await ask(memory, LONG, "one", NOW)
    assert first.marks
    assert sum(first.decision.expected.written.values()) > 9000
    second = await ask(memory, LONG, "two", NOW + 10)
    assert second.decision.expected.read > 9000
    assert second.without_us(billed(second)) == Usage(input=billed(second).prompt, output=10)


async def test_a_failed_request_wrote_nothing() -> None:
    memory = Memory()
    learn(await ask(memory, LONG, "one", NOW), None, memory, now=NOW + 1)
    assert (await ask(memory, LONG, "two", NOW + 10)).decision.expected.read == 0


async def test_a_read_that_did_not_happen_is_evicted() -> None:
    memory = Memory()
    await ask(memory, LONG, "one", NOW)
    second = await ask(memory, LONG, "two", NOW + 10)
    correction = learn(second, Usage(input=10_000), memory, now=NOW + 11)
    assert correction.evicted > 9000


async def test_a_mark_that_the_body_can_not_carry_is_never_chosen() -> None:
    request = parse(Api.MESSAGES, {"system": LONG, "messages": [{"role": "user", "content": "q"}]})
    found = await consider(
        request, [False, False], RULES, PRICES, Memory(), scope=b"s", route="r", provider="p", model="m",
        tokens_per_char=TOKENS_PER_CHAR, shadow=False, now=NOW,
    )  # fmt: skip
    assert not found.marks


async def test_writes_that_end_unread_are_told_once() -> None:
    memory, writes = Memory(), Writes()
    read, alone = await ask(memory, LONG, "one", NOW), await ask(memory, f"other {LONG}", "one", NOW)
    for considered in (read, alone):
        writes.add(considered, billed(considered), USD)
    assert len(writes) == len(read.decision.written_at) + len(alone.decision.written_at)
    await ask(memory, LONG, "two", NOW + 200)  # renews what the first one wrote
    assert writes.ended(NOW + 299) == []
    ended = writes.ended(NOW + 4000)
    assert len(writes) == 0
    lost = unread(ended, {name: node for (_, name), node in memory.nodes.items()})
    shared = {p.node for p in read.positions if p.section == "system"}
    assert lost
    assert not {write.node for write in lost} & shared
    premiums = {300: 0.25, 3600: 1.0}  # of what each was written for
    ttls_s = {NOW + ttl_s: ttl_s for ttl_s in premiums}
    for write in lost:
        assert write.premium_usd == pytest.approx(write.tokens * premiums[ttls_s[write.ends_at]])


def test_scopes_are_told_apart() -> None:
    names = {
        scope_of(key, provider, model, shadow=shadow)
        for key in ("k", None, "") for provider in ("a", "b") for model in ("m", "n") for shadow in (False, True)
    }  # fmt: skip
    assert len(names) == 16  # no key and an empty one are the same


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)), max_size=50))
def test_a_tokenizer_is_believed_within_reason(seen: list[tuple[int, int]]) -> None:
    tokenizers = Tokenizers()
    for chars, tokens in seen:
        tokenizers.learn("m", chars, tokens)
        assert 0.02 <= tokenizers.of("m") <= 2.0
    assert tokenizers.of("other") == TOKENS_PER_CHAR


def test_a_tokenizer_comes_near_what_is_reported() -> None:
    tokenizers = Tokenizers()
    for _ in range(50):
        tokenizers.learn("m", 1000, 300)
    assert tokenizers.of("m") == pytest.approx(0.3)
