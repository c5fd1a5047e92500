"""The bill is right to the last decimal, and also for answers that never arrive."""

import time
from decimal import Decimal
from typing import Any

import anthropic
import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator.bill import Bill, Entry, Usage
from examples.provider_simulator.prices import KINDS, Catalogue
from examples.provider_simulator.tokens import count_tokens
from tests.simulator.conftest import Running

MODELS = Catalogue().models
TOKENS = st.integers(0, 400_000)
HI: list[Any] = [{"role": "user", "content": "Tell me something about your work"}]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    model = MODELS[draw(st.sampled_from(sorted(MODELS)))]
    usage = Usage(**{kind: draw(TOKENS) for kind in KINDS if kind in model.usd})
    return Entry("id", "req", 0.0, draw(st.sampled_from("ab")), model, "chat", False, usage, usage_reported=True)


@given(st.lists(entries(), max_size=20))
def test_lines_are_the_sum_of_entries(rows: list[Entry]) -> None:
    bill = Bill()
    for row in rows:
        bill.add(row)
    body = bill.as_json(detail=True)
    assert body["requests"] == len(rows)
    for kind in KINDS:
        tokens = sum(line["tokens"] for line in body["lines"] if line["kind"] == kind)
        assert tokens == sum(entry["tokens"][kind] for entry in body["entries"])
    usd = sum((Decimal(line["usd"]) for line in body["lines"]), Decimal(0))
    assert usd == sum((Decimal(entry["usd"]) for entry in body["entries"]), Decimal(0))


def test_a_bill_worked_by_hand() -> None:
    bill = Bill()
    usage = Usage(input=1_000, cache_read=20_000, cache_write_5m=3_000, cache_write_1h=400, output=500)
    bill.add(Entry("i", "r", 0, "k", MODELS["claude-sonnet-4-5"], "messages", False, usage, usage_reported=True))
    usd = {line["kind"]: line["usd"] for line in bill.as_json()["lines"]}
    assert usd == {
        "input": "0.003",
        "cache_read": "0.006",
        "cache_write_5m": "0.01125",
        "cache_write_1h": "0.0024",
        "output": "0.0075",
    }


@pytest.mark.parametrize(
    ("cached", "prices"),
    [(99_999, ("0.10", "0.01", "0.50")), (100_000, ("0.50", "0.05", "2.50"))],
)
def test_long_context_prices_the_whole_request(cached: int, prices: tuple[str, str, str]) -> None:
    """Cached tokens count towards the threshold of 100,000, and beyond it every token has the higher price."""
    usage = Usage(input=1, cache_read=cached, output=50)
    entry = Entry("i", "r", 0, "k", MODELS["claude-haiku-5-5"], "messages", False, usage, usage_reported=True)
    fresh, read, output = map(Decimal, prices)
    assert Decimal(entry.as_json()["usd"]) == (fresh + cached * read + 50 * output) / 1_000_000


def settled(simulator: Running, count: int = 1) -> list[Entry]:
    """The entries, once the server has noticed that a caller went away."""
    for _ in range(400):
        if simulator.sim.bill.requests >= count:
            break
        time.sleep(0.005)
    return list(simulator.sim.bill.entries)


def test_a_timed_out_answer_is_billed_whole(oai: openai.OpenAI, simulator: Running) -> None:
    simulator.sim.faults.add({"fault": "timeout", "hang_s": 60, "times": 1})
    with pytest.raises(openai.APITimeoutError):
        oai.with_options(timeout=0.2).chat.completions.create(model="gpt-4.1", messages=HI)
    (entry,) = settled(simulator)
    assert entry.usage.output > 0
    assert not entry.usage_reported


def test_a_timed_out_stream_is_billed_whole(oai: openai.OpenAI, simulator: Running) -> None:
    simulator.sim.faults.add({"fault": "timeout", "hang_s": 60, "times": 1})
    with pytest.raises(openai.APITimeoutError):
        oai.with_options(timeout=0.2).chat.completions.create(model="gpt-4.1", messages=HI, stream=True)
    (entry,) = settled(simulator)
    assert entry.usage.output > 0
    assert not entry.usage_reported


