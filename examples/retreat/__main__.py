"""What `fivelevers demo --retreat` runs beside the stack.

    python -m examples.retreat prompts --out invoices.jsonl                       # or pairs
    python -m examples.retreat model --base-url URL --simulator URL --key KEY     # or shadow, or cache

Exit codes: 0 the lever is in shadow in the end, 1 it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import httpx

from examples.retreat.callers import Callers, Task
from examples.retreat.halls import SYSTEM, Question, mixed, pairs, usual
from examples.retreat.sums import sums

WEAK, NEEDED_CALLS = "gpt-6.1-sol", 4
PROMPTS = 200
LABELLED = 450  # of the questions in their order: those of the months before
_BENCHMARKED, _ASKED, _SERVED = 1, 1, 2  # seeds
_CACHE = "x-fivelevers-semantic-cache"
_LOADS_WITHIN_S, _READY = 120.0, 8


def main() -> int:
    args = _arguments()
    if args.do in _FILES:
        args.out.write_text("".join(f"{json.dumps(row)}\n" for row in _FILES[args.do]()), encoding="utf-8")
        return 0
    return asyncio.run(_PARTS[args.do](args))


def _prompts() -> Iterator[dict[str, Any]]:
    """What the benchmark of both models asks."""
    return (one.line() for one in islice(sums(_BENCHMARKED), PROMPTS))


def _pairs() -> Iterator[dict[str, Any]]:
    """The questions of the months before, labelled by people."""
    return pairs(usual(_ASKED)[:LABELLED])


async def _model(args: argparse.Namespace) -> int:
    """The cheap model is right the fourth time that it is asked the same; callers ask until it is."""
    fault = {"fault": "wrong", "times_each": NEEDED_CALLS - 1, "match": {"model": WEAK}}
    httpx.post(f"{args.simulator}/sim/faults", json=fault).raise_for_status()
    callers = Callers(args.base_url, args.key, "x-fivelevers-routing", tries=NEEDED_CALLS)
    await callers.run(islice(_invoices(), args.sessions))
    httpx.delete(f"{args.simulator}/sim/faults").raise_for_status()
    return _told(callers)


def _invoices() -> Iterator[Task]:
    for number, one in enumerate(sums(_SERVED)):
        body = {"model": "invoices", "messages": [{"role": "user", "content": one.prompt}]}
        yield Task(f"invoice-{number}", body, one.truth)


async def _shadow(args: argparse.Namespace) -> int:
    """What the store knows when it begins to serve, once the proxy's workers have loaded their embedder."""
    await _loaded(args)
    callers = Callers(args.base_url, args.key, _CACHE, stops=False)
    await callers.run(_tasks(usual(_ASKED)[: min(args.sessions, LABELLED)]))
    return 0 if callers.retreated else 1


async def _loaded(args: argparse.Namespace) -> None:
    """Each worker loads with its first question; until then nothing that it is asked is kept."""
    callers = Callers(args.base_url, args.key, _CACHE, stops=False)
    deadline, ready = time.monotonic() + _LOADS_WITHIN_S, 0
    for task in _tasks(cycle(usual(_ASKED)[:LABELLED])):
        await callers.run([task])
        ready = 0 if "embedder" in callers.last else ready + 1
        if ready == _READY or time.monotonic() > deadline:
            return
        await asyncio.sleep(0.2)


async def _cache(args: argparse.Namespace) -> int:
    """The other questions, a part of them about a holiday."""
    callers = Callers(args.base_url, args.key, _CACHE)
    await callers.run(islice(_tasks(mixed(_SERVED, args.holidays, usual(_ASKED)[LABELLED:])), args.sessions))
    return _told(callers)


def _tasks(questions: Iterable[Question]) -> Iterator[Task]:
    for question in questions:
        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question.text}]
        body = {"model": "halls", "temperature": 0, "max_tokens": 400, "messages": messages}
        yield Task(f"halls-{secrets.token_hex(8)}", body, question.truth)


def _told(callers: Callers) -> int:
    back = "the lever is back in shadow" if callers.retreated else "the lever did NOT retreat"
    calls, wrong = callers.said.total(), callers.wrong.total()
    print(f"{callers.sessions} sessions, {calls} calls, {wrong} answers wrong, each outcome posted: {back}.")
    return 0 if callers.retreated else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.retreat", description=__doc__.partition("\n")[0])
    parts = parser.add_subparsers(dest="do", required=True)
    for name, makes in _FILES.items():
        part = parts.add_parser(name, help=(makes.__doc__ or "").partition("\n")[0])
        part.add_argument("--out", type=Path, required=True)
    for name, does in _PARTS.items():
        part = parts.add_parser(name, help=(does.__doc__ or "").partition("\n")[0])
        part.add_argument("--base-url", required=True, help="the proxy's address, without /v1")
        part.add_argument("--simulator", required=True, help="the provider simulator's address")
        part.add_argument("--key", required=True)
        part.add_argument("--holidays", type=float, default=0.1, help="share of what the cache is asked (%(default)s)")
        part.add_argument("--sessions", type=int, default=3000, help="at most (%(default)s)")
    return parser.parse_args()


_FILES = {"prompts": _prompts, "pairs": _pairs}
_PARTS = {"model": _model, "shadow": _shadow, "cache": _cache}


if __name__ == "__main__":
    sys.exit(main())
