"""The batch lane under SIGKILL, SIGSTOP and failing providers: what was lost, sent twice, mixed up, or never ended.

    python -m benchmarks.batch_chaos --seeds 12 --json OUT [--only NAME] [--requests 2000] [--kills 20] [--quick]

Real workers, real Redis (AOF, everysec). Each seed takes the next of the variants below: one worker or three, killed at
random while 2,000 requests come in, in front of the provider simulator with its faults, or of one that others wrote:
PyPI's llmock, npm's aimock (where npm is). Workers are forked after their imports, so that kills hit their work. Exits
with 1 when anything is not 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.rig.lane_arena import Count, Plan, as_json, run, tokens_of
from benchmarks.rig.lane_peers import Peer, aimock, llmock, simulated
from benchmarks.rig.machine import about

COUNTED: Final = ("lost", "duplicate", "wrong_join", "stuck")
_CREATES: Final = {"api": "batches", "call": "create"}
# A fifth of all creates is done and not answered for each of these reasons, and none is listed for a while.
UNHEARD: Final[tuple[Mapping[str, Any], ...]] = (
    {"fault": "commit_then_drop", "match": _CREATES, "rate": 0.2},
    {"fault": "commit_then_500", "match": _CREATES, "rate": 0.25},
    {"fault": "slow_commit", "match": _CREATES, "rate": 0.3, "hang_s": 1.0},
    {"fault": "timeout", "match": _CREATES, "rate": 0.2, "hang_s": 2.0},
    {"fault": "list_lag", "match": _CREATES, "hang_s": 0.5},
)


@dataclass(frozen=True, slots=True)
class Variant:
    """``faults`` are the simulator's. ``provider``: "openai" or "anthropic" as it plays them, "llmock", "aimock"."""

    name: str
    workers: int
    provider: str = "openai"
    faults: tuple[Mapping[str, Any], ...] = ()
    stops: int = 0
    redis_kills: int = 0
    flaws: tuple[str, ...] = ()
    pace: Mapping[str, float] = field(default_factory=dict)

    def peer(self, folder: Path) -> AbstractContextManager[Peer]:
        if self.provider == "llmock":
            return llmock(folder)
        if self.provider == "aimock":
            return aimock(folder)
        return simulated(folder, self.provider, seconds=0.5, faults=self.faults)


VARIANTS: Final = (
    Variant("plain, 1 worker", 1),
    Variant("unheard creates, 3 workers", 3, faults=UNHEARD),
    Variant("unheard creates, 1 worker", 1, faults=UNHEARD),
    Variant("stops past the lease, 3 workers", 3, faults=UNHEARD, stops=10),
    Variant("rows fail, 3 workers", 3, faults=({"fault": "row_error", "rate": 0.15}, *UNHEARD)),
    Variant("all rows of a batch fail, 1 worker", 1, faults=({"fault": "row_error", "times": 200},)),
    Variant("batches expire, 3 workers", 3, faults=({"fault": "expire", "rate": 0.3, "share": 0.5}, *UNHEARD)),
    Variant("Anthropic, unheard creates, 3 workers", 3, "anthropic", faults=UNHEARD),
    Variant("Anthropic, stops, 1 worker", 1, "anthropic", faults=UNHEARD[-1:], stops=5),
    Variant("Redis is killed too, 3 workers", 3, faults=UNHEARD, redis_kills=5),
    Variant("llmock, 3 workers", 3, "llmock", stops=5),
    Variant("aimock, 3 workers", 3, "aimock", stops=5),
)
# Broken on purpose: what the counts above are worth.
BROKEN: Final = (
    Variant("broken: creates are sent again", 3, faults=UNHEARD, flaws=("retries",)),
    Variant(
        "broken: no grace",
        3,
        faults=({"fault": "list_lag", "match": _CREATES, "hang_s": 3.0}, *UNHEARD[:2]),
        pace={"create_limit_s": 0.2, "grace_s": 0.21},
    ),
    Variant("broken: answers are mixed up", 1, flaws=("mixed",)),
    Variant("broken: Redis without AOF", 3, redis_kills=5, flaws=("forgetful",)),
)


def main() -> None:
    args = _arguments()
    variants = [variant for variant in (*VARIANTS, *BROKEN) if args.only in variant.name]
    if not args.only:
        variants = list(VARIANTS)
    runs = list(_runs(args, variants))
    total = {name: sum(found[name] or 0 for found in runs) for name in (*COUNTED, "kills", "stops", "accepted")}
    print(json.dumps(total))
    if args.json:
        result = total | {"runs": runs} | about("benchmarks.batch_chaos")
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.exit(int(any(total[name] for name in COUNTED)))


def _runs(args: argparse.Namespace, variants: list[Variant]) -> Iterator[dict[str, Any]]:
    for seed in range(args.first_seed, args.first_seed + args.seeds):
        variant = variants[(seed - 1) % len(variants)]
        plan = Plan(seed, variant.workers, args.requests, args.kills)
        try:
            count = measure(variant, plan)
        except (OSError, RuntimeError) as error:
            print(f"seed {seed:3} {variant.name}: could not run: {error}", flush=True)
            continue
        print(f"seed {seed:3} {variant.name}: {_told(count)}", flush=True)
        yield {"seed": seed, "variant": variant.name, **as_json(count)}


def measure(variant: Variant, plan: Plan) -> Count:
    """One run. Raises OSError or RuntimeError where its provider can not be had."""
    share = plan.kills / 20
    plan = replace(
        plan,
        stops=round(variant.stops * share),
        redis_kills=round(variant.redis_kills * share),
        flaws=variant.flaws,
        pace=tuple(variant.pace.items()),
    )
    with tempfile.TemporaryDirectory() as name, variant.peer(Path(name)) as peer:
        return run(plan, peer, Path(name), tokens_of(plan))


def _told(count: Count) -> str:
    counts = {name: getattr(count, name) for name in COUNTED}
    found = ", ".join(f"{name} {'not told' if value is None else value}" for name, value in counts.items())
    kills = f"{count.kills} kills, {count.stops} of them stops"
    return f"{found}; {kills}; {count.accepted} accepted, {count.states}, {count.took_s} s"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch_chaos", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=len(VARIANTS), help="how many runs (%(default)s)")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--only", default="", help="variants whose name holds this; 'broken' ones run only so")
    parser.add_argument("--requests", type=int, default=2000, help="(%(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the counts to this file")
    parser.add_argument("--quick", action="store_true", help="one short run: whether it works")
    args = parser.parse_args()
    if args.quick:
        args.seeds, args.requests, args.kills, args.first_seed = 1, 200, 4, 2
    return args


if __name__ == "__main__":
    main()
