"""OpenAI's two kinds of prompt cache: automatic in steps of 128, and from 5.6 on at breakpoints with paid writes."""

from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator import cache_automatic, cache_breakpoints, cache_marked
from examples.provider_simulator.cache_store import CacheStore
from examples.provider_simulator.conversation import Conversation, Turn, text_part
from examples.provider_simulator.prices import Catalogue
from tests.simulator.conftest import Running

LONG = " ".join(["The quick brown fox jumps over the lazy dog."] * 150)  # 1,500 tokens
OLD, NEW = "gpt-4.1", "gpt-5.6"


class Caller:
    def __init__(self, client: openai.OpenAI, running: Running) -> None:
        self.client = client
        self.running = running

    def ask(self, messages: list[Any] | str, model: str = OLD, **body: Any) -> tuple[int, int]:
        """(cached, written) in tokens."""
        turns: list[Any] = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
        answer = self.client.chat.completions.create(model=model, messages=turns, max_completion_tokens=9, **body)
        assert answer.usage is not None
        details = answer.usage.prompt_tokens_details
        assert details is not None
        return details.cached_tokens or 0, details.cache_write_tokens or 0

    def wait(self, seconds: float) -> None:
        self.running.http.post("/sim/clock", json={"advance_s": seconds}).raise_for_status()


@pytest.fixture
def caller(oai: openai.OpenAI, simulator: Running) -> Caller:
    return Caller(oai, simulator)


def test_steps_of_128_from_1024(caller: Caller) -> None:
    assert caller.ask(LONG) == (0, 0)
    cached, written = caller.ask(LONG)
    assert (cached % 128, written) == (0, 0)
    assert 1024 <= cached <= 1503
    longer, _ = caller.ask(LONG + "And then something else follows.")
    assert longer == cached


def test_below_1024_nothing(caller: Caller) -> None:
    assert [caller.ask("word " * 1000)[0] for _ in range(2)] == [0, 0]


def test_only_an_exact_prefix_counts(caller: Caller) -> None:
    caller.ask(LONG)
    assert caller.ask("x" + LONG)[0] == 0
    cut = LONG[: len(LONG) // 5 * 4]  # 1,200 tokens are the same
    assert caller.ask(cut + "Here it goes another way. " * 100)[0] == 1152


def test_idle_time_and_the_longest_life(caller: Caller) -> None:
    caller.ask(LONG)
    for _ in range(7):
        caller.wait(500)
        assert caller.ask(LONG)[0] > 0
    caller.wait(500)  # over an hour after the write
    assert caller.ask(LONG)[0] == 0
    caller.wait(601)
    assert caller.ask(LONG)[0] == 0


def test_a_day_when_asked_for(caller: Caller) -> None:
    caller.ask(LONG, prompt_cache_retention="24h")
    caller.wait(20 * 3600)
    assert caller.ask(LONG)[0] > 0


def test_cache_key_routes(caller: Caller) -> None:
    caller.ask(LONG, prompt_cache_key="a")
    assert caller.ask(LONG, prompt_cache_key="b")[0] == 0
    assert caller.ask(LONG, prompt_cache_key="a")[0] > 0


def test_isolated_by_key_and_model(caller: Caller) -> None:
    caller.ask(LONG)
    assert caller.ask(LONG, model="gpt-4.1-mini")[0] == 0
    with openai.OpenAI(base_url=f"{caller.running.url}/v1", api_key="sk-other", max_retries=0) as other:
        assert Caller(other, caller.running).ask(LONG)[0] == 0


def test_responses_report_cached_tokens(oai: openai.OpenAI) -> None:
    reads = []
    for _ in range(2):
        usage = oai.responses.create(model=OLD, input=LONG, max_output_tokens=9).usage
        assert usage is not None
        reads.append(usage.input_tokens_details.cached_tokens)
    assert reads[0] == 0
    assert reads[1] >= 1024


def test_newer_models_pay_for_writes(caller: Caller) -> None:
    cached, written = caller.ask(LONG, NEW)
    assert (cached, written) == (0, 1503)
    assert caller.ask(LONG, NEW) == (1503, 0)
    lines = {line["kind"]: line for line in caller.running.http.get("/sim/bill").json()["lines"]}
    assert lines["cache_write_5m"]["usd"] == "0.007515"  # 1,503 tokens at 1.25 times 4 USD
    assert lines["cache_read"]["usd"] == "0.0006012"
    caller.wait(1801)
    assert caller.ask(LONG, NEW) == (0, 1503)


def test_newer_models_match_at_breakpoints_alone(caller: Caller) -> None:
    caller.ask(LONG, NEW)
    assert caller.ask(LONG + "More.", NEW)[0] == 0
    turns: list[Any] = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "ok"}]
    turns.append({"role": "user", "content": "next"})
    cached, written = caller.ask(turns, NEW)
    assert (cached, written) == (1503, 8)


def test_explicit_mode_writes_at_marks_alone(caller: Caller) -> None:
    marked = {"type": "text", "text": LONG, "prompt_cache_breakpoint": {"mode": "explicit"}}
    turns = [{"role": "user", "content": [marked, {"type": "text", "text": "tail"}]}]
    explicit: dict[str, Any] = {"prompt_cache_options": {"mode": "explicit"}}
    assert caller.ask(turns, NEW, **explicit) == (0, 1503)
    assert caller.ask(turns, NEW, **explicit) == (1503, 0)
    assert caller.ask(LONG + " ", NEW, **explicit) == (0, 0)


def test_an_unknown_lifetime_is_refused(caller: Caller) -> None:
    with pytest.raises(openai.BadRequestError, match="30m"):
        caller.ask(LONG, NEW, extra_body={"prompt_cache_options": {"ttl": "2h"}})


TEXTS = st.lists(st.sampled_from([LONG[:2000], LONG[:5000], "short", "b " * 700]), min_size=1, max_size=6)


@given(st.lists(TEXTS, min_size=1, max_size=6), st.lists(st.integers(0, 900), min_size=6, max_size=6))
def test_parts_never_exceed_the_prompt(requests: list[list[str]], gaps: list[int]) -> None:
    """Whatever is asked in whatever rhythm: reads and writes fit into the prompt, and reads were written before."""
    models = Catalogue().models
    stores = {"automatic": CacheStore(), "breakpoints": CacheStore(), "marked": CacheStore()}
    most = dict.fromkeys(stores, 0)
    now = 0.0
    for texts, gap in zip(requests, gaps, strict=False):
        now += gap
        marks = [None, "5m", None, "5m", None, "5m"]
        parts = tuple(text_part(text, mark) for text, mark in zip(texts, marks, strict=False))
        prompt = Conversation(turns=(Turn("user", parts),))
        for name, store in stores.items():
            if name == "automatic":
                use = cache_automatic.look_up(store, prompt, models["gpt-4.1"], "k", now)
            elif name == "breakpoints":
                use = cache_breakpoints.look_up(store, prompt, models["gpt-5.6"], "k", now)
            else:
                use = cache_marked.look_up(store, prompt, models["claude-sonnet-4-6"], "k", now)
            assert use.read + use.write_5m + use.write_1h <= prompt.tokens
            assert use.read <= most[name]
            most[name] = max(most[name], prompt.tokens)
            store.put(use.entries)
