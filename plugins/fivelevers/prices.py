"""What a token costs: kinds of token, the price of one model, and the price book of all of them.

A price is a rate in USD per token for each `Kind`, exact to the digit that its source wrote. A rate that no source
states is *unknown*, never 0. Source of the list prices: the map file that LiteLLM ships; a deployment's own terms come
from the override file (`price_overrides.py`) and never change the list price.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Self

from fivelevers.errors import PriceError


class Kind(StrEnum):
    """The kinds of token that providers bill apart.

    `INPUT` is the uncached remainder of the prompt. A provider with a single cache-write price bills `CACHE_WRITE_5M`.
    """

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE_5M = "cache_write_5m"
    CACHE_WRITE_1H = "cache_write_1h"
    OUTPUT = "output"


_IN_ORDER: Final = tuple(Kind)  # an enum takes five times as long to iterate


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call or of many, by kind; the fields are named as the kinds are."""

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0

    def __post_init__(self) -> None:
        if min(self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output) < 0:
            kind, tokens = next((kind, tokens) for kind, tokens in self.items() if tokens < 0)
            raise ValueError(f"usage.{kind}: {tokens} is below 0; token counts are 0 or more")

    def items(self) -> Iterator[tuple[Kind, int]]:
        """Every kind with its tokens, in the order of `Kind`."""
        counts = (self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.output)
        return zip(_IN_ORDER, counts, strict=True)

    @property
    def prompt(self) -> int:
        """All tokens that went in, cached or not: the size that picks a context tier."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.prompt + self.output

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(mine + theirs for (_, mine), (_, theirs) in zip(self.items(), other.items(), strict=True)))


@dataclass(frozen=True, slots=True)
class Tier:
    """The rates (USD per token) of a request whose prompt has `from_prompt` tokens or more; a missing kind: unknown."""

    from_prompt: int
    live: dict[Kind, Decimal] = field(default_factory=dict)
    batch: dict[Kind, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one model. `tiers` ascend by `from_prompt`, the first holds from 0. `source`: who states it."""

    model: str
    source: str
    tiers: tuple[Tier, ...] = ()

    def rate(self, kind: Kind, *, prompt_tokens: int, batch: bool = False) -> Decimal | None:
        """USD per token, or None where no source states it.

        The highest tier reached decides; what it leaves out it takes from the tier below, as LiteLLM's calculator does.
        Where batches have no rate for cache reads, these are plain input there: OpenAI's models before GPT-5 (its
        pricing page, tab Batch, 2026-11).
        """
        for tier in reversed(self.tiers):
            rates = tier.batch if batch else tier.live
            if prompt_tokens >= tier.from_prompt and kind in rates:
                return rates[kind]
        if batch and kind is Kind.CACHE_READ:
            return self.rate(Kind.INPUT, prompt_tokens=prompt_tokens, batch=True)
        return None

    def scaled(self, factor: Decimal, source: str) -> "Price":
        """Every known rate times `factor`: a negotiated discount of 12 % is a factor of 0.88."""
        return replace(self, source=source, tiers=tuple(_scaled(tier, factor) for tier in self.tiers))


def _scaled(tier: Tier, factor: Decimal) -> Tier:
    live = {kind: rate * factor for kind, rate in tier.live.items()}
    batch = {kind: rate * factor for kind, rate in tier.batch.items()}
    return Tier(tier.from_prompt, live, batch)


@dataclass(frozen=True, slots=True)
class Override:
    """One deployment's own terms: a share off every list rate, or rates of its own (all 0 for capacity paid anyway).

    It applies to the deployment with this id, else to the models that both globs (`provider`, `model`) fit.
    """

    source: str
    deployment: str | None = None
    provider: str = "*"
    model: str = "*"
    discount: Decimal | None = None
    terms: Tier | None = None

    def applies(self, name: "ModelName", deployment: str | None) -> bool:
        if self.deployment is not None:
            return self.deployment == deployment
        return fnmatchcase(name.provider or "", self.provider) and fnmatchcase(name.model, self.model)

    def price(self, listed: Price) -> Price:
        if self.terms is not None:
            return Price(listed.model, self.source, (self.terms,))
        off = self.discount or Decimal(0)
        return listed.scaled(1 - off, f"{listed.source}, {off:.1%} off by {self.source}")


