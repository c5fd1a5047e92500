"""The terms on which deployments cache prefixes: from the data file, the price map and overrides."""

from __future__ import annotations

import re
from decimal import Decimal
from importlib.resources import files

import orjson
import pytest

from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import Kind, Override, PriceBook, Tier, find_litellm_map
from fivelevers.providers.cache_rules import TermBook

BOOK = PriceBook.from_litellm_map(find_litellm_map())
TERMS = TermBook(BOOK)


@pytest.mark.parametrize(
    ("provider", "model", "style", "minimum", "read", "write"),
    [
        ("anthropic", "claude-sonnet-4-5", Style.MARKS, 1024, 0.1, {300: 1.25, 3600: 2.0}),
        ("anthropic", "claude-haiku-4-5", Style.MARKS, 4096, 0.1, {300: 1.25, 3600: 2.0}),
        ("anthropic", "claude-opus-5-5", Style.MARKS, 512, 0.05, {300: 1.25, 3600: 2.0}),
        ("openai", "gpt-5.6", Style.BREAKPOINTS, 1024, 0.1, {1800: 1.25}),
        ("openai", "gpt-4.1", Style.AUTOMATIC, 1024, 0.25, {}),
    ],
)
def test_terms_of_listed_models(
    provider: str, model: str, style: Style, minimum: int, read: float, write: dict[int, float]
) -> None:
    terms = TERMS.of(provider, model, None)
    assert (terms.rules.style, terms.rules.minimum_tokens) == (style, minimum)
    assert terms.prices is not None
    assert terms.prices.read == pytest.approx(read)
    assert dict(terms.prices.write) == pytest.approx(write)


@pytest.mark.parametrize(
    ("provider", "model"),
    [("bedrock", "anthropic.claude-sonnet-4-5"), ("vertex_ai", "claude-sonnet-4-5"), ("hosted_vllm", "gpt-4.1")],
)
def test_providers_that_are_left_out_take_no_marks(provider: str, model: str) -> None:
    assert TERMS.of(provider, model, None).rules.style is Style.NONE


def test_a_model_without_a_price_has_no_break_even() -> None:
    terms = TERMS.of("anthropic", "claude-that-no-map-knows", None)
    assert (terms.rules.style, terms.rules.minimum_tokens, terms.prices) == (Style.MARKS, 4096, None)


def test_paid_anyway_has_no_break_even() -> None:
    free = Tier(0, dict.fromkeys(Kind, Decimal(0)))
    book = PriceBook(BOOK.rows, (Override("test", deployment="d", terms=free),))
    assert TermBook(book).of("anthropic", "claude-sonnet-4-5", "d").prices is None


def test_every_rule_has_a_source_and_a_date() -> None:
    text = (files("fivelevers.providers") / "cache_rules.json").read_bytes()
    for entry in orjson.loads(text)["rules"]:
        assert entry["source"].startswith("https://")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry["read_on"])
