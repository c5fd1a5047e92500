"""Other ways to say which prompts go to the strong model. None is told the labels of the prompts that it ranks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import numpy as np

from benchmarks.rig.answer_stream import embedded
from benchmarks.rig.routing_curves import Ranking
from benchmarks.rig.routing_data import Labelled
from fivelevers.levers.routing.choose import turning_points
from fivelevers.levers.routing.examples import Examples, Floats, Rows
from fivelevers.levers.routing.fit import fit

READ_CHARS = 300  # some 64 tokens, on which the choice of neighbours was made as well
NEIGHBOURS = 100  # of 10, 40, 100 and 200 the best on MMLU


def by_gain(success: Floats, cost_usd: Floats) -> Ranking:
    """By what is expected of two models: for calls by the gain, for dollars as the product orders."""
    return Ranking(success[:, 1] - success[:, 0], turning_points(success, cost_usd, 1)[:, 0])


def fivelevers(train: Examples, test: Examples) -> Ranking:
    model = fit(train)
    ranking = by_gain(model.all_success(test.features, test.routes), model.all_costs_usd(test.routes, test.chars))
    return Ranking(*(np.nan_to_num(score, nan=np.inf) for score in (ranking.calls, ranking.dollars)))


def oracle(test: Examples) -> Ranking:
    return by_gain(test.success, test.cost_usd)


def length_only(test: Examples) -> Ranking:
    """For calls the longest prompts first; for dollars the shortest, as if every dear answer gained the same."""
    return Ranking(test.chars, -test.chars)


class LiteLlm:
    """The scores of LiteLLM's own classifiers for every prompt: the higher, the rather to a strong model."""

    def __init__(self, texts: Sequence[str]) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        from litellm import Router
        from litellm.router_strategy.adaptive_router.classifier import classify_prompt
        from litellm.router_strategy.complexity_router.complexity_router import ComplexityRouter
        from litellm.router_strategy.complexity_router.tier_predictor import (
            TierSuccessPredictor,
            resolve_tier_artifact,
        )

        first = ComplexityRouter("complexity", Router(model_list=[]), derive_savings_baseline=False)
        second = TierSuccessPredictor(resolve_tier_artifact("ultrafeedback"))
        self.complexity_v1 = np.array([first.classify(text)[1] for text in texts])
        predicted = [second.predict(text, classify_prompt(text)) for text in texts]
        self.heuristic_v2 = np.array([-one.probabilities[1] for one in predicted])  # that the simplest tier suffices


class Nearest:
    """The mean success of the nearest labelled prompts, by MiniLM's vectors of their beginnings: minutes for a file."""

    def __init__(self, data: Labelled) -> None:
        self._vectors = np.array(asyncio.run(embedded([text[:READ_CHARS] for text in data.texts])), np.float32)
        self._examples = data.examples

    def rank(self, train: Rows, test: Rows) -> Ranking:
        near = self._vectors[test] @ self._vectors[train].T
        nearest = np.argpartition(-near, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        success: Floats = self._examples.success[train][nearest].mean(axis=1)
        model_cost = self._examples.cost_usd[train].sum(axis=0) / self._examples.chars[train].sum()
        return by_gain(success, self._examples.chars[test][:, None] * model_cost)
