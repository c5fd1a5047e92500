"""The gate's second verdict: does a successful output cost less on the quantised model? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fivelevers.levers.quantization.gate import Quality
from fivelevers.levers.quantization.paired import loss_upper
from fivelevers.levers.quantization.verdict import Finding, Verdict, together

LEAST_REQUESTS = 100  # of one measurement: fewer say little of a throughput
MOST_FAILED = 0.01


@dataclass(frozen=True, slots=True)
class Throughput:
    """One model on the target hardware, under the same load within the service level. Lengths are means, in tokens."""

    requests_per_s: float
    requests: int
    errors: int
    input_tokens: float
    output_tokens: float
    gpu: str
    gpus: int = 1


@dataclass(frozen=True, slots=True)
class Economics:
    """USD per successful output of each; ``saving`` of it, ``least_saving`` at the largest loss that quality allows."""

    verdict: Verdict
    findings: tuple[Finding, ...]
    baseline_usd: float
    candidate_usd: float
    saving: float
    least_saving: float


def usd_per_request(found: Throughput, gpu_hour_usd: float, utilisation: float) -> float:
    """What an hour of the GPUs costs, shared by what they answer in it at this utilisation (0..1)."""
    return gpu_hour_usd * found.gpus / (3600 * found.requests_per_s * utilisation)


def economics(
    quality: Quality,
    baseline: Throughput,
    candidate: Throughput,
    *,
    gpu_hour_usd: float,
    utilisation: float,
    beside: Sequence[Finding] = (),
) -> Economics:
    """``beside``: what was found of the measurement before.

    Raises ValueError where a price, a throughput or a utilisation is not above 0. INCONCLUSIVE where
    nothing was right: no success has a cost then.
    """
    if min(gpu_hour_usd, utilisation, baseline.requests_per_s, candidate.requests_per_s) <= 0 or utilisation > 1:
        raise ValueError("economics: GPU-hour price, throughput and utilisation (at most 1) have to be above 0")
    tested = quality.pairs.tested
    right = quality.baseline_right / tested if tested else 0.0
    worst = right - loss_upper(quality.pairs, quality.limits.error)
    kept = right - quality.pairs.loss
    costs = [usd_per_request(one, gpu_hour_usd, utilisation) for one in (baseline, candidate)]
    before = costs[0] / right if right else float("inf")
    saving, least = (1 - costs[1] / costs[0] * right / share if share > 0 else -1.0 for share in (kept, worst))
    findings = (*beside, *_same_load(baseline, candidate), _falls(saving, least, before))
    after = costs[1] / kept if kept > 0 else float("inf")
    return Economics(together(findings), findings, before, after, saving, least)


def _falls(saving: float, least: float, before: float) -> Finding:
    if before == float("inf"):
        return Finding("cost per successful output", Verdict.INCONCLUSIVE, "the original answered nothing right")
    told = f"${1000 * before:.4f} per 1,000 successful outputs falls by {saving:.1%}, by {least:.1%} at least"
    if saving <= 0:
        return Finding("cost per successful output", Verdict.FAIL, f"it does not fall ({saving:+.1%})")
    return Finding("cost per successful output", Verdict.PASS if least > 0 else Verdict.INCONCLUSIVE, told)


def _same_load(baseline: Throughput, candidate: Throughput) -> tuple[Finding, ...]:
    """Two throughputs compare only where hardware and load were the same."""
    rule = "same load"
    if (baseline.gpu, baseline.gpus) != (candidate.gpu, candidate.gpus):
        why = f"measured on {baseline.gpus} x {baseline.gpu} and on {candidate.gpus} x {candidate.gpu}"
        return (Finding(rule, Verdict.INCONCLUSIVE, why),)
    for kind in ("input_tokens", "output_tokens"):
        sizes = getattr(baseline, kind), getattr(candidate, kind)
        if max(sizes) > 1.1 * min(sizes):
            why = f"mean {kind} of a request are {sizes[0]:,.0f} and {sizes[1]:,.0f}: more than 10 % apart"
            return (Finding(rule, Verdict.INCONCLUSIVE, why),)
    if min(baseline.requests, candidate.requests) < LEAST_REQUESTS:
        why = f"{min(baseline.requests, candidate.requests)} requests are too few; {LEAST_REQUESTS} are needed"
        return (Finding(rule, Verdict.INCONCLUSIVE, why),)
    failed = max(one.errors / (one.requests + one.errors) for one in (baseline, candidate))
    if failed > MOST_FAILED:
        return (Finding(rule, Verdict.INCONCLUSIVE, f"{failed:.1%} of the requests failed"),)
    return (Finding(rule, Verdict.PASS, f"{baseline.requests:,} and {candidate.requests:,} requests"),)
