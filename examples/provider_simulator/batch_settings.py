"""How long batches take, and what of them is limited: `POST /sim/batches`."""

import math
import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

_NUMBERS = {"seconds", "p50_s", "p90_s", "scale", "cancel_s"}
_Z90 = 1.2815515655446004  # the standard normal distribution's 90 % point


@dataclass(frozen=True, slots=True)
class Settings:
    """`seconds`: what every batch takes; None draws from a lognormal with `p50_s` and `p90_s`, times `scale`.

    The two defaults are OpenRouter's figures of over 230,000 batches (https://openrouter.ai/docs/guides/features/batch-api).
    `cancel_s`: from a cancellation to its end. `enqueued_tokens`: by model, the prompt tokens that a key may have in
    unfinished batches.
    """

    seconds: float | None = None
    p50_s: float = 420.0
    p90_s: float = 3600.0
    scale: float = 1.0
    cancel_s: float = 5.0
    enqueued_tokens: Mapping[str, int] = field(default_factory=dict)

    def draw_s(self, source: random.Random) -> float:
        """Seconds on the simulator's clock that the next batch takes."""
        if self.seconds is not None:
            return self.seconds
        sigma = math.log(self.p90_s / self.p50_s) / _Z90
        return self.scale * self.p50_s * math.exp(sigma * source.gauss(0, 1))

    def changed(self, body: Any) -> "Settings":
        """With the fields of a JSON object instead.

        Raises:
            ValueError: a field is unknown or has no usable value; the message names it.
        """
        if not isinstance(body, dict):
            raise ValueError(f"{body!r} is not an object")  # noqa: TRY004 (callers report ValueError alone)
        for name, value in body.items():
            if name in _NUMBERS:
                _check_number(name, value)
            elif name == "enqueued_tokens":
                _check_caps(value)
            else:
                raise ValueError(f"{name}: unknown; known are {', '.join(sorted(asdict(self)))}")
        changed = replace(self, **body)
        if not 0 < changed.p50_s <= changed.p90_s:
            raise ValueError(f"p90_s: {changed.p90_s} is below p50_s, {changed.p50_s}; both are above 0")
        return changed

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _check_number(name: str, value: Any) -> None:
    if value is None and name == "seconds":
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a number from 0 on")


def _check_caps(caps: Any) -> None:
    if not isinstance(caps, dict):
        raise ValueError(f"enqueued_tokens: {caps!r} is not an object of tokens by model")  # noqa: TRY004
    for model, tokens in caps.items():
        if isinstance(tokens, bool) or not isinstance(tokens, int) or tokens < 0:
            raise ValueError(f"enqueued_tokens.{model}: {tokens!r} is not a whole number from 0 on")
