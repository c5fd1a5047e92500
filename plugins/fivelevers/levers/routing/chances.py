"""How sure a model was of its answer's tokens, of a chat completion that tells: by their log-probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, isfinite
from typing import Any, NamedTuple


class Chances(NamedTuple):
    """The geometric ``mean`` of the tokens' chances, and the ``least`` of them, both in 0..1."""

    mean: float
    least: float


def chances_of(logprobs: Sequence[float]) -> Chances | None:
    """``logprobs``: natural logarithms, of the answer's tokens. None where there are none."""
    if not logprobs:
        return None
    return Chances(exp(sum(logprobs) / len(logprobs)), exp(min(logprobs)))


def chances_in(choice: object) -> Chances | None:
    """Of a choice of a chat completion, as JSON or as an object of the same fields; None where it does not tell."""
    content = _get(_get(choice, "logprobs"), "content")
    told = [_get(token, "logprob") for token in content] if isinstance(content, list) else []
    if not all(isinstance(one, int | float) and one <= 0 for one in told):
        return None
    return chances_of([max(float(one), -100.0) if isfinite(one) else -100.0 for one in told])


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
