"""Cascade: the cheap model answers first, its answer is looked at, and where it is not trusted the strong one is asked.

The look is another `Model`, fitted to what can be read off prompt and answer together: the chance that this answer is
right, and that the strong model's would be. So everything that holds for routing holds here: a threshold is a price of
success, and the certificate is made the same way. Only the costs differ: the cheap answer is paid in any case.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fivelevers.levers.routing.answer_features import answer_features
from fivelevers.levers.routing.examples import Examples, Floats
from fivelevers.levers.routing.features import Features

MOST_RATIO = 0.1
"""Of the strong model's cost, what the cheap answer and the look at it may cost. At a fourth, cascades on MMLU-Pro lost
money whatever the verifier knew."""


def affordable(weak_usd: float, verify_usd: float, strong_usd: float, most_ratio: float = MOST_RATIO) -> bool:
    """Whether a cascade can pay: what is spent before the strong model is asked, against what that costs."""
    return weak_usd + verify_usd <= most_ratio * strong_usd


def looked_at(
    prompt: Features, asked: str, answer: str, *, cut: bool = False, logprobs: Sequence[float] = ()
) -> Features:
    """The prompt's surface, the answer's, and the answer's words. ``asked`` is the prompt's text."""
    found = answer_features(asked, answer, cut=cut, logprobs=logprobs)
    return Features(prompt.surface + found.surface, found.words)


def cascaded(pair: Examples, looks: Sequence[Features], verify_usd: float = 0.0) -> Examples:
    """The examples of a cascade from those of its two models, the cheap one first: ``looks`` are of its answers."""
    first: Floats = pair.cost_usd[:, 0] + verify_usd
    cost_usd = np.stack([first, first + pair.cost_usd[:, 1]], axis=1)
    return Examples(pair.models, looks, pair.routes, pair.chars, pair.success, cost_usd)