@dataclass(frozen=True, slots=True)
class ModelName:
    """A model as its provider calls it. `provider` is None where the caller did not say and the map does not know."""

    model: str
    provider: str | None = None

    def candidates(self) -> Iterator[str]:
        """The map's keys to try, in LiteLLM's order: the exact name first, the name without its version last."""
        for model in (self.model, _without_version(self)):
            if self.provider is not None:
                yield f"{self.provider}/{model}".lower()
            yield model.lower()


_VERSION: Final = re.compile(r"-\d{4}-\d{2}-\d{2}$")
_NUMBERED_VERSION: Final = re.compile(r"-\d+$")
_FINE_TUNE_OWNER: Final = re.compile(r"(:[^:]*){3}$")


def _without_version(name: ModelName) -> str:
    """`gpt-4.1-2025-04-14` -> `gpt-4.1`; `ft:gpt-4o:us::id` -> `ft:gpt-4o`. Other dates are part of the name."""
    if name.provider is not None and name.provider.startswith("bedrock"):
        return name.model
    if name.provider in {"vertex_ai", "gemini", "databricks"}:
        return _NUMBERED_VERSION.sub("", name.model)
    return (_FINE_TUNE_OWNER if "ft:" in name.model else _VERSION).sub("", name.model)


# Providers whose rows carry a family suffix ("vertex_ai-anthropic_models", "bedrock_converse").
_FAMILIES: Final = ("vertex_ai", "bedrock", "fireworks_ai")


def _same_provider(asked: str | None, row: str) -> bool:
    return asked is None or asked == row or any(asked.startswith(f) and row.startswith(f) for f in _FAMILIES)


Row = Mapping[str, Any]
"""One model's entry in LiteLLM's map."""


