"""Replicas: blocks are found again until there is no room for them, and prompts wait for one another."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator.conversation import Conversation, Turn, text_part
from examples.provider_simulator.replicas import BLOCK_TOKENS, Replica, Replicas
from tests.simulator.conftest import Running


def prompt(*words: str) -> Conversation:
    return Conversation(turns=(Turn("user", (text_part(" ".join(words)),)),))


def ask(simulator: Running, replica: str, *texts: str, **params: Any) -> Any:
    messages: list[Any] = [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(texts)]
    with openai.OpenAI(base_url=f"{simulator.url}/replica/{replica}/v1", api_key="any", max_retries=0) as client:
        answer: Any = client.chat.completions.create(model="llama-3.1-8b", messages=messages, **params)
        return list(answer) if params.get("stream") else answer


FIRST = "What is 17 * 23 + 4? " + "Consider the house rules of the north wing. " * 40


def test_a_conversation_reads_its_own_blocks_where_it_was_and_nowhere_else(simulator: Running) -> None:
    first = ask(simulator, "a", FIRST)
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert first.model == "llama-3.1-8b"
    turns = (FIRST, first.choices[0].message.content, "And 2 + 2?")
    again = ask(simulator, "a", *turns).usage
    assert first.usage.prompt_tokens - BLOCK_TOKENS <= again.prompt_tokens_details.cached_tokens
    assert again.prompt_tokens_details.cached_tokens % BLOCK_TOKENS == 0
    assert ask(simulator, "b", *turns).usage.prompt_tokens_details.cached_tokens == 0


def test_a_stream_tells_the_cached_tokens_too(simulator: Running) -> None:
    ask(simulator, "a", FIRST)
    chunks = ask(simulator, "a", FIRST, stream=True, stream_options={"include_usage": True})
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens > 300


def test_the_last_token_is_always_computed() -> None:
    replica = Replica("r", 10_000, 1.0)
    exact = prompt(*["word"] * (3 * BLOCK_TOKENS - 3))
    assert exact.tokens == 3 * BLOCK_TOKENS
    assert [replica.look_up(exact), replica.look_up(exact)] == [0, 2 * BLOCK_TOKENS]


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=120), max_size=30))
def test_it_never_holds_more_than_fits(prompts: list[list[str]]) -> None:
    replica = Replica("r", 10 * BLOCK_TOKENS, 1.0)
    for words in prompts:
        asked = prompt(*words)
        read = replica.look_up(asked)
        assert 0 <= read < asked.tokens
        assert len(replica.blocks) <= 10


def test_what_was_used_longest_ago_makes_room() -> None:
    replica = Replica("r", 8 * BLOCK_TOKENS, 1.0)
    a, b, c = (prompt(*[letter] * (4 * BLOCK_TOKENS - 2)) for letter in "abc")
    for one in (a, b, a, c):
        replica.look_up(one)
    assert replica.look_up(a) > 0
    assert replica.look_up(b) == 0


def test_prompts_wait_for_one_another() -> None:
    replica = Replica("r", 10_000, tokens_per_s=100.0)
    waits = [replica.wait_s(tokens, now, 1.0) for tokens, now in ((100, 0.0), (50, 0.5), (10, 1.0), (10, 9.0))]
    assert waits == pytest.approx([0.0, 0.5, 0.5, 0.0])


def test_nothing_of_it_is_on_the_bill_and_it_has_metrics(simulator: Running) -> None:
    ask(simulator, "a", FIRST)
    ask(simulator, "a", FIRST)
    assert simulator.bill()["entries"] == []
    lines = simulator.http.get("/replica/a/metrics").text.splitlines()
    found = {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}
    assert found["vllm:num_requests_running"] == 0
    assert 0 < found["vllm:prefix_cache_hits_total"] < found["vllm:prefix_cache_queries_total"]
    assert simulator.http.get("/replica/a/health").status_code == 200


def test_a_fault_hits_a_replica_by_its_model(simulator: Running) -> None:
    simulator.http.post("/sim/faults", json={"fault": "500", "match": {"model": "llama-3.1-8b"}, "times": 1})
    with pytest.raises(openai.InternalServerError):
        ask(simulator, "a", FIRST)
    ask(simulator, "a", FIRST)


def test_there_are_never_too_many() -> None:
    replicas = Replicas()
    for number in range(100):
        replicas.find(str(number))
    assert len(replicas.by_name) == 64
