"""What marking prompts costs: the production decision beside every gateway's fixed rules and a bound nobody can beat.

    python -m benchmarks.prompt_cache --data FILE --json OUT [--part a|b|all] [--read 0.1] [--seed 1]
    python -m benchmarks.prompt_cache --synthetic --json OUT [--seeds 5]
    python -m benchmarks.prompt_cache --plan --json OUT

Figures are input cost, with all of it uncached = 1. One pass over the trace in order of arrival; the decision sees what
a proxy sees: prefixes, times and its own memory, kept as a store keeps it. The bill is reckoned by a cost model of its
own (rig/prefix_cache.py); the bound is explained in rig/prefix_bound.py.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.progress import track

from benchmarks.request import body
from benchmarks.rig.machine import about
from benchmarks.rig.prefix_bound import clairvoyant
from benchmarks.rig.prefix_cache import FIXED, HOUR, MINIMUM_TOKENS, MINUTES, READ, WRITE, Marks, Provider, cost_of
from benchmarks.rig.prefix_trace import Arrival, load
from benchmarks.rig.prefix_workloads import WORKLOADS, arrivals
from fivelevers.levers.prompt_cache.breakpoints import decide
from fivelevers.levers.prompt_cache.node import Node, Role, unpacked
from fivelevers.levers.prompt_cache.prefix import Position, prefix_of
from fivelevers.levers.prompt_cache.reuse import Hazards
from fivelevers.levers.prompt_cache.terms import CachePrices, CacheRules, Style
from fivelevers.request import Api, parse

RULES = CacheRules(Style.MARKS, MINIMUM_TOKENS, (MINUTES, HOUR), look_back_blocks=None)
TARGET_PLAN_MS = 1.0
QUICK_ARRIVALS, QUICK_HOURS = 2000, 6.0


class Fivelevers:
    """The production decision with a memory of packed states, as Redis holds them."""

    def __init__(self, rules: CacheRules, read: float = READ) -> None:
        self.plan_ms: list[float] = []
        self._rules, self._prices = rules, CachePrices(read, WRITE)
        self._states: dict[bytes, bytes] = {}
        self._hazards = Hazards()

    def marks(self, arrival: Arrival) -> Marks:
        if arrival.split is not None:
            self._remember_split(arrival.positions, arrival.split, arrival.at)
        return self.plan(arrival.positions, arrival.at)

    def plan(self, positions: tuple[Position, ...], now: float) -> Marks:
        started = time.perf_counter()
        states = self._states
        nodes = unpacked([(p.node, states[p.node]) for p in positions if p.node in states])
        decision = decide(positions, nodes, self._hazards, self._prices, self._rules, now=now)
        self._hazards.add(decision.counts)
        states.update((name, node.pack()) for name, node in decision.nodes.items())
        self.plan_ms.append((time.perf_counter() - started) * 1e3)
        return [(mark.at, mark.ttl_s) for mark in decision.marks]

    def _remember_split(self, positions: tuple[Position, ...], at: int, now: float) -> None:
        """A proxy remembers every block; a trace tells of a place only once requests part there."""
        above = (self._states.get(position.node) for position in positions[:at])
        turns = [Node.unpack(state).turn for state in above if state]
        self._states.setdefault(positions[at].node, Node(now, Role.INNER, max(turns, default=0)).pack())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prompt_cache", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FILE", help="Claude Code sessions or a Mooncake trace")
    parser.add_argument("--part", choices=["all", "a", "b"], default="all", help="half of the sessions, by hash")
    parser.add_argument("--read", type=float, default=READ, help="price of a read, uncached = 1 (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the times at which sessions begin")
    parser.add_argument("--synthetic", action="store_true", help="made-up workloads instead of a trace")
    parser.add_argument("--seeds", type=int, default=5, help="of each workload; the median counts (%(default)s)")
    parser.add_argument("--plan", action="store_true", help="planning time alone")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="a small part: whether it runs, no figures")
    args = parser.parse_args()
    if args.data and not args.data.is_file():
        sys.exit(_refuse(f"{args.data} is not there; give a trace, or --synthetic"))
    if not (args.data or args.synthetic or args.quick or args.plan):
        sys.exit(_refuse("give --data FILE, --synthetic or --plan"))
    # First, since a proxy holds no trace in memory: its nodes are in Redis.
    planned = planning(rounds=20 if args.quick else 2000)
    if args.data:
        result = on_trace(args)
    elif args.synthetic or args.quick:
        result = {"workloads": on_workloads(1 if args.quick else args.seeds, QUICK_HOURS if args.quick else None)}
    else:
        result = {}
    result |= planned | about("benchmarks.prompt_cache")
    _show(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _refuse(why: str) -> int:
    print(f"benchmarks.prompt_cache: {why}", file=sys.stderr)
    return 2


def on_trace(args: argparse.Namespace) -> dict[str, Any]:
    try:
        trace = load(args.data, args.part, args.seed)[: QUICK_ARRIVALS if args.quick else None]
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(_refuse(str(error)))
    ours, provider = _ours(track(trace, description="fivelevers", transient=True), args.read)
    cost = {"fivelevers": provider.ratio}
    cost |= {name: cost_of(trace, marks, args.read) for name, marks in FIXED.items()}
    cost["clairvoyant"] = clairvoyant(trace, args.read)
    written = {f"{ttl}_s": round(count / provider.tokens, 5) for ttl, count in provider.tokens_written.items()}
    return {
        "cost": {name: round(figure, 5) for name, figure in cost.items()},
        "over_clairvoyant": round(cost["fivelevers"] / cost["clairvoyant"], 4),
        "share_read": round(provider.tokens_read / provider.tokens, 5),
        "share_written": written,
        "requests": len(trace),
        "prompt_tokens": provider.tokens,
        "trace_plan_ms_p99": round(_percentile(ours.plan_ms, 0.99), 4),
        "data": f"{args.data.name}, part {args.part}, seed {args.seed}, read {args.read:g}",
    }


def _ours(trace: Iterable[Arrival], read: float = READ) -> tuple[Fivelevers, Provider]:
    ours, provider = Fivelevers(RULES, read), Provider(read)
    for arrival in trace:
        provider.bill(arrival, ours.marks(arrival))
    return ours, provider


def on_workloads(seeds: int, hours: float | None) -> dict[str, dict[str, float | str]]:
    return {name: _workload(name, seeds, hours) for name in track(WORKLOADS, description="workloads", transient=True)}


def _workload(name: str, seeds: int, hours: float | None) -> dict[str, float | str]:
    runs: list[dict[str, float]] = []
    for seed in range(1, seeds + 1):
        trace = arrivals(name, seed, hours)
        costs = {fixed: cost_of(trace, marks) for fixed, marks in FIXED.items()}
        runs.append(costs | {"fivelevers": _ours(trace)[1].ratio, "clairvoyant": clairvoyant(trace)})
    median = {policy: statistics.median(run[policy] for run in runs) for policy in runs[0]}
    best = min(FIXED, key=lambda fixed: median[fixed])
    figures = {policy: round(figure, 5) for policy, figure in median.items()}
    return {**figures, "best_fixed": figures[best], "best_fixed_rule": best}


def planning(rounds: int) -> dict[str, float]:
    """Time of one plan at 200 messages of 4 kB, states unpacked and packed, the parsed request given."""
    asked, ours = body(seed=1), Fivelevers(CacheRules(Style.MARKS))
    took = []
    for number in range(rounds):
        messages = [*asked["messages"][:-1], {"role": "user", "content": f"{number}{asked['messages'][-1]['content']}"}]
        request = parse(Api.CHAT, asked | {"messages": messages})
        started = time.perf_counter()
        positions = prefix_of(request, b"anthropic/claude", 0.25)
        hashed_ms = (time.perf_counter() - started) * 1e3
        ours.plan(positions, 1.7e9 + number * 20)
        took.append(hashed_ms + ours.plan_ms[-1])
    return {"plan_ms_p50": round(_percentile(took, 0.5), 4), "plan_ms_p99": round(_percentile(took, 0.99), 4)}


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def _show(result: dict[str, Any]) -> None:
    for name, value in result.items():
        if isinstance(value, dict):
            print(f"{name}:")
            for key, figure in value.items():
                print(f"  {key}: {figure}")
        else:
            print(f"{name}: {value}")
    print(
        f"target: plan_ms_p99 <= {TARGET_PLAN_MS:g}: {'met' if result['plan_ms_p99'] <= TARGET_PLAN_MS else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
