"""Whether the ranges of `fivelevers audit` hold what the levers then save, on traffic of which that is known.

    python -m benchmarks.audit_truth --json OUT [--seeds 10] [--calls 4000] [--data FILE] [--quick]

For each seed, traffic with a known share of repeated questions, gaps between uses of a prefix, share that nobody waits
for, and share of right answers by model (rig/audit_traffic.py) is sent to a simulated provider as it is, which gives
the log and the bill. The audit reads the log. Then the same traffic is sent with the levers on, one more at a time
(rig/audit_stack.py): by how much the bill falls is what a lever saves, on what the ones before it left.

FILE: the Mooncake conversation trace, as a log: of its second half, what share of the prompt tokens stood at the start
of an earlier prompt. llmtrafficlens 0.13 says 39.8 % (pypi.org/project/llmtrafficlens).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rig.audit_mooncake import PUBLISHED, ceiling
from benchmarks.rig.audit_projected import Ends, projected
from benchmarks.rig.audit_stack import Provider, bill
from benchmarks.rig.audit_traffic import Sent, draw
from benchmarks.rig.machine import about
from fivelevers.prices import PriceBook, find_litellm_map

ACTS = {"desk": (1, 2), "agent": (1,), "tickets": (3,), "triage": (4,)}
"""The levers that something is known about, by route."""

CALLS, QUICK_CALLS = 4000, 200
TARGET_SHARE, TARGET_POINTS = 0.9, 0.01
_ROUNDED = Decimal("0.00001")  # USD; the audit's JSON has six places, for each model
_LEVERS = ("prompt_cache", "semantic_cache", "batch", "routing")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit_truth", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=CALLS, help="for each seed (%(default)s)")
    parser.add_argument("--data", type=Path, metavar="FILE", help="the Mooncake conversation trace")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="one small seed: whether it runs, no figures")
    args = parser.parse_args()
    seeds, calls = (1, QUICK_CALLS) if args.quick else (args.seeds, args.calls)
    numbers = track(range(1, seeds + 1), "seeds", console=Console(stderr=True), disable=not sys.stderr.isatty())
    rows = [row for seed in numbers for row in asyncio.run(of_seed(seed, calls))]
    share = ceiling(args.data) if args.data else None
    print_table(rows)
    told = {**held(rows), "mooncake_second_half": share, "rows": rows, "calls": calls}
    result = {**told, **about("benchmarks.audit_truth")}
    if share is not None:
        near = "met" if abs(share - PUBLISHED) <= TARGET_POINTS else "MISSED"
        print(f"Mooncake, second half: {share:.2%} of prompt tokens are reusable, published {PUBLISHED:.1%}: {near}")
    print(f"command: {result['command']}\nmachine: {result['machine']}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


async def of_seed(seed: int, calls: int) -> list[dict[str, Any]]:
    """One row for each route and lever of which something is known."""
    prices = PriceBook.from_litellm_map(find_litellm_map())
    known, traffic = draw(seed, calls)
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.jsonl"
        await write(log, traffic, seed)
        told = projected(log, prices)
    rows = []
    for route, levers in ACTS.items():
        of_route = [sent for sent in traffic if sent.route == route]
        bills = {at: await bill(of_route, at, prices, seed) for lever in levers for at in (lever - 1, lever)}
        for lever in levers:
            saved = bills[lever - 1] - bills[lever]
            found = {"seed": seed, "known": asdict(known), "route": route, "lever": lever}
            rows.append({**found, **against(bills[lever - 1], saved, told.get((route, _LEVERS[lever - 1])))})
    return rows


def against(left: Decimal, saved: Decimal, ends: Ends | None) -> dict[str, Any]:
    """``left``: USD of the route before the lever acts. ``held`` None: the audit gives no figure."""
    return {
        "left_usd": float(left),
        "saved_usd": float(saved),
        "projected_usd": None if ends is None else [float(end) for end in ends],
        "held": None if ends is None else ends[0] - _ROUNDED <= saved <= ends[1] + _ROUNDED,
    }


async def write(log: Path, traffic: Sequence[Sent], seed: int) -> None:
    """The log of the traffic as it is: each call sent to the provider, at its time."""
    provider = Provider(seed)
    with log.open("wb") as file:
        for sent in traffic:
            provider.at(sent.at - traffic[0].at)
            answer = await provider.ask(sent.body)
            line = {"timestamp": sent.at, "model_group": sent.route, "key_alias": sent.key, "request": sent.body}
            told = {} if sent.right is None else {"outcome": "success" if sent.right else "failure"}
            file.write(orjson.dumps({**line, "response": answer, "end_time": sent.at + 2, **told}) + b"\n")


def held(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By route and lever: in how many of the seeds with a figure it held what was saved."""
    found: dict[str, Any] = {}
    for route, levers in ACTS.items():
        for lever in levers:
            told = [row["held"] for row in rows if (row["route"], row["lever"]) == (route, lever)]
            figures = [one for one in told if one is not None]
            found[f"{route}, lever {lever}"] = {"held": sum(figures), "figures": len(figures), "seeds": len(told)}
    met = all(one["held"] >= TARGET_SHARE * one["figures"] for one in found.values())
    return {"held": found, "met": met}


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("seed", "route", "lever", "left", "saved", "projected", "held")
    for one in rows:
        ends = one["projected_usd"]
        told = "no figure" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
        cells = (str(one["seed"]), one["route"], str(one["lever"]), f"{one['left_usd']:.4f}", f"{one['saved_usd']:.4f}")
        table.add_row(*cells, told, {True: "yes", False: "NO", None: "-"}[one["held"]])
    console = Console()
    console.print(table)
    for name, found in held(rows)["held"].items():
        console.print(f"{name}: {found['held']} of {found['figures']} figures held ({found['seeds']} seeds)")


if __name__ == "__main__":
    main()