@dataclass(frozen=True, slots=True)
class PriceBook:
    """List prices by model, and what each deployment really pays. `rows`: LiteLLM's map with its keys in lower case.

    `stated`: the row that the proxy's config states for a deployment, by its id; None where it states no price.
    """

    rows: Mapping[str, Row]
    overrides: tuple[Override, ...] = ()
    stated: Callable[[str], Row | None] = field(default=lambda _: None, repr=False, compare=False)
    providers: frozenset[str] = field(init=False)
    _listed: Callable[[ModelName], tuple[Price, ModelName]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        providers = (str(row.get("litellm_provider", "")) for row in self.rows.values())
        object.__setattr__(self, "providers", frozenset(providers) | frozenset(_FAMILIES))
        # Every attempt asks twice, a fleet for a few names; bounded, since a name may be a client's.
        object.__setattr__(self, "_listed", lru_cache(maxsize=1024)(self._find))

    @classmethod
    def from_litellm_map(cls, path: Path, overrides: tuple[Override, ...] = ()) -> Self:
        """Reads LiteLLM's map (0.04 s). Raises PriceError where the file is not one."""
        fix = "name the map file that LiteLLM ships"
        try:
            rows = json.loads(path.read_bytes(), parse_float=Decimal)
        except (OSError, ValueError) as error:
            raise PriceError.of("price map", path, f"can not be read ({error})", fix) from error
        if not isinstance(rows, dict):
            raise PriceError.of("price map", path, "is not a JSON object", fix)
        return cls({key.lower(): row for key, row in rows.items() if _is_model(key, row)}, overrides)

    def list_price(self, model: str, *, provider: str | None = None) -> Price:
        """The published price. `model` may carry the provider as a prefix; an unlisted model has no known rate."""
        return self._listed(self._name(model, provider))[0]

    def price(self, model: str, *, provider: str | None = None, deployment: str | None = None) -> Price:
        """What this deployment pays: by the first override that applies, else by the proxy's config, else the list."""
        listed, name = self._listed(self._name(model, provider))
        override = next((o for o in self.overrides if o.applies(name, deployment)), None)
        if override is not None:
            return override.price(listed)
        row = None if deployment is None else self.stated(deployment)
        if row is None:
            return listed
        return row_price(listed.model, f"LiteLLM's config, {deployment}", {"litellm_provider": name.provider, **row})

    def row(self, model: str, *, provider: str | None = None) -> Row:
        """What the map says of a model beside its rates; empty where it does not list it."""
        return self._row(self._name(model, provider))[1]

    def _name(self, model: str, provider: str | None) -> ModelName:
        prefix, _, rest = model.partition("/")
        if rest and (prefix == provider or (provider is None and prefix in self.providers)):
            return ModelName(rest, prefix)
        return ModelName(model, provider)

    def _find(self, name: ModelName) -> tuple[Price, ModelName]:
        """The list price, and the name with the provider that the map gives where the caller gave none."""
        key, row = self._row(name)
        if not row:
            return Price(name.model, "not in LiteLLM's map"), name
        named = name if name.provider else replace(name, provider=row["litellm_provider"])
        return row_price(name.model, f"LiteLLM map, {key}", row), named

    def _row(self, name: ModelName) -> tuple[str, Row]:
        for key in name.candidates():
            row = self.rows.get(key)
            if row is not None and _same_provider(name.provider, row["litellm_provider"]):
                return key, row
        return "", {}


def _is_model(key: str, row: object) -> bool:
    return key != "sample_spec" and isinstance(row, dict) and isinstance(row.get("litellm_provider"), str)


def find_litellm_map() -> Path:
    """The map file of the installed LiteLLM, found without importing it (that takes seconds)."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise PriceError.of("litellm", None, "is not installed", "install fivelevers[proxy], or pass a map file")
    return Path(spec.submodule_search_locations[0]) / "model_prices_and_context_window_backup.json"


_KINDS: Final = {
    "input_cost_per_token": Kind.INPUT,
    "cache_read_input_token_cost": Kind.CACHE_READ,
    "cache_creation_input_token_cost": Kind.CACHE_WRITE_5M,
    "cache_creation_input_token_cost_above_1hr": Kind.CACHE_WRITE_1H,
    "output_cost_per_token": Kind.OUTPUT,
}
# Other suffixes (_priority, _flex) are service tiers: not what a request pays unless it asks for them.
_RATE: Final = re.compile(rf"({'|'.join(sorted(_KINDS, key=len, reverse=True))})(?:_above_(\d+k?)_tokens)?(_batches)?")
# "above" is strictly above everywhere but here.
_INCLUSIVE_PROVIDERS: Final = frozenset({"xai"})


def row_price(model: str, source: str, row: Row) -> Price:
    """The price that a row of LiteLLM's map states. Fees that are not per token (search, images) are not in it."""
    if "off_peak_pricing" in row:
        return Price(model, f"{source} (its rates change with the hour)")
    tiers: dict[int, Tier] = {0: Tier(0)}
    for from_prompt, key, rate in _rates(row):
        match = _RATE.fullmatch(key)
        if match is None:
            continue
        start = max(from_prompt, _first_prompt(match[2], inclusive=row["litellm_provider"] in _INCLUSIVE_PROVIDERS))
        tier = tiers.setdefault(start, Tier(start))
        rates = tier.batch if match[3] else tier.live
        rates[_KINDS[match[1]]] = rate
    return Price(model, source, tuple(tiers[start] for start in sorted(tiers)))


def _rates(row: Row) -> Iterator[tuple[int, str, Decimal]]:
    """The row's own numbers, then those of its `tiered_pricing` table: (first prompt size priced, key, rate)."""
    parts = [part for part in row.get("tiered_pricing", ()) if "range" in part]
    # Where reasoning has a rate of its own, what an output token costs is not known from the count of output tokens.
    unknown = "output_cost_per_token" if any(map(_mixes_reasoning, (row, *parts))) else None
    for part in (row, *parts):
        above = int(part["range"][0]) if "range" in part else 0
        for key, value in part.items():
            if isinstance(value, int | Decimal) and key != unknown:
                yield above + 1 if above else 0, key, Decimal(value)


def _first_prompt(above: str | None, *, inclusive: bool) -> int:
    """`200k` -> 200001: the smallest prompt that is above 200 thousand tokens."""
    if above is None:
        return 0
    tokens = int(above.removesuffix("k")) * (1000 if above.endswith("k") else 1)
    return tokens if inclusive else tokens + 1


def _mixes_reasoning(part: Row) -> bool:
    output = part.get("output_cost_per_token")
    return bool(part.get("output_cost_per_reasoning_token", output) != output)
