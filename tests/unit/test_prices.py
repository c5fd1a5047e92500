import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import PriceError
from fivelevers.prices import Kind, Override, Price, PriceBook, Tier, Usage, find_litellm_map, row_price

ROWS: dict[str, dict[str, Any]] = {
    "gpt-4.1": {
        "litellm_provider": "openai",
        "input_cost_per_token": Decimal("2e-06"),
        "input_cost_per_token_batches": Decimal("1e-06"),
        "input_cost_per_token_priority": Decimal("3.5e-06"),
        "cache_read_input_token_cost": Decimal("5e-07"),
        "output_cost_per_token": Decimal("8e-06"),
    },
    "azure/gpt-4.1": {"litellm_provider": "azure", "input_cost_per_token": Decimal("2.2e-06")},
    "claude-long": {
        "litellm_provider": "anthropic",
        "input_cost_per_token": Decimal("3e-06"),
        "input_cost_per_token_above_200k_tokens": Decimal("6e-06"),
        "input_cost_per_token_above_200k_tokens_batches": Decimal("3.1e-06"),
        "input_cost_per_token_above_500k_tokens": Decimal("9e-06"),
        "cache_creation_input_token_cost": Decimal("3.75e-06"),
        "cache_creation_input_token_cost_above_1hr": Decimal("6.1e-06"),
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": Decimal("12.1e-06"),
        "output_cost_per_token": Decimal("15e-06"),
    },
    "xai/grok": {
        "litellm_provider": "xai",
        "input_cost_per_token": Decimal("1e-06"),
        "input_cost_per_token_above_200k_tokens": Decimal("2e-06"),
    },
    "dashscope/qwen": {
        "litellm_provider": "dashscope",
        "tiered_pricing": [
            {"range": [0, Decimal(32000)], "input_cost_per_token": Decimal("1e-06"), "output_cost_per_token": 5},
            {"range": [Decimal(32000), Decimal(99000)], "input_cost_per_token": Decimal("2e-06")},
        ],
    },
    "thinker": {
        "litellm_provider": "deepthought",
        "input_cost_per_token": Decimal(1),
        "output_cost_per_token": Decimal(2),
        "output_cost_per_reasoning_token": Decimal(3),
    },
    "nightly": {"litellm_provider": "owl", "input_cost_per_token": Decimal(1), "off_peak_pricing": {}},
    "vertex_ai/claude": {"litellm_provider": "vertex_ai-anthropic_models", "input_cost_per_token": Decimal(1)},
    "free": {"litellm_provider": "ollama", "input_cost_per_token": 0, "output_cost_per_token": Decimal("0.0")},
}
BOOK = PriceBook(ROWS)
counts = st.integers(0, 10**9)
usages = st.builds(Usage, counts, counts, counts, counts, counts)


def rate(model: str, kind: Kind = Kind.INPUT, *, prompt: int = 1, batch: bool = False) -> Decimal | None:
    return BOOK.list_price(model).rate(kind, prompt_tokens=prompt, batch=batch)


@given(usages, usages)
def test_usage_adds_by_kind(one: Usage, other: Usage) -> None:
    both = one + other
    assert [tokens for _, tokens in both.items()] == [getattr(one, kind) + getattr(other, kind) for kind in Kind]
    assert both.total == one.total + other.total


def test_the_prompt_is_all_that_went_in() -> None:
    usage = Usage(input=1, cache_read=20, cache_write_5m=300, cache_write_1h=4000, output=50000)
    assert (usage.prompt, usage.total) == (4321, 54321)


def test_tokens_are_never_below_zero() -> None:
    with pytest.raises(ValueError, match=r"usage\.cache_read: -1 is below 0"):
        Usage(cache_read=-1)


def test_every_kind_is_read_from_its_key() -> None:
    read = {kind: rate("claude-long", kind) for kind in Kind}
    assert read == {
        Kind.INPUT: Decimal("3e-06"),
        Kind.CACHE_READ: None,
        Kind.CACHE_WRITE_5M: Decimal("3.75e-06"),
        Kind.CACHE_WRITE_1H: Decimal("6.1e-06"),
        Kind.OUTPUT: Decimal("15e-06"),
    }