def test_a_short_hang_is_waited_out(oai: openai.OpenAI, simulator: Running) -> None:
    simulator.sim.faults.add({"fault": "timeout", "hang_s": 0.1, "times": 1})
    answer = oai.chat.completions.create(model="gpt-4.1", messages=HI)
    (entry,) = settled(simulator)
    assert answer.usage is not None
    assert (entry.usage.output, entry.usage_reported) == (answer.usage.completion_tokens, True)


def test_a_cut_stream_bills_what_was_sent(claude: anthropic.Anthropic, simulator: Running) -> None:
    simulator.sim.faults.add({"fault": "cut_stream", "after_chunks": 5, "times": 1})
    pieces: list[str] = []
    with (
        claude.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=HI) as stream,
        pytest.raises(Exception, match="incomplete chunked read"),
    ):
        pieces.extend(stream.text_stream)
    (entry,) = settled(simulator)
    assert entry.usage.output == sum(map(count_tokens, pieces)) > 0
    assert entry.usage.input > 0
    assert not entry.usage_reported
    whole = claude.messages.create(model="claude-haiku-4-5", max_tokens=500, messages=HI)
    assert entry.usage.input == whole.usage.input_tokens


def test_an_abandoned_stream_bills_what_was_produced(simulator: Running) -> None:
    simulator.sim.latency_scale = 20
    body = {"model": "gpt-4.1-nano", "messages": HI, "stream": True, "stream_options": {"include_usage": True}}
    with (
        httpx.Client(base_url=simulator.url) as client,
        client.stream("POST", "/v1/chat/completions", json=body, headers={"authorization": "Bearer k"}) as answer,
    ):
        lines = answer.iter_lines()
        while "content" not in next(lines):
            pass
    (entry,) = settled(simulator)
    simulator.sim.latency_scale = 0
    assert not entry.usage_reported
    answer = simulator.http.post("/v1/chat/completions", json=body, headers={"authorization": "Bearer k"})
    whole = settled(simulator, 2)[1]
    assert entry.usage.output < whole.usage.output
    assert entry.usage.input == whole.usage.input


def test_a_stream_without_usage_is_billed_all_the_same(
    oai: openai.OpenAI, claude: anthropic.Anthropic, simulator: Running
) -> None:
    simulator.sim.faults.add({"fault": "no_stream_usage"})
    chunks = list(
        oai.chat.completions.create(model="gpt-4.1", messages=HI, stream=True, stream_options={"include_usage": True})
    )
    assert all(chunk.usage is None for chunk in chunks)
    with claude.messages.stream(model="claude-haiku-4-5", max_tokens=500, messages=HI) as stream:
        assert stream.get_final_message().usage.output_tokens == 0
    events = list(oai.responses.create(model="gpt-4.1", input="hi", stream=True))
    assert events[-1].type == "response.completed"
    assert events[-1].response.usage is None
    rows = settled(simulator, 3)
    assert all(row.usage.output > 0 and not row.usage_reported for row in rows)
    assert len(rows) == 3


def test_plain_answers_are_untouched_by_stream_faults(oai: openai.OpenAI, simulator: Running) -> None:
    simulator.sim.faults.add([{"fault": "cut_stream"}, {"fault": "no_stream_usage"}])
    assert oai.chat.completions.create(model="gpt-4.1", messages=HI).usage is not None


def test_the_bill_by_key_and_model(oai: openai.OpenAI, claude: anthropic.Anthropic, simulator: Running) -> None:
    oai.chat.completions.create(model="gpt-4.1", messages=HI)
    claude.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=HI)
    body: Any = simulator.bill()
    assert {(line["key"], line["provider"], line["model"]) for line in body["lines"]} == {
        ("sk-team-a", "openai", "gpt-4.1"),
        ("sk-team-b", "anthropic", "claude-haiku-4-5"),
    }
    assert "entries" not in simulator.http.get("/sim/bill").json()
