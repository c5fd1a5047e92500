"""Where the simulator's prices and LiteLLM's price map differ. The two are kept by different people on purpose."""

import importlib.util
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from examples.provider_simulator.prices import Catalogue, Model

FIELDS = {
    "input": "input_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "output": "output_cost_per_token",
}
# (model, what) -> why the two differ
KNOWN: dict[tuple[str, str], str] = {}

Row = tuple[str, str, Decimal, Decimal | None]


def price_map() -> dict[str, Any]:
    """LiteLLM's JSON file, found without importing litellm."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"
    found: dict[str, Any] = orjson.loads(path.read_bytes())
    return found


def rows(model: Model, theirs: dict[str, Any]) -> list[Row]:
    """(model, what, ours, theirs) in USD per million tokens, and tokens for the minimum."""
    found: list[Row] = [
        (model.name, kind, usd, per_million(theirs.get(FIELDS[kind]))) for kind, usd in model.usd.items()
    ]
    above = f"_above_{model.above_tokens // 1000}k_tokens"
    for kind, usd in model.above_usd.items():
        found.append((model.name, f"{kind}{above}", usd, per_million(theirs.get(FIELDS[kind] + above))))
    found += batch_rows(model, model.batch_usd, theirs, "")
    found += batch_rows(model, model.above_batch_usd, theirs, above)
    if model.cache == "marked":
        minimum = theirs.get("prompt_cache_min_tokens")
        found.append((model.name, "minimum", Decimal(model.minimum), minimum and Decimal(minimum)))
    return found


def batch_rows(model: Model, usd: Mapping[str, Decimal], theirs: dict[str, Any], tier: str) -> Iterator[Row]:
    """LiteLLM has no price of a batch's one-hour writes, and an output price of 0 for embeddings."""
    for kind in usd.keys() - {"cache_write_1h"}:
        field = f"{FIELDS[kind]}{tier}_batches"
        yield model.name, f"{kind}{tier} in batches", usd[kind], per_million(theirs.get(field))
    if "cache_read" not in usd and model.cache and not tier:
        assert f"{FIELDS['cache_read']}_batches" not in theirs


def per_million(usd: float | None) -> Decimal | None:
    return None if usd is None else round(Decimal(repr(usd)) * 1_000_000, 9)


def test_differences_are_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    theirs = price_map()
    every = [row for model in Catalogue().models.values() for row in rows(model, theirs.get(model.name, {}))]
    different = {(name, what): (ours, other) for name, what, ours, other in every if ours != other}
    with capsys.disabled():
        for (name, what), (ours, other) in different.items():
            print(f"\n{name} {what}: simulator {ours}, LiteLLM {other}: {KNOWN.get((name, what), 'NEW')}", end="")  # noqa: T201
    assert set(different) == set(KNOWN)


def test_a_changed_price_would_be_noticed() -> None:
    theirs = price_map()["claude-haiku-4-5"]
    halved = theirs | {FIELDS["cache_write_5m"]: theirs[FIELDS["cache_write_5m"]] / 2}
    model = Catalogue().models["claude-haiku-4-5"]
    assert [what for _, what, ours, other in rows(model, halved) if ours != other] == ["cache_write_5m"]
