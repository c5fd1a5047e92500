"""The gate's quality verdict: may the quantised model answer this route in the original's place? Pure.

Every rule must pass: enough of the items were answered by both; the original is right often enough that something could
be lost; it repeats itself; the loss is within the margin by its one-sided bound; no stratum is significantly worse;
perplexity and KL divergence, where measured, stay within their limits. A test that finds no difference proves nothing,
so too few items are INCONCLUSIVE, and never PASS.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fivelevers.levers.quantization import drift
from fivelevers.levers.quantization.drift import Drift, Drifted
from fivelevers.levers.quantization.paired import Stratum, differs_p, loss_lower, loss_upper, needed, strata
from fivelevers.levers.quantization.verdict import Finding, Verdict, together
from fivelevers.levers.routing.bound import Pairs

LEAST_RIGHT = 0.2  # of the items, by the original: where it is nearly always wrong, nothing can be lost
UNSTEADY_P = 0.01
LEAST_REPEATS = 30  # fewer say nothing of what it flips by itself


@dataclass(frozen=True, slots=True)
class Limits:
    """``margin``: successes per item that may be lost; ``error``: the chance to pass a loss of that much."""

    margin: float = 0.02
    error: float = 0.05
    perplexity_rise: float = 0.05
    kl: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1 or not 0 < self.error <= 0.5:
            raise ValueError(f"limits: margin {self.margin} must be in 0..1, error {self.error} in 0..0.5")


@dataclass(frozen=True, slots=True)
class Scored:
    """One item: whether each model was right. ``again``: the original, asked a second time; None where it was not."""

    item: str
    stratum: str
    baseline: bool
    candidate: bool
    again: bool | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """``pairs``: lost where the original alone was right. ``low``, ``high``: one-sided bounds of the difference.

    ``noise``: the original against itself. ``lost``, ``won``: the items that flipped. ``needed``: items with which
    another try would pass an equal candidate in 80 % of cases, where more would help.
    """

    verdict: Verdict
    limits: Limits
    findings: tuple[Finding, ...]
    pairs: Pairs
    baseline_right: int
    low: float
    high: float
    strata: tuple[Stratum, ...]
    noise: Pairs | None
    lost: tuple[str, ...]
    won: tuple[str, ...]
    unanswered: tuple[str, ...] = ()
    drift: Drifted | None = None
    needed: int | None = None

    @property
    def difference(self) -> float:
        """Candidate less original, in successes per item."""
        return 0.0 - self.pairs.loss  # and never -0.0


def quality(
    scored: Sequence[Scored], limits: Limits, *, unanswered: Sequence[str] = (), texts: Sequence[Drift] = ()
) -> Quality:
    """``unanswered``: items that one of the models did not answer at all. ``texts``: what both models read."""
    lost = tuple(one.item for one in scored if one.baseline and not one.candidate)
    won = tuple(one.item for one in scored if one.candidate and not one.baseline)
    pairs, parts, noise = Pairs(len(scored), len(lost), len(won)), strata(_by_stratum(scored)), _noise(scored)
    right, moved = sum(one.baseline for one in scored), drift.drifted(texts, limits.error)
    findings = [
        _margin(pairs, limits),
        _enough_right(right, len(scored)),
        *_answered(unanswered),
        *_steady(noise),
        *_worse_strata(parts, limits.error),
    ]
    if moved is not None:
        findings += drift.findings(moved, limits.perplexity_rise, limits.kl)
    return Quality(
        verdict=together(findings),
        limits=limits,
        findings=tuple(findings),
        pairs=pairs,
        baseline_right=right,
        low=-loss_upper(pairs, limits.error),
        high=-loss_lower(pairs, limits.error),
        strata=parts,
        noise=noise,
        lost=lost,
        won=won,
        unanswered=tuple(unanswered),
        drift=moved,
        needed=_more(pairs, limits),
    )


def _by_stratum(scored: Sequence[Scored]) -> dict[str, Pairs]:
    counts: dict[str, list[int]] = {}
    for one in scored:
        count = counts.setdefault(one.stratum, [0, 0, 0])
        count[0] += 1
        count[1] += one.baseline and not one.candidate
        count[2] += one.candidate and not one.baseline
    return {name: Pairs(*counts[name]) for name in sorted(counts)}


def _noise(scored: Sequence[Scored]) -> Pairs | None:
    twice = [(one.baseline, one.again) for one in scored if one.again is not None]
    if not twice:
        return None
    return Pairs(len(twice), sum(a and not b for a, b in twice), sum(b and not a for a, b in twice))


def _margin(pairs: Pairs, limits: Limits) -> Finding:
    low, high = -loss_upper(pairs, limits.error), -loss_lower(pairs, limits.error)
    sure = f"{100 * (1 - limits.error):g}% confidence"
    told = f"{0.0 - pairs.loss:+.2%}, at least {low:+.2%} ({sure}); margin {-limits.margin:+.2%}"
    if low > -limits.margin:
        return Finding("margin", Verdict.PASS, told)
    if high < -limits.margin:
        return Finding("margin", Verdict.FAIL, f"{told}; at most {high:+.2%}: worse than the margin")
    return Finding("margin", Verdict.INCONCLUSIVE, told)


def _more(pairs: Pairs, limits: Limits) -> int | None:
    if not pairs.tested or loss_upper(pairs, limits.error) < limits.margin or pairs.loss >= limits.margin:
        return None
    wanted = needed((pairs.lost + pairs.won) / pairs.tested, limits.margin, limits.error)
    return max(wanted, 2 * pairs.tested) if wanted <= pairs.tested else wanted  # chance was against it: a larger sample


def _enough_right(right: int, tested: int) -> Finding:
    told = f"the original is right on {right:,} of {tested:,} items"
    if tested and right < LEAST_RIGHT * tested:
        why = f"{told}, less than {LEAST_RIGHT:.0%}: nothing much could be lost; take items that it can solve"
        return Finding("items", Verdict.INCONCLUSIVE, why)
    return Finding("items", Verdict.PASS if tested else Verdict.INCONCLUSIVE, told)


def _answered(unanswered: Sequence[str]) -> Iterator[Finding]:
    if unanswered:
        why = f"{len(unanswered):,} items were not answered by both; run the gate again, it goes on where it stopped"
        yield Finding("answered", Verdict.INCONCLUSIVE, why)


def _steady(noise: Pairs | None) -> Iterator[Finding]:
    """A baseline that drifts by itself (other weights behind the same URL) is no baseline."""
    if noise is None:
        yield Finding(
            "repeat",
            Verdict.INCONCLUSIVE,
            "the original was not asked twice (--repeat, --again-samples): no noise floor",
        )
        return
    told = f"asked again, the original flips {noise.lost + noise.won:,} of {noise.tested:,} items"
    if noise.tested < LEAST_REPEATS:
        why = f"{told}: too few, {LEAST_REPEATS} are needed (--repeat, --again-samples)"
        yield Finding("repeat", Verdict.INCONCLUSIVE, why)
        return
    steady = differs_p(noise) >= UNSTEADY_P
    yield Finding("repeat", Verdict.PASS if steady else Verdict.INCONCLUSIVE, told + ("" if steady else ", one way"))


def _worse_strata(parts: Sequence[Stratum], error: float) -> Iterator[Finding]:
    for part in parts:
        if part.p < error:
            why = f"{part.name}: {part.pairs.lost} lost, {part.pairs.won} won of {part.pairs.tested}, p = {part.p:.2g}"
            yield Finding("stratum", Verdict.FAIL, f"{why} (exact McNemar, Holm): significantly worse")
