"""What `fivelevers demo --retreat` runs beside the stack.

    python -m examples.retreat prompts --count 300 --out invoices.jsonl
    python -m examples.retreat model --base-url URL --simulator URL --key KEY

Exit codes: 0 the lever retreated, 1 it did not.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx

from examples.retreat.callers import Callers, Task
from examples.retreat.sums import sums

NEEDED_CALLS = 4
_BENCHMARKED, _SERVED = 1, 2  # seeds


def main() -> int:
    args = _arguments()
    if args.do == "prompts":
        lines = (f"{one.line()}\n" for one in islice(sums(_BENCHMARKED), args.count))
        args.out.write_text("".join(lines), encoding="utf-8")
        return 0
    return _model(args)


def _model(args: argparse.Namespace) -> int:
    """The cheap model is right the fourth time that it is asked the same; callers ask until it is."""
    fault = {"fault": "wrong", "times_each": NEEDED_CALLS - 1, "match": {"model": args.weak}}
    httpx.post(f"{args.simulator}/sim/faults", json=fault).raise_for_status()
    callers = Callers(args.base_url, args.key, "x-fivelevers-routing", until="shadow", tries=NEEDED_CALLS)
    asyncio.run(callers.run(islice(_invoices(), args.sessions)))
    httpx.delete(f"{args.simulator}/sim/faults").raise_for_status()
    return _told(callers)


def _invoices() -> Iterator[Task]:
    for number, one in enumerate(sums(_SERVED)):
        body = {"model": "invoices", "messages": [{"role": "user", "content": one.prompt}]}
        yield Task(f"invoice-{number}", body, one.truth)


def _told(callers: Callers) -> int:
    calls, wrong = callers.calls.total(), callers.wrong.total()
    back = "the lever is back in shadow" if callers.retreated else "the lever did NOT retreat"
    print(f"{callers.sessions} sessions, {calls} calls, {wrong} answers wrong, each outcome posted: {back}.")
    return 0 if callers.retreated else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.retreat", description=__doc__.partition("\n")[0])
    parsers = parser.add_subparsers(dest="do", required=True)
    prompts = parsers.add_parser("prompts", help="write the prompts of the benchmark")
    prompts.add_argument("--count", type=int, default=200, help="of them (%(default)s)")
    prompts.add_argument("--out", type=Path, required=True)
    model = parsers.add_parser("model", help="a cheap model that needs four calls, until its lever retreats")
    model.add_argument("--weak", default="gpt-6.1-sol", help="the model (%(default)s)")
    for one in (model,):
        one.add_argument("--base-url", required=True, help="the proxy's address, without /v1")
        one.add_argument("--simulator", required=True, help="the provider simulator's address")
        one.add_argument("--key", required=True)
        one.add_argument("--sessions", type=int, default=1000, help="at most (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
