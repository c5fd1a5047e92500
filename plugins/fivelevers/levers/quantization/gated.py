"""What a gate found, as a registration keeps it: both verdicts, and what they hold for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fivelevers.levers.quantization.pricing import Rates
from fivelevers.levers.quantization.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Served:
    """A server's word: ``root`` the checkpoint, ``version`` of vLLM."""

    url: str
    model: str
    root: str | None
    version: str | None


@dataclass(frozen=True, slots=True)
class Gated:
    """``quality`` and ``economics``: the verdicts; ``findings`` of both, for people: (rule, verdict, why).

    ``checkpoint``: its sha256 by the manifest; empty where none was named. ``rates`` of the candidate and of the
    original, None without a hardware report. ``item_hash``: of the items that were asked. ``flips``: lost and won.
    """

    made_at: float
    route: str
    quality: Verdict
    economics: Verdict
    findings: tuple[tuple[str, Verdict, str], ...]
    baseline: Served
    candidate: Served
    checkpoint: str
    scheme: str
    gpu: str
    items: int
    item_hash: str
    difference: float
    low: float
    margin: float
    lost: tuple[str, ...]
    won: tuple[str, ...]
    needed: int | None = None
    saving: float | None = None
    rates: Rates | None = None
    baseline_rates: Rates | None = None

    @property
    def passed(self) -> bool:
        return self.quality is Verdict.PASS and self.economics is Verdict.PASS

    @property
    def verdict(self) -> Verdict:
        found = {self.quality, self.economics}
        if Verdict.FAIL in found:
            return Verdict.FAIL
        return Verdict.PASS if found == {Verdict.PASS} else Verdict.INCONCLUSIVE


def refusal(found: Gated) -> str | None:
    """Why this can not be registered; None where it can."""
    if not found.passed:
        return f"quality says {found.quality}, economics {found.economics}; both have to pass"
    if not found.checkpoint:
        return "names no checkpoint; run the gate with --checkpoint, so that another one can not take its place"
    if found.rates is None or found.baseline_rates is None:
        why = "has no prices, and a deployment without them costs nothing in LiteLLM"
        return f"{why}; run the gate with a --hardware-report of several prompt lengths"
    if found.candidate.version is None:
        return "the server did not say which version it is; serve it with vLLM"
    return None


def void(found: Gated, served: Served, prices: Mapping[str, object]) -> str | None:
    """Why a registration holds no longer; None where it does.

    ``prices``: what the deployment's tokens cost now, by the names of LiteLLM's config.
    """
    if served.root != found.candidate.root:
        now = "does not say what it serves" if served.root is None else f"serves {served.root}"
        return f"the server {now}, and {found.candidate.root} was gated"
    if served.version != found.candidate.version:
        return f"the server is version {served.version}, and {found.candidate.version} was gated"
    for name, rate in priced(found.rates).items():
        if name in prices and not _is(prices[name], rate):
            return f"{name} is {prices[name]}, and {rate} was registered"
    return None


def _is(price: object, rate: float) -> bool:
    try:
        return float(str(price)) == rate
    except ValueError:
        return False


def priced(rates: Rates | None) -> dict[str, float]:
    """As LiteLLM's config names them, USD per token."""
    if rates is None:
        return {}
    return {
        "input_cost_per_token": float(rates.input_usd),
        "output_cost_per_token": float(rates.output_usd),
        "cache_read_input_token_cost": float(rates.cached_usd),
    }
