"""Labelled prompts of a made-up team: one route is easy for both models, one hard for the cheap one, one for both."""

from __future__ import annotations

import numpy as np

from fivelevers.levers.routing.chances import Chances
from fivelevers.levers.routing.examples import Examples
from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.scorer import cascaded, looked_at

CHANCES = {"greetings": (0.97, 0.97), "law": (0.45, 0.9), "riddles": (0.2, 0.25)}
SURE, SORRY = "It is done: 42.", "I am sorry, I can not say"
SHOWS = 0.97
_WORDS = {
    "greetings": "hello thanks morning friend welcome nice day",
    "law": "statute court appeal clause liability tort party",
    "riddles": "piano teeth river bed cold cloud silence",
}


def examples(count: int, *, seed: int, chances: dict[str, tuple[float, float]] = CHANCES) -> Examples:
    """The cheap model costs a fiftieth of the strong one."""
    rng = np.random.default_rng(seed)
    routes = [list(chances)[at] for at in rng.integers(0, len(chances), count)]
    texts = [" ".join(rng.choice(_WORDS[route].split(), rng.integers(4, 30))) for route in routes]
    success = (rng.random((count, 2)) < [chances[route] for route in routes]).astype(float)
    chars = np.array([len(text) for text in texts], float)
    cost_usd = (100 + chars)[:, None] * np.array([0.02e-4, 1e-4])
    return Examples(("weak", "strong"), [features_of(text) for text in texts], routes, chars, success, cost_usd)


CERTAIN, TORN = Chances(0.97, 0.8), Chances(0.7, 0.1)


def chancy_examples(count: int, *, seed: int) -> Examples:
    """Those of a cascade whose weak model always says the same, and is mostly unsure where it is wrong."""
    pair, rng = examples(count, seed=seed), np.random.default_rng(seed + 1)
    told = [right if rng.random() < SHOWS else not right for right in pair.success[:, 0] > 0]
    sure = zip(pair.features, told, strict=True)
    return cascaded(pair, [looked_at(one, "", SURE, chances=CERTAIN if right else TORN) for one, right in sure])


def cascade_examples(count: int, *, seed: int) -> Examples:
    """Those of a cascade whose weak model mostly shows where it is wrong: it is sorry then."""
    pair, rng = examples(count, seed=seed), np.random.default_rng(seed + 1)
    told = [right if rng.random() < SHOWS else not right for right in pair.success[:, 0] > 0]
    looks = [looked_at(one, "", SURE if sure else SORRY) for one, sure in zip(pair.features, told, strict=True)]
    return cascaded(pair, looks)
