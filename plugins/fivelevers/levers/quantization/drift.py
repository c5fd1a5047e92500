"""How far a quantised model's probabilities moved, token by token, on texts that both models read.

Accuracy hides what flipped ("Accuracy is Not All You Need", arXiv 2407.09141); perplexity and the KL divergence do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum, inf, isfinite, sqrt

from fivelevers.levers.quantization.verdict import Finding, Verdict

LEAST_ITEMS = 30  # fewer say nothing of their spread


@dataclass(frozen=True, slots=True)
class Drift:
    """One text: its tokens, their summed negative log-likelihood (nats) by each model, and the summed KL divergence."""

    tokens: int
    baseline_nll: float
    candidate_nll: float
    kl: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its one-sided bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Drifted:
    """``perplexity_rise``: as a share of the original's. ``kl``: nats per token."""

    items: int
    tokens: int
    perplexity_rise: Estimate
    kl: Estimate


def drifted(texts: Sequence[Drift], error: float) -> Drifted | None:
    """None where nothing was read. The bounds take texts, not tokens, as drawn: tokens of one text move together."""
    read = [text for text in texts if text.tokens]
    if not read:
        return None
    nll = _per_token([text.candidate_nll - text.baseline_nll for text in read], read, error)
    rise = Estimate(*(_grown(value) for value in (nll.value, nll.low, nll.high)))
    return Drifted(len(read), sum(text.tokens for text in read), rise, _per_token([t.kl for t in read], read, error))


def _grown(nats: float) -> float:
    return exp(nats) - 1 if nats < 700 else inf


def _per_token(sums: Sequence[float], texts: Sequence[Drift], error: float) -> Estimate:
    """Ratio of two means, with the normal approximation's bounds."""
    from scipy.special import stdtrit

    tokens, count = sum(text.tokens for text in texts), len(texts)
    value = fsum(sums) / tokens
    if count < 2 or not isfinite(value):
        return Estimate(value, -inf, inf)
    squares = fsum((found - value * text.tokens) ** 2 for found, text in zip(sums, texts, strict=True))
    aside = float(stdtrit(count - 1, 1 - error)) * sqrt(squares * count / (count - 1)) / tokens
    return Estimate(value, value - aside, value + aside)


def findings(found: Drifted, perplexity_rise: float, kl: float) -> tuple[Finding, Finding]:
    return (
        _limited("perplexity", found.perplexity_rise, perplexity_rise, found.items, "{:+.1%}"),
        _limited("kl", found.kl, kl, found.items, "{:.3f} nats per token"),
    )


def _limited(rule: str, found: Estimate, limit: float, items: int, shown: str) -> Finding:
    told = f"{shown.format(found.value)}, at most {shown.format(found.high)}; limit {shown.format(limit)}"
    if found.low > limit or found.value == inf:
        return Finding(rule, Verdict.FAIL, told)
    if items < LEAST_ITEMS:
        return Finding(rule, Verdict.INCONCLUSIVE, f"{told}; {items} texts are too few, {LEAST_ITEMS} are needed")
    return Finding(rule, Verdict.PASS if found.high <= limit else Verdict.INCONCLUSIVE, told)
