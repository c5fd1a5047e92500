"""How often lever 5's quality gate is wrong: simulated candidates through the production code, beside two common gates.

    python -m benchmarks.fp8_gate --json OUT [--runs 2000] [--seed 1] [--quick]

Items fall in five equal strata; the original is right on 70 %, and 7.5 % flip, as measured of SmolLM2-135M in
FP8_DYNAMIC. There are as many items as the gate asks for so that an equal candidate passes in 80 % of cases.

    type1              a candidate that is truly 3 points worse passes (margin: 2 points)
    type1_at_margin    one that is worse by exactly the margin passes
    power              an equal one passes
    damaged_mild_pass  one that loses 8 points in one stratum and nothing elsewhere (1.6 points in all) passes

The other gates: `recovery` passes a candidate with at least 98 % of the original's right answers; `not_significant`
passes one that McNemar's test (5 %, two-sided) does not find different.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rig.machine import about
from fivelevers.levers.quantization.gate import Limits, Quality, Scored, quality
from fivelevers.levers.quantization.paired import differs_p, needed
from fivelevers.levers.quantization.verdict import Verdict

RIGHT, DISCORDANCE = 0.7, 0.075
STRATA = ("chat", "code", "extract", "search", "sums")
GATES = ("fivelevers", "recovery", "not_significant")


@dataclass(frozen=True, slots=True)
class World:
    """``loss``: the true loss in successes per item; in the first stratum alone where ``in_one``."""

    name: str
    loss: float
    in_one: bool = False


WORLDS = (
    World("type1", 0.03),
    World("type1_at_margin", 0.02),
    World("power", 0.0),
    World("damaged_mild_pass", 0.08, in_one=True),
)


def main() -> None:
    args = _arguments()
    limits = Limits()
    items = needed(DISCORDANCE, limits.margin, limits.error)
    rng, runs = np.random.default_rng(args.seed), 40 if args.quick else args.runs
    passed = {world.name: _passed(world, items, runs, limits, rng) for world in WORLDS}
    result: dict[str, Any] = {world.name: passed[world.name]["fivelevers"] for world in WORLDS}
    result |= {"seconds_per_1000_items": _seconds(limits, rng), "gates": passed}
    result |= {"items": items, "runs": runs, "seed": args.seed, "margin": limits.margin, "discordance": DISCORDANCE}
    result |= {"data": "simulated", **about("benchmarks.fp8_gate")}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fp8_gate", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--runs", type=int, default=2000, help="of each kind of candidate (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="40 runs: whether it runs, no figures")
    return parser.parse_args()


def drawn(world: World, items: int, rng: np.random.Generator) -> list[Scored]:
    """The original flips a quarter as often when it is asked again as the candidate does: batching alone does that."""
    stratum = rng.integers(0, len(STRATA), items)
    loss = np.where(stratum == 0, world.loss, 0.0) if world.in_one else np.full(items, world.loss)
    baseline = rng.random(items) < RIGHT
    flips = np.where(baseline, (DISCORDANCE + loss) / 2 / RIGHT, (DISCORDANCE - loss) / 2 / (1 - RIGHT))
    candidate = baseline ^ (rng.random(items) < np.clip(flips, 0, 1))
    again = baseline ^ (rng.random(items) < np.where(baseline, 1 / RIGHT, 1 / (1 - RIGHT)) * DISCORDANCE / 8)
    rows = zip(stratum, baseline, candidate, again, strict=True)
    return [Scored(str(at), STRATA[s], bool(b), bool(c), bool(a)) for at, (s, b, c, a) in enumerate(rows)]


def _passed(world: World, items: int, runs: int, limits: Limits, rng: np.random.Generator) -> dict[str, float]:
    counts = dict.fromkeys(GATES, 0)
    for _ in track(range(runs), description=world.name, transient=True):
        found = quality(drawn(world, items, rng), limits)
        counts["fivelevers"] += found.verdict is Verdict.PASS
        counts["recovery"] += _recovery(found)
        counts["not_significant"] += differs_p(found.pairs) >= 0.05
    return {name: round(count / runs, 4) for name, count in counts.items()}


def _recovery(found: Quality) -> bool:
    return found.baseline_right - found.pairs.lost + found.pairs.won >= 0.98 * found.baseline_right


def _seconds(limits: Limits, rng: np.random.Generator) -> float:
    """CPU time of the verdict alone, at the median of 20; asking the models takes as long as they take."""
    scored, took = drawn(WORLDS[2], 1000, rng), []
    for _ in range(20):
        started = time.process_time()
        quality(scored, limits)
        took.append(time.process_time() - started)
    return round(sorted(took)[10], 5)


def _tell(result: dict[str, Any]) -> None:
    table = Table(title=f"Candidates that pass, of {result['runs']:,} each, {result['items']:,} items")
    for column in ("candidate", *GATES):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    for name, found in result["gates"].items():
        table.add_row(name, *(f"{found[gate]:.1%}" for gate in GATES))
    Console().print(table)
    for name, value in result.items():
        if name != "gates":
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
