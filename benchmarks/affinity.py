"""Which replica gets a request: time to the first token, cache hits and balance, ours beside what proxies offer.

    python -m benchmarks.affinity --data FILE --replicas 8 --json OUT [--seed 1] [--quick]

FILE: a Mooncake trace (512-token blocks) or Claude Code sessions; without it, made-up conversations behind one system
prompt. Every way to choose sees the same arrivals and the same fleet (benchmarks/rig/fleet.py states the model: prefill
as a queue; Mooncake's replicas hold 1,000,000 tokens and compute 8,000 a second, Claude Code's 3,000,000 and 30,000).
All learn of an answer's end when it has been decoded at --decode-s a token, ours of its first token no sooner.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.rig.balancers import Balancer, balancers
from benchmarks.rig.fleet import Fleet, Flight, Size, Workload, conversations, figures, read
from benchmarks.rig.machine import about

TARGET_TTFT, TARGET_IMBALANCE = 0.45, 1.05
_QUICK_ARRIVALS = 1500


def main() -> None:
    args = _arguments()
    workload = _workload(args)
    size = Size(args.kv_tokens or workload.size.kv_tokens, args.rate or workload.size.tokens_per_s)
    result = measure(workload, [size] * args.replicas, args.decode_s, args.seed)
    result |= {"workload": workload.name, "requests": len(workload.arrivals), "replicas": args.replicas}
    result |= {"kv_tokens": size.kv_tokens, "tokens_per_s": size.tokens_per_s, "decode_s": args.decode_s}
    result |= {"seed": args.seed, "data": args.data.name if args.data else "made up", **about("benchmarks.affinity")}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.affinity", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FILE", help="a trace; without it, made-up conversations")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--replicas", type=int, default=8, help="(%(default)s)")
    parser.add_argument("--kv-tokens", type=int, help="that a replica holds; without it what is stated for the trace")
    parser.add_argument("--rate", type=float, help="prompt tokens a second; without it what is stated for the trace")
    parser.add_argument("--decode-s", type=float, default=0.03, help="seconds per output token (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the first 1,500 requests: whether it runs, no figures")
    return parser.parse_args()


def _workload(args: argparse.Namespace) -> Workload:
    at_most = _QUICK_ARRIVALS if args.quick else None
    if args.data is None:
        return conversations(args.seed, at_most)
    try:
        return read(args.data, args.seed, at_most)
    except (OSError, ValueError) as error:
        print(f"benchmarks.affinity: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def measure(workload: Workload, sizes: list[Size], decode_s: float, seed: int) -> dict[str, Any]:
    """Figure -> balancer -> value, and the CPU microseconds that each decision and its report took."""
    result: dict[str, Any] = {}
    ways = balancers(len(sizes), sizes[0], seed)
    with Progress(transient=True) as progress:
        task = progress.add_task("", total=len(ways))
        for name, make in ways.items():
            progress.update(task, description=name)
            fleet, started = Fleet(sizes, decode_s), time.process_time()
            flights = asyncio.run(_replay(workload, fleet, make()))
            spent_us = (time.process_time() - started) / len(flights) * 1e6
            for figure, value in (figures(fleet, flights) | {"cpu_us": round(spent_us, 1)}).items():
                result.setdefault(figure, {})[name] = value
            progress.advance(task)
    return result


async def _replay(workload: Workload, fleet: Fleet, balancer: Balancer) -> list[Flight]:
    flights = []
    for arrival in workload.arrivals:
        for at_s, flight in fleet.ended_by(arrival.at_s):
            await balancer.ended(flight, at_s)
        flights.append(fleet.send(arrival, await balancer.choose(arrival, fleet)))
        balancer.sent(flights[-1])
    return flights


def _tell(result: dict[str, Any]) -> None:
    names = list(result["ttft_mean"])
    columns = [figure for figure in result if isinstance(result[figure], dict)]
    print("".join(["balancer".ljust(20), *(column.rjust(11) for column in columns)]))
    for name in names:
        print("".join([name.ljust(20), *(f"{result[column][name]:11.3f}" for column in columns)]))
    for name, value in result.items():
        if not isinstance(value, dict):
            print(f"{name}: {value}")
    ratio = result["ttft_mean"]["fivelevers"] / result["ttft_mean"]["round_robin"]
    imbalance = result["imbalance"]["fivelevers"]
    targets = result["workload"] == "mooncake"  # they are stated for this trace
    print(f"mean TTFT over round robin's: {ratio:.3f}{_judged(ratio, TARGET_TTFT) if targets else ''}")
    print(f"imbalance: {imbalance:.3f}{_judged(imbalance, TARGET_IMBALANCE) if targets else ''}")


def _judged(value: float, target: float) -> str:
    return f" (target {target}: {'met' if value <= target else 'MISSED'})"


if __name__ == "__main__":
    main()
