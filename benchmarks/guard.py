"""How often the guard calls back a lever that does no harm, and how soon one that does: ours beside t-tests.

    python -m benchmarks.guard --json OUT [--data FILE] [--fleets 400] [--runs 400] [--seed 1] [--quick]

FILE: a Mooncake trace whose sessions are drawn instead of made-up ones. False retreats: fleets of 100 guards on levers
that do nothing, a treated share of 2, 10, 50, 90 or 98 % each, 10,000 known outcomes each, prices that drift; looked at
every 25 sessions. Power: guard number 1 and number 100, until 60,000 outcomes; the outcomes of both arms count. Peers,
on the same capped sessions: a t-test at 5 % that is looked at as often ("naive"), and one that is looked at once, at
3,000 outcomes, with Bonferroni's share of 5 % for each of a fleet's 200 tests ("fixed").
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rig.guard_sessions import Pool, Seen, Traffic, draw, mooncake, synthetic
from benchmarks.rig.machine import about
from fivelevers.metering.guard import ALPHA, MIN_SESSIONS, SETTING, Sums, needed, read

GUARDS, OUTCOMES, HORIZON, LONGEST = 100, 3_000, 10_000, 60_000
EVERY_SESSIONS, MAX_LOSS = 25, 0.02
SHARES = 0.02, 0.1, 0.5, 0.9, 0.98
_Z = NormalDist().inv_cdf(1 - ALPHA)
_Z_FLEET = NormalDist().inv_cdf(1 - ALPHA / (2 * GUARDS))
HARM = {
    "cost +20 %": Traffic(0.5, rise=0.2),
    "cost +50 %": Traffic(0.5, rise=0.5),
    "success 95 % -3": Traffic(0.5, loss=0.03),
    "success 99 % -3": Traffic(0.5, success=0.99, loss=0.03),
    "success 95 % -10": Traffic(0.5, loss=0.1),
    "cost +20 %, canary 10 %": Traffic(0.1, rise=0.2),
    "cost +20 %, holdout 2 %": Traffic(0.98, rise=0.2),
    "success 95 % -3, holdout 2 %": Traffic(0.98, loss=0.03),
    "cost x4, holdout 2 %": Traffic(0.98, rise=3.0),
    "allowed: success 95 % -1": Traffic(0.5, loss=0.01),
}

Figures = dict[str, Any]


def main() -> None:
    args = _arguments()
    pool = mooncake(args.data) if args.data else synthetic(args.seed)
    rng = np.random.default_rng(args.seed)
    result: Figures = {"seed": args.seed, "fleets": args.fleets, "runs": args.runs, **pool.about}
    result |= false_retreats(rng, pool, args.fleets)
    result["harm"] = {name: caught(rng, pool, traffic, args.runs) for name, traffic in track(HARM.items(), "Harm")}
    asked = [result["harm"]["cost +20 %"], result["harm"]["success 95 % -3"]]
    result["power"] = min(one["power"] for one in asked)
    medians = [one["median_outcomes"] for one in asked]  # None: more than half never retreated
    result["median_outcomes_to_retreat"] = None if None in medians else max(medians)
    result |= about("benchmarks.guard")
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FILE", help="a Mooncake trace; without it, made-up sessions")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--fleets", type=int, default=400, help="of 100 guards each (%(default)s)")
    parser.add_argument("--runs", type=int, default=400, help="for each kind of harm (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few of each: whether it runs, no figures")
    args = parser.parse_args()
    if args.quick:
        args.fleets, args.runs = 1, 2
    return args


def false_retreats(rng: np.random.Generator, pool: Pool, fleets: int) -> Figures:
    """The share of fleets with any retreat, of levers that do nothing."""
    alarmed: dict[str, list[bool]] = {"ours": [], "naive": [], "fixed": []}
    for _ in track(range(fleets), "Fleets"):
        found = [_peeked(draw(rng, pool, Traffic(SHARES[k % 5]), HORIZON, drift=True), k + 1) for k in range(GUARDS)]
        for peer, fleet in alarmed.items():
            fleet.append(any(one[peer] for one in found))
    return {
        "false_retreat_fleet": float(np.mean(alarmed["ours"])),
        "false_retreat_fleet_naive": float(np.mean(alarmed["naive"])),
        "false_retreat_fleet_fixed": float(np.mean(alarmed["fixed"])),
    }


def _peeked(seen: Seen, number: int) -> dict[str, bool]:
    looks, limit, fixed = list(_looks(seen)), needed(number), _fixed_look(seen)
    return {
        "ours": any(evidence >= limit for _, evidence, _ in looks),
        "naive": any(z >= _Z for _, _, z in looks),
        "fixed": fixed >= _Z_FLEET,
    }


def _looks(seen: Seen) -> Iterator[tuple[int, float, float]]:
    """(outcomes so far, the guard's evidence, the greater z of two t-tests) at each look."""
    at = np.arange(EVERY_SESSIONS, seen.usd.size + 1, EVERY_SESSIONS)
    known = np.cumsum(seen.outcomes)[at - 1]
    for outcomes, treated, control in zip(known.tolist(), *seen.sums(at), strict=True):
        ready = min(treated.sessions, control.sessions) >= MIN_SESSIONS
        ready = ready and treated.sessions + control.sessions >= SETTING
        evidence = read(treated, control, MAX_LOSS).evidence if ready else 0.0
        yield outcomes, evidence, _z(treated, control)


def _fixed_look(seen: Seen) -> float:
    at = np.array([int(np.searchsorted(np.cumsum(seen.outcomes), OUTCOMES)) + 1])
    treated, control = seen.sums(np.minimum(at, seen.usd.size))
    return _z(treated[0], control[0])


def _z(treated: Sums, control: Sums) -> float:
    """The usual test of two ratios, clustered by session; 30 sessions in each arm at least, as ours."""
    if min(treated.sessions, control.sessions) < MIN_SESSIONS or not (treated.s and control.s):
        return 0.0
    costs, rates = [[a.x / a.s for a in (treated, control)], [a.s / a.n for a in (treated, control)]]
    arms = list(zip((treated, control), costs, rates, strict=True))
    v_cost = sum(a.cost_residual(cost, 0, 0) / a.s**2 for a, cost, _ in arms)
    v_rate = sum(a.success_residual(rate) / a.n**2 for a, _, rate in arms)
    dear = (costs[0] - costs[1]) / sqrt(v_cost) if v_cost else 0.0
    lost = (rates[1] - rates[0]) / sqrt(v_rate) if v_rate else 0.0
    return max(dear, lost)


def caught(rng: np.random.Generator, pool: Pool, traffic: Traffic, runs: int) -> Figures:
    """How many outcomes guards number 1 and 100 need, and what the t-test sees that looks once, at 3,000."""
    first, hundredth, fixed = [], [], []
    for _ in range(runs):
        seen = draw(rng, pool, traffic, LONGEST)
        looks = list(_looks(seen))
        first.append(next((n for n, evidence, _ in looks if evidence >= needed(1)), None))
        hundredth.append(next((n for n, evidence, _ in looks if evidence >= needed(GUARDS)), None))
        fixed.append(_fixed_look(seen))
    return {
        "power": _within(first, OUTCOMES),
        "power_of_the_hundredth": _within(hundredth, OUTCOMES),
        "power_fixed": float(np.mean([z >= _Z_FLEET for z in fixed])),
        "median_outcomes": _quantile(first, 0.5),
        "outcomes_for_90_percent": _quantile(first, 0.9),
        "ever": _within(first, 2 * LONGEST),
    }


def _within(found: list[int | None], outcomes: int) -> float:
    return float(np.mean([n is not None and n <= outcomes for n in found]))


def _quantile(found: list[int | None], share: float) -> int | None:
    """None: fewer than that share of the runs ended."""
    ordered = sorted(float("inf") if n is None else n for n in found)
    value = ordered[min(int(share * len(ordered)), len(ordered) - 1)]
    return None if value == float("inf") else int(value)


def _tell(result: Figures) -> None:
    console = Console()
    fleets = [f"{result[f'false_retreat_fleet{peer}']:.1%}" for peer in ("", "_naive", "_fixed")]
    console.print(f"Fleets with a false retreat: ours {fleets[0]}, naive {fleets[1]}, fixed {fleets[2]}")
    columns = ("harm", "caught by 3,000", "the 100th", "fixed", "median", "for 90 %", f"ever, by {LONGEST:,}")
    table = Table(*columns, title=f"Known outcomes until retreat ({result['sessions']})")
    for name, one in result["harm"].items():
        shares = [f"{one[key]:.0%}" for key in ("power", "power_of_the_hundredth", "power_fixed")]
        counts = ["-" if one[k] is None else f"{one[k]:,}" for k in ("median_outcomes", "outcomes_for_90_percent")]
        table.add_row(name, *shares, *counts, f"{one['ever']:.0%}")
    console.print(table)
    console.print(result["command"])


if __name__ == "__main__":
    main()