def test_batch_rates_stand_apart_and_are_never_guessed() -> None:
    assert rate("gpt-4.1", batch=True) == Decimal("1e-06")
    assert rate("gpt-4.1", Kind.OUTPUT, batch=True) is None


@pytest.mark.parametrize(
    ("prompt", "usd"), [(200_000, "3e-06"), (200_001, "6e-06"), (500_000, "6e-06"), (500_001, "9e-06")]
)
def test_the_tier_is_picked_by_the_whole_prompt(prompt: int, usd: str) -> None:
    assert rate("claude-long", prompt=prompt) == Decimal(usd)


def test_what_a_tier_leaves_out_comes_from_below() -> None:
    assert rate("claude-long", Kind.OUTPUT, prompt=600_000) == Decimal("15e-06")
    assert rate("claude-long", Kind.CACHE_WRITE_1H, prompt=600_000) == Decimal("12.1e-06")
    assert rate("claude-long", prompt=600_000, batch=True) == Decimal("3.1e-06")


def test_one_provider_counts_the_threshold_itself() -> None:
    assert (rate("xai/grok", prompt=199_999), rate("xai/grok", prompt=200_000)) == (Decimal("1e-06"), Decimal("2e-06"))


@pytest.mark.parametrize(("prompt", "usd"), [(1, "1e-06"), (32_000, "1e-06"), (32_001, "2e-06"), (10**6, "2e-06")])
def test_a_tier_table_prices_the_whole_request(prompt: int, usd: str) -> None:
    assert rate("dashscope/qwen", prompt=prompt) == Decimal(usd)
    assert rate("dashscope/qwen", Kind.OUTPUT, prompt=prompt) == 5


def test_what_a_count_of_tokens_can_not_price_is_unknown() -> None:
    assert rate("thinker") == 1
    assert rate("thinker", Kind.OUTPUT) is None
    assert rate("nightly") is None
    assert "hour" in BOOK.list_price("nightly").source


def test_a_stated_zero_is_a_price() -> None:
    assert rate("free") == rate("free", Kind.OUTPUT) == 0


@pytest.mark.parametrize(
    ("model", "provider", "row"),
    [
        ("gpt-4.1", None, "gpt-4.1"),
        ("openai/gpt-4.1", None, "gpt-4.1"),
        ("openai/gpt-4.1", "openai", "gpt-4.1"),
        ("GPT-4.1", "openai", "gpt-4.1"),
        ("gpt-4.1-2031-01-01", "openai", "gpt-4.1"),
        ("gpt-4.1", "azure", "azure/gpt-4.1"),
        ("azure/gpt-4.1", None, "azure/gpt-4.1"),
        ("vertex_ai/claude", None, "vertex_ai/claude"),
        ("claude-7", "vertex_ai", "vertex_ai/claude"),
    ],
)
def test_a_model_is_found_under_the_names_that_litellm_takes(model: str, provider: str | None, row: str) -> None:
    assert BOOK.list_price(model, provider=provider).source == f"LiteLLM map, {row}"


@pytest.mark.parametrize(
    ("model", "provider"), [("nonesuch", None), ("gpt-4.1", "anthropic"), ("claude-long-20310101", "anthropic")]
)
def test_an_unlisted_model_has_no_rate(model: str, provider: str | None) -> None:
    price = BOOK.list_price(model, provider=provider)
    assert price == Price(model, "not in LiteLLM's map")
    assert price.rate(Kind.INPUT, prompt_tokens=1) is None


def test_the_first_override_that_applies_wins_and_the_list_price_stays() -> None:
    free = Tier(0, dict.fromkeys(Kind, Decimal(0)))
    book = PriceBook(
        ROWS,
        (
            Override("by id", deployment="d1", discount=Decimal("0.12")),
            Override("by name", provider="azure", model="gpt-*", terms=free),
        ),
    )
    assert book.price("gpt-4.1", deployment="d1").rate(Kind.INPUT, prompt_tokens=1) == Decimal("1.76e-06")
    assert book.price("gpt-4.1", deployment="d1").rate(Kind.INPUT, prompt_tokens=1, batch=True) == Decimal("0.88e-06")
    assert book.price("azure/gpt-4.1", deployment="d1").source.endswith("12.0% off by by id")
    assert book.price("azure/gpt-4.1").rate(Kind.OUTPUT, prompt_tokens=1) == 0
    assert book.price("gpt-4.1", deployment="d2") == book.list_price("gpt-4.1") == BOOK.list_price("gpt-4.1")
    assert book.list_price("azure/gpt-4.1") == BOOK.list_price("azure/gpt-4.1")


