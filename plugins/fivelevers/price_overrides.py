"""The price override file: what a deployment really pays, where that is not the list price.

    overrides:
      - deployment: eu-frontier-1        # LiteLLM's model id of one deployment
        discount: 0.12                   # 12 % off every list rate
      - provider: azure                  # else by provider and model; both are globs
        model: gpt-4.1*
        zero_marginal: true              # provisioned throughput: the next token costs nothing
      - provider: hosted_vllm
        model: "*"
        rates: {input: 0.20, output: 0.60, cache_read: 0.02}    # USD per million tokens; batch_rates likewise

The first entry that matches wins. A kind that `rates` leaves out is unknown, not free. List prices never change.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from fivelevers.errors import PriceError, Problem
from fivelevers.prices import Kind, Override, Tier

_MILLION: Final = Decimal(1_000_000)
_FIXES: Final = {
    "overrides": "list the entries under `overrides:`",
    "discount": "use a share such as 0.12",
    "zero_marginal": "write true, or leave it out",
    "deployment": "name the model id of one deployment",
    "provider": "name a provider such as azure, or a glob",
    "model": "name a model such as gpt-4.1, or a glob",
}


class _Loader(yaml.SafeLoader):
    """YAML whose numbers are decimals: a price keeps the digits that were written."""


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> Decimal | str:
    text = str(loader.construct_scalar(node))
    try:
        return Decimal(text)
    except InvalidOperation:  # .nan, 0x10, 1:30: numbers to YAML, no price to us
        return text


for _tag in ("float", "int"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _decimal)

_Rates = dict[Annotated[Kind, Field(strict=False)], Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Entry(_Strict):
    deployment: str | None = None
    provider: str | None = None
    model: str | None = None
    discount: Annotated[Decimal, Field(ge=0, le=1)] | None = None
    rates: _Rates | None = None
    batch_rates: _Rates | None = None
    zero_marginal: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_match_one_term(self) -> Self:
        by_name = self.provider is not None or self.model is not None
        if by_name == (self.deployment is not None):
            rule, fix = "matches nothing, or in two ways", "give deployment, or provider and model"
            raise PydanticCustomError("match", "{rule}", {"rule": rule, "fix": fix})
        if (self.discount, self.rates, self.zero_marginal).count(None) != 2:
            rule, fix = "states no terms, or more than one", "give one of discount, rates, zero_marginal"
            raise PydanticCustomError("terms", "{rule}", {"rule": rule, "fix": fix})
        if self.batch_rates is not None and self.rates is None:
            rule, fix = "has batch_rates without rates", "give both"
            raise PydanticCustomError("terms", "{rule}", {"rule": rule, "fix": fix})
        return self

    def override(self, source: str) -> Override:
        terms = None
        if self.zero_marginal:
            terms = Tier(0, dict.fromkeys(Kind, Decimal(0)), dict.fromkeys(Kind, Decimal(0)))
        elif self.rates is not None:
            terms = Tier(0, _per_token(self.rates), _per_token(self.batch_rates or {}))
        return Override(source, self.deployment, self.provider or "*", self.model or "*", self.discount, terms)


class _File(_Strict):
    overrides: list[_Entry]


def load_overrides(path: Path) -> tuple[Override, ...]:
    """Reads the file. Raises PriceError with every problem in it."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader whose numbers are decimals
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PriceError.of("price overrides", path, f"can not be read ({error})", "name a YAML file") from error
    try:
        parsed = _File.model_validate(raw)
    except ValidationError as error:
        raise PriceError(tuple(_problem(detail, str(path)) for detail in error.errors())) from error
    return tuple(entry.override(f"{path.name}, entry {at}") for at, entry in enumerate(parsed.overrides, 1))


def _per_token(per_million: Mapping[Kind, Decimal]) -> dict[Kind, Decimal]:
    return {kind: rate / _MILLION for kind, rate in per_million.items()}


def _problem(error: ErrorDetails, file: str) -> Problem:
    where = [str(part) for part in error["loc"] if part != "[key]"]
    return Problem(".".join(where) or "the file", error["input"], _rule(error), _fix(error, where), file)


def _rule(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return "stands under an unknown key"
    # Not the types' own names: the reader wrote YAML.
    message = error["msg"].replace("an instance of Decimal", "a number").replace("Input should be", "is not")
    return "is not a mapping" if error["type"] == "model_type" else message


def _fix(error: ErrorDetails, where: list[str]) -> str:
    context: dict[str, Any] = error.get("ctx", {})
    if "fix" in context:
        return str(context["fix"])
    if error["type"] == "extra_forbidden":
        known = list(_Entry.model_fields) if len(where) > 1 else list(_File.model_fields)
        near = get_close_matches(where[-1], known, n=1, cutoff=0.0)
        return f"did you mean {near[0]}?"
    if "rates" in where or "batch_rates" in where:
        return f"give USD per million tokens by kind ({', '.join(Kind)}), such as input: 0.20"
    return next((_FIXES[part] for part in reversed(where) if part in _FIXES), _FIXES["overrides"])
