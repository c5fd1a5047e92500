"""Batches on the bill: half the price, told from live, each row by its batch and custom id; and no row twice unseen."""

from decimal import Decimal
from typing import Any

import openai
import pytest

from examples.provider_simulator.bill import Entry, Usage
from examples.provider_simulator.prices import Catalogue
from tests.simulator.conftest import Running
from tests.simulator.test_openai_batches import ended, line, settings, submit

MODELS = Catalogue().models


def usd(model: str, usage: Usage, *, batch: str) -> Decimal:
    return Entry("i", "r", 0, "k", MODELS[model], "chat", False, usage, usage_reported=True, batch=batch).usd


def test_a_batch_costs_half_where_nothing_is_cached() -> None:
    usage = Usage(input=1000, output=100)
    for name, model in MODELS.items():
        used = usage if "output" in model.usd else Usage(input=1000)
        assert usd(name, used, batch="b") * 2 == usd(name, used, batch="")


@pytest.mark.parametrize(
    ("model", "per_million"), [("gpt-4.1", "1.00"), ("gpt-4o", "1.25"), ("gpt-5", "0.0625"), ("claude-opus-5", "0.25")]
)
def test_cached_input_in_a_batch(model: str, per_million: str) -> None:
    """OpenAI's models before GPT-5 have no cache discount in batches: cached input costs what input costs there."""
    assert usd(model, Usage(cache_read=1_000_000), batch="b") == Decimal(per_million)


def test_the_bill_tells_batches_from_live_calls(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    body: Any = line(1)["body"]
    oai.chat.completions.create(**body)
    batch = ended(oai, submit(oai, [line(1), line(2)]))
    bill: Any = simulator.bill()
    prices = {(row["kind"], row["batch"]): Decimal(row["usd"]) / row["tokens"] for row in bill["lines"]}
    assert prices == {
        ("input", False): Decimal("0.40") / 1_000_000,
        ("output", False): Decimal("1.60") / 1_000_000,
        ("input", True): Decimal("0.20") / 1_000_000,
        ("output", True): Decimal("0.80") / 1_000_000,
    }
    live, *batched = bill["entries"]
    assert (live["batch"], live["custom_id"]) == (None, None)
    assert {(row["batch"], row["custom_id"]) for row in batched} == {(batch.id, "row-1"), (batch.id, "row-2")}
    assert all(row["usage_reported"] for row in batched)


def test_a_row_that_came_twice_is_told(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=0)
    first = ended(oai, submit(oai, [line(1), line(2)]))
    ended(oai, submit(oai, [line(2), line(3) | {"custom_id": "row-2b"}]))
    ended(oai, submit(oai, [line(4), line(4)]))
    body = simulator.http.get("/sim/batches", params={"detail": 1}).json()
    assert body["rows"] == {"submitted": 5, "succeeded": 4, "refused": 1}
    assert body["repeated"]["custom_ids"] == {"row-2": {"submitted": 2, "ran": 2}}
    assert list(body["repeated"]["bodies"].values()) == [{"submitted": 2, "ran": 2}]
    assert [(row["id"], row["rows"], row["ran"]) for row in body["batches"][:1]] == [(first.id, 2, 2)]
    bill: Any = simulator.bill()
    assert sum(Decimal(row["usd"]) for row in body["detail"]) == sum(Decimal(row["usd"]) for row in bill["lines"])
    assert "detail" not in simulator.http.get("/sim/batches").json()


def test_reset_stops_batches_and_forgets_them(oai: openai.OpenAI, simulator: Running) -> None:
    settings(simulator, seconds=100)
    batch = submit(oai, [line(1)])
    simulator.http.post("/sim/reset")
    simulator.http.post("/sim/clock", json={"advance_s": 100})
    body = simulator.http.get("/sim/batches").json()
    assert (body["batches"], body["settings"]["seconds"]) == ([], None)
    assert list(oai.files.list()) == []
    with pytest.raises(openai.NotFoundError):
        oai.batches.retrieve(batch.id)
    assert simulator.sim.bill.requests == 0


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"secnods": 1}, "secnods"),
        ({"seconds": -1}, "seconds"),
        ({"scale": None}, "scale"),
        ({"p50_s": 10, "p90_s": 5}, "p90_s"),
        ({"enqueued_tokens": {"gpt-4.1": "many"}}, "enqueued_tokens.gpt-4.1"),
        ([], "[]"),
    ],
)
def test_wrong_settings_are_named(simulator: Running, body: Any, named: str) -> None:
    answer = simulator.http.post("/sim/batches", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(named)


def test_times_are_drawn_as_said(simulator: Running) -> None:
    source, drawn = simulator.sim.batches.random, simulator.sim.batches.settings.draw_s
    times = sorted(drawn(source) for _ in range(4000))
    assert 380 < times[2000] < 460
    assert 3000 < times[3600] < 4300
