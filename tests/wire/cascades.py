"""Aliases whose deployment is `fivelevers/cascade`, and routes that say how their weak answers are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fivelevers.levers.routing.calibrate import calibrate
from fivelevers.levers.routing.certify import Promise
from fivelevers.levers.routing.chances import Chances
from fivelevers.levers.routing.examples import Examples
from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.scorer import cascaded, looked_at
from fivelevers.levers.routing.split import Split
from fivelevers.stores import route_artifact
from tests.wire.caching import ANTHROPIC, OPENAI

(
    SCHEMA, CHECKED, AGREED, SHADOW, DEAR, CLAUDE, HASTY, BROKEN, STRAY, LOST, SCORED, MOVED, MISSING, SURE, WATCHED,
) = ALIASES = tuple(
    f"cascade-{name}"
    for name in (
        "schema", "checked", "agreed", "shadow", "dear", "claude", "hasty", "broken", "stray", "lost", "scored",
        "moved", "missing", "sure", "watched",
    )
)  # fmt: skip
SCORER, BY_CHANCES = "scored.cascade", "sure.cascade"
PROVIDER_MAP = [{"provider": "fivelevers", "custom_handler": "fivelevers.proxies.litellm.cascade.handler"}]
_UPSTREAM = {
    "weak-gpt": ("openai/gpt-4.1-nano", OPENAI),
    "second-gpt": ("openai/gpt-4o-mini", OPENAI),
    "strong-gpt": ("openai/gpt-4.1", OPENAI),
    "weak-claude": ("anthropic/claude-haiku-5-5", ANTHROPIC),
    "strong-claude": ("anthropic/claude-sonnet-4-5", ANTHROPIC),
}
MODELS: list[dict[str, Any]] = [
    *({"model_name": alias, "litellm_params": {"model": "fivelevers/cascade"},
       "model_info": {} if alias == LOST else {"fivelevers_strong": "strong-gpt"}}
      for alias in ALIASES),
    *({"model_name": name, "litellm_params": {"model": model, **upstream}, "model_info": {"id": f"{name}-deployment"}}
      for name, (model, upstream) in _UPSTREAM.items()),
]  # fmt: skip


def _route(
    model: str, mode: str = "on", validators: Any = (), watch_share: float = 0.0, **cascade: Any
) -> dict[str, Any]:
    settled = {lever: {"mode": "does-not-pay"} for lever in ("prompt_cache", "semantic_cache", "batch")}
    cascade = {"weak": "weak-gpt", "strong": "strong-gpt", **cascade}
    levers = {**settled, "routing": {"mode": mode, "cascade": cascade, "watch_share": watch_share}}
    return {"name": model, "match": {"model": model}, "holdout": 0, "levers": levers, "validators": list(validators)}


NUMBER = [{"regex": r"\d"}]
ROUTES: list[dict[str, Any]] = [
    _route(SCHEMA, verify=["schema"]),
    _route(CHECKED, verify=["validators"], validators=NUMBER),
    _route(AGREED, verify=["agreement"], agrees_with="second-gpt", max_cost_ratio=0.2),
    _route(SHADOW, mode="shadow", verify=["validators"], validators=NUMBER),
    _route(DEAR, verify=["validators"], validators=NUMBER, max_cost_ratio=0.01),
    _route(HASTY, verify=["validators"], validators=NUMBER, timeout_s=1.5),
    _route(BROKEN, verify=["validators"], validators=[{"python": "tests.wire.cascades:missing"}]),
    _route(SCORED, verify=["scorer"], artifact=SCORER),
    _route(MOVED, verify=["scorer"], artifact=SCORER, weak="second-gpt", max_cost_ratio=0.2),
    _route(WATCHED, verify=["scorer"], artifact=SCORER, watch_share=0.5, validators=[{"regex": r"\b395\b"}]),
    _route(SURE, verify=["scorer"], artifact=BY_CHANCES),
    _route(MISSING, verify=["scorer", "schema"], artifact="missing.cascade"),
    _route(CLAUDE, verify=["validators"], validators=NUMBER, weak="weak-claude", strong="strong-claude"),
]


def write(folder: Path) -> None:
    """Scorers that have learned to believe answers with a number in them, beside the policy that names them.

    One of them from answers that told how sure the model was of their tokens.
    """
    _write(folder / SCORER, SCORED, None)
    _write(folder / BY_CHANCES, SURE, Chances(0.85, 0.72))


def _write(file: Path, route: str, chances: Chances | None) -> None:
    prompts, answers, right = zip(*_answered(600), strict=True)
    features, chars = [features_of(prompt) for prompt in prompts], np.array([float(len(prompt)) for prompt in prompts])
    success = np.array([[float(weak), 1.0] for weak in right])
    cost_usd = np.tile([1e-5, 2e-4], (600, 1))
    models = ("openai/gpt-4.1-nano", "openai/gpt-4.1")
    pair = Examples(models, features, [route] * 600, chars, success, cost_usd)
    told = zip(features, prompts, answers, strict=True)
    looks = [looked_at(one, prompt, answer, chances=chances) for one, prompt, answer in told]
    split = Split(np.arange(300), np.arange(300, 600), np.arange(0))
    made = calibrate(cascaded(pair, looks), split, Promise(epsilon=0.05), strong=models[1])
    assert made.certificate.chosen is not None
    # Far from both kinds of answers: how the simulator words its own decides nothing.
    chosen = replace(made.certificate.chosen, threshold=2500.0)
    certificate = replace(made.certificate, chosen=chosen)
    route_artifact.write(file, replace(made, certificate=certificate))


_SAID = ("That comes to {}.", "It is {}.", "First the products, then the sum: this gives {}.", "So the answer is {}.")
_SORRY = "I am afraid that nothing in the documents in front of me says anything about this or covers that point"


def _answered(count: int) -> Iterator[tuple[str, str, bool]]:
    """(prompt, weak answer, whether it is right): right where it is a number, but for a few."""
    rng = np.random.default_rng(5)
    for _ in range(count):
        one, two, three = (int(number) for number in rng.integers(2, 99, 3))
        if rng.random() < 0.5:
            said = str(rng.choice(_SAID)).format(one * two + three)
            yield f"What is {one} * {two} + {three}?", said, rng.random() < 0.98
        else:
            yield "Say hello.", " ".join(rng.choice(_SORRY.split(), 12)) + ".", False
