"""What a token of a self-hosted model costs, from what its GPU does in an hour. Pure.

GPU seconds = a x uncached input + b x output + c x cached input, fitted (without negative terms) to runs of several
shapes at the service level. A token's price is its seconds at the price of an hour, at the utilisation that is really
had: a GPU that is busy 30 % of the time makes tokens 3.3 times as dear.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

FEMTODOLLAR: Final = Decimal("1e-15")
MOST_OFF: Final = 0.25  # of a run's seconds: beyond, three rates do not describe this server


@dataclass(frozen=True, slots=True)
class Run:
    """One load at the service level: the GPU's seconds, and the tokens that were served in them."""

    gpu_seconds: float
    uncached: int
    output: int
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per token; ``worst`` is the largest share by which a run's cost is missed."""

    input_usd: Decimal
    output_usd: Decimal
    cached_usd: Decimal
    worst: float


def rates(runs: Sequence[Run], *, gpu_hour_usd: float, gpus: int, utilisation: float) -> Rates:
    """Raises ValueError where the runs can not tell the kinds of token apart, or no token would cost anything.

    Where no run had cached tokens, these are priced as input: dearer than they are, and never for nothing.
    """
    import numpy as np  # of the extra "routing": a proxy reads what was made with it
    from scipy.optimize import nnls

    if min(gpu_hour_usd, gpus, utilisation) <= 0 or utilisation > 1:
        raise ValueError("price: GPU-hour price, GPUs and utilisation (at most 1) have to be above 0")
    if any(run.gpu_seconds <= 0 for run in runs):
        raise ValueError("price: a run took no time; measure anew")
    with_cache = any(run.cached for run in runs)
    tokens = np.array([(run.uncached, run.output, run.cached)[: 3 if with_cache else 2] for run in runs], float)
    seconds = np.array([run.gpu_seconds for run in runs])
    shares = tokens / seconds[:, None]  # a run counts by what it is off in shares, not by how long it was
    if len(runs) < tokens.shape[1] or np.linalg.matrix_rank(shares) < tokens.shape[1]:
        raise ValueError(f"price: {len(runs)} runs do not tell input and output apart; measure several prompt lengths")
    found, _ = nnls(shares, np.ones(len(runs)))
    worst = float(np.abs(shares @ found - 1).max())
    if not all(found[:2] > 0) or worst > MOST_OFF:
        raise ValueError(f"price: no rates of input and output describe the runs (off by {worst:.0%}); measure anew")
    dollar = gpu_hour_usd * gpus / 3600 / utilisation
    of_cached = found[2] if with_cache else found[0]
    return Rates(_usd(found[0] * dollar), _usd(found[1] * dollar), _usd(of_cached * dollar), worst)


def _usd(value: float) -> Decimal:
    return Decimal(value).quantize(FEMTODOLLAR)
