"""Cascade: the cheap model answers first; where a look at its answer is not enough, the strong one is asked."""

from __future__ import annotations

from typing import Final

MOST_RATIO: Final = 0.1
"""Of the strong model's cost, what the cheap answer and the look at it may cost. At a fourth, cascades on MMLU-Pro lost
money whatever the verifier knew."""


def affordable(weak_usd: float, verify_usd: float, strong_usd: float, most_ratio: float = MOST_RATIO) -> bool:
    """Whether a cascade can pay: what is spent before the strong model is asked, against what that costs."""
    return weak_usd + verify_usd <= most_ratio * strong_usd
