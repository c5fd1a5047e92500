"""How long answers take: a pause that grows with the uncached input, then a steady rate of output.

The figures are chosen: ordered as real models are, and quicker, so that a replay does not take all day. `scale` 0
removes them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds: `base_s` + `per_input_s` for each uncached input token, then `per_output_s` for each output token."""

    base_s: float
    per_input_s: float
    per_output_s: float

    def first_s(self, uncached_tokens: int) -> float:
        return self.base_s + self.per_input_s * uncached_tokens


_BY_TIER = {
    "embedding": Latency(0.02, 2e-6, 0.0),
    "nano": Latency(0.08, 5e-6, 0.0005),
    "small": Latency(0.12, 1e-5, 0.001),
    "strong": Latency(0.20, 2e-5, 0.002),
    "frontier": Latency(0.30, 3e-5, 0.0025),
}


def latency_of(tier: str, scale: float) -> Latency:
    known = _BY_TIER[tier]
    return Latency(known.base_s * scale, known.per_input_s * scale, known.per_output_s * scale)
