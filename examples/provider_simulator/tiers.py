"""How often a model of a tier is right. The figures are chosen; real evaluations order the tiers the same way."""

import hashlib

from examples.provider_simulator.solvers.solution import Difficulty

RIGHT: dict[str, dict[Difficulty, float]] = {
    "frontier": {"easy": 0.999, "medium": 0.995, "hard": 0.985},
    "strong": {"easy": 0.997, "medium": 0.98, "hard": 0.92},
    "small": {"easy": 0.985, "medium": 0.93, "hard": 0.78},
    "nano": {"easy": 0.95, "medium": 0.82, "hard": 0.55},
}

MISTAKEN = "mistaken"
"""No model's tier, and never right: the fault `wrong`."""


def draw(seed: int, model: str, *content: str) -> float:
    """A number in [0, 1) that the seed, the model and the content fix."""
    digest = hashlib.blake2b("\x00".join([str(seed), model, *content]).encode("utf-8", "replace"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") / 2**64