def test_what_the_proxys_config_states_stands_between_overrides_and_the_list() -> None:
    rates = {"input_cost_per_token": Decimal("1e-07"), "cache_read_input_token_cost": Decimal("1e-08")}
    book = PriceBook(
        ROWS, (Override("by id", deployment="d1", discount=Decimal("0.12")),), {"d1": rates, "d2": rates}.get
    )
    assert book.price("gpt-4.1", deployment="d1").source.endswith("12.0% off by by id")
    own = book.price("llama", provider="hosted_vllm", deployment="d2")
    assert own.rate(Kind.INPUT, prompt_tokens=1) == Decimal("1e-07")
    assert own.rate(Kind.CACHE_READ, prompt_tokens=1) == Decimal("1e-08")
    assert own.rate(Kind.OUTPUT, prompt_tokens=1) is None
    assert own.source == "LiteLLM's config, d2"
    assert book.price("gpt-4.1", deployment="d3") == book.list_price("gpt-4.1") == BOOK.list_price("gpt-4.1")


def test_an_override_knows_the_provider_of_a_bare_name() -> None:
    book = PriceBook(ROWS, (Override("ours", provider="openai", discount=Decimal("0.5")),))
    assert book.price("gpt-4.1").rate(Kind.INPUT, prompt_tokens=1) == Decimal("1e-06")
    assert book.price("claude-long") == BOOK.list_price("claude-long")


def test_a_discount_on_an_unknown_price_stays_unknown() -> None:
    book = PriceBook(ROWS, (Override("ours", discount=Decimal("0.5")),))
    assert book.price("nonesuch").rate(Kind.INPUT, prompt_tokens=1) is None


def test_the_map_keeps_the_digits_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "map.json"
    file.write_text('{"sample_spec": {"litellm_provider": "any"}, "rules": [], "M": {"litellm_provider": "p", '
                    '"input_cost_per_token": 1.10e-07, "output_cost_per_token": 3}}')  # fmt: skip
    book = PriceBook.from_litellm_map(file)
    assert str(book.list_price("m").rate(Kind.INPUT, prompt_tokens=1)) == "1.10E-7"
    assert book.list_price("m").rate(Kind.OUTPUT, prompt_tokens=1) == 3
    assert list(book.rows) == ["m"]


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_map_that_is_none_is_named(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "map.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PriceError, match=r"price map: .*map\.json.*; name the map file"):
        PriceBook.from_litellm_map(file)


def test_litellms_own_map() -> None:
    """The models of the shipped configuration are priced in full; each row can be read."""
    book = PriceBook.from_litellm_map(find_litellm_map())
    for model in ("openai/gpt-4.1", "openai/gpt-4.1-mini", "openai/gpt-4.1-nano"):
        price = book.list_price(model)
        assert all(price.rate(kind, prompt_tokens=1) for kind in (Kind.INPUT, Kind.CACHE_READ, Kind.OUTPUT))
    for model in ("anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5"):
        assert all(book.list_price(model).rate(kind, prompt_tokens=1) for kind in Kind)
    assert book.list_price("openai/text-embedding-3-small").rate(Kind.INPUT, prompt_tokens=1) == Decimal("2e-08")
    priced = [row_price(model, "map", row) for model, row in book.rows.items()]
    assert sum(price.rate(Kind.INPUT, prompt_tokens=1) is not None for price in priced) > 3000


def test_the_map_is_found_without_importing_litellm() -> None:
    raw = json.loads(find_litellm_map().read_bytes())
    assert raw["gpt-4.1"]["litellm_provider"] == "openai"
