"""Labelled prompts from a file, as routing is fitted to: which models answered each rightly, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fivelevers.cli.json_lines import lines_of
from fivelevers.errors import CalibrationError
from fivelevers.levers.routing import artifact
from fivelevers.levers.routing.artifact import TokenPrice
from fivelevers.levers.routing.chances import Chances
from fivelevers.levers.routing.examples import Examples
from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.scorer import cascaded, looked_at
from fivelevers.metering.cost import Unknown, cost
from fivelevers.prices import Usage

if TYPE_CHECKING:
    from fivelevers.prices import PriceBook

_FIX = 'write {"prompt", "route", "correct": {model: true}, "tokens": {model: [input, output]}} in each line'

_Chance = Annotated[float, Field(ge=0, le=1)]


class LabelledPrompt(BaseModel):
    """One line. ``route``: of the policy, or a part of one that requests name. ``tokens``: input and output of each
    model's call; ``cost_usd`` serves where they are not known. ``answers``: the texts, empty where a model failed; what
    a cascade learns from, with ``chances``: of their tokens, the mean and the least.
    """

    model_config = ConfigDict(extra="ignore")

    prompt: str
    route: str = "default"
    correct: dict[str, bool] = Field(min_length=1)
    tokens: dict[str, tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]]] = {}
    cost_usd: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = {}
    answers: dict[str, str] = {}
    chances: dict[str, tuple[_Chance, _Chance]] = {}

    @model_validator(mode="after")
    def _every_answer_has_a_cost(self) -> LabelledPrompt:
        bare = [model for model in self.correct if model not in self.tokens and model not in self.cost_usd]
        if bare:
            raise ValueError(f"{bare[0]} has neither tokens nor cost_usd")
        return self


def read(path: Path) -> list[LabelledPrompt]:
    """Raises CalibrationError, OSError."""
    found = []
    for place, line in lines_of(path):
        try:
            found.append(LabelledPrompt.model_validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(map(str, first["loc"])) or "line"
            raise CalibrationError(f"{place}: {field}: {first['msg']}; {_FIX}") from error
    if not found:
        raise CalibrationError(f"{path}: is empty; {_FIX}")
    return found


def answered_by_all(prompts: Sequence[LabelledPrompt]) -> list[LabelledPrompt]:
    """Those that every model of the file answered. Raises CalibrationError where there is none."""
    models = tuple(dict.fromkeys(model for one in prompts for model in one.correct))
    kept = [one for one in prompts if len(one.correct) == len(models)]
    if not kept:
        raise CalibrationError(f"no prompt was answered by all of {', '.join(models)}; label the same ones with each")
    return kept


def with_answer(prompts: Sequence[LabelledPrompt], model: str) -> list[LabelledPrompt]:
    """Those whose answer by a model is there, as text. Raises CalibrationError where there is none."""
    kept = [one for one in prompts if model in one.answers]
    if not kept:
        fix = 'write {"answers": {model: "..."}} in each line, as `fivelevers route benchmark` does'
        raise CalibrationError(f"no prompt has the text that {model} answered; {fix}")
    return kept


def cascade_of(prompts: Sequence[LabelledPrompt], book: PriceBook | None, weak: str, strong: str) -> Examples:
    """Of a cascade from ``weak`` to ``strong``; the weak model's answers are there.

    Raises CalibrationError where a price is unknown, or a model has no labels.
    """
    examples = examples_of(prompts, book)
    missing = [model for model in (weak, strong) if model not in examples.models]
    if missing:
        raise CalibrationError(f"the cascade asks {missing[0]}, which the prompts have no labels of")
    pair = examples.only((weak, strong))
    both = zip(prompts, pair.features, strict=True)
    looks = [looked_at(features, one.prompt, one.answers[weak], chances=_chances(one, weak)) for one, features in both]
    return cascaded(pair, looks)


def _chances(one: LabelledPrompt, model: str) -> Chances | None:
    return Chances(*one.chances[model]) if model in one.chances else None


def examples_of(prompts: Sequence[LabelledPrompt], book: PriceBook | None) -> Examples:
    """Of prompts that all models answered. ``book`` prices tokens. Raises CalibrationError where a price is unknown."""
    models = tuple(prompts[0].correct)
    return Examples(
        models,
        [features_of(one.prompt) for one in prompts],
        [one.route for one in prompts],
        np.array([len(one.prompt) for one in prompts], float),
        np.array([[float(one.correct[model]) for model in models] for one in prompts]),
        np.array([[_usd(one, model, book) for model in models] for one in prompts]),
    )


def prices_of(models: Sequence[str], book: PriceBook | None) -> Mapping[str, TokenPrice]:
    """What a token of each model costs now, of those whose price is known."""
    return {} if book is None else artifact.prices_of(models, book)


def _usd(one: LabelledPrompt, model: str, book: PriceBook | None) -> float:
    if model in one.cost_usd:
        return one.cost_usd[model]
    if book is None:
        raise CalibrationError(f"tokens of {model} need a price: install LiteLLM, or name its map with --price-map")
    read_tokens, written_tokens = one.tokens[model]
    found = cost(Usage(input=read_tokens, output=written_tokens), book.price(model))
    if isinstance(found, Unknown):
        raise CalibrationError(f"{found}, or give cost_usd")
    return float(found)
