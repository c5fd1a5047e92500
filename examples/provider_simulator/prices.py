"""The models that the simulator knows and what their tokens cost, from `prices.yaml`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from examples.provider_simulator.errors import ApiError, Provider

PRICES_FILE = Path(__file__).with_name("prices.yaml")
KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")

UsdPerMillion = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class Model:
    """`cache` is "automatic", "breakpoints" (OpenAI), "marked" (Anthropic) or "" for none; `minimum` is in tokens."""

    name: str
    provider: Provider
    snapshot: str
    tier: str
    context: int
    max_output: int
    cache: str
    minimum: int
    dimensions: int
    usd: UsdPerMillion
    above_tokens: int
    above_usd: UsdPerMillion
    batch_usd: UsdPerMillion = field(default_factory=dict)
    above_batch_usd: UsdPerMillion = field(default_factory=dict)

    def price(self, kind: str, input_tokens: int, *, batch: bool = False) -> Decimal:
        """USD per million tokens of a kind in a request with `input_tokens` of input, cached ones included."""
        long = self.above_tokens and input_tokens > self.above_tokens
        if batch:
            usd = self.above_batch_usd if long else self.batch_usd
            return usd.get(kind, usd["input"])
        return (self.above_usd if long else self.usd)[kind]


class Catalogue:
    def __init__(self, path: Path = PRICES_FILE) -> None:
        self.table: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        models = [_model(name, row) for name, row in self.table["models"].items()]
        self.models = {model.name: model for model in models}
        self._by_any_name = self.models | {model.snapshot: model for model in models}

    def find(self, name: str, provider: Provider, *, embeddings: bool = False) -> Model:
        model = self._by_any_name.get(name)
        if model is None or model.provider != provider or (model.tier == "embedding") != embeddings:
            text = f"model: {name}" if provider == "anthropic" else f"The model `{name}` does not exist for this API"
            raise ApiError(404, text, param="model", code="model_not_found")
        return model


def _model(name: str, row: Mapping[str, Any]) -> Model:
    cache, above = row.get("cache", {}), row.get("above", {})
    return Model(
        name=name,
        provider=row["provider"],
        snapshot=row.get("snapshot", name),
        tier=row["tier"],
        context=row["context"],
        max_output=row.get("max_output", 0),
        cache=cache.get("kind", ""),
        minimum=cache.get("minimum", 1024),
        dimensions=row.get("dimensions", 0),
        usd=_decimals(row["usd"]),
        above_tokens=above.get("tokens", 0),
        above_usd=_decimals(above.get("usd", {})),
        batch_usd=_decimals(row["batch_usd"]),
        above_batch_usd=_decimals(above.get("batch_usd", {})),
    )


def _decimals(row: Mapping[str, str]) -> UsdPerMillion:
    return {kind: Decimal(usd) for kind, usd in row.items()}
