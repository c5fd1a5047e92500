"""How long the canonical request takes: 200 messages of 4 kB, parsed and hashed block by block.

    python -m benchmarks.request --json OUT [--rounds 300] [--quick]

Beside it, for comparison, one hash over the whole body as JSON, which tells nobody which prefix two requests share.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.rig.machine import about
from fivelevers.request import Api, parse

MESSAGES, CHARS = 200, 4000
TARGET_MS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.request", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--rounds", type=int, default=300, help="of each, in turns (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="20 rounds: whether it runs, no figures")
    args = parser.parse_args()
    result = {**measure(body(args.seed), 20 if args.quick else args.rounds), "seed": args.seed}
    result |= {"data": f"{MESSAGES} messages of {CHARS} random characters", **about("benchmarks.request")}
    for name, value in result.items():
        print(f"{name}: {value}")
    print(f"target: parse_ms_p50 < {TARGET_MS:g}: {'met' if result['parse_ms_p50'] < TARGET_MS else 'MISSED'}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def body(seed: int) -> dict[str, Any]:
    """A long conversation in turns; words of random letters, since some hashes and encoders know repetitions."""
    rng = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz     \n"
    roles = ("user", "assistant")
    texts = ("".join(rng.choices(letters, k=CHARS)) for _ in range(MESSAGES))
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"model": "coding-agent", "temperature": 0, "messages": messages}


def measure(asked: dict[str, Any], rounds: int) -> dict[str, float]:
    """Milliseconds at the median and the 99th percentile, of ours and of the whole-body hash in turns."""
    took: dict[str, list[float]] = {"parse": [], "json_sha256": []}
    for _ in range(rounds):
        took["parse"].append(_ms(lambda: parse(Api.CHAT, asked)))
        took["json_sha256"].append(_ms(lambda: sha256(json.dumps(asked, sort_keys=True).encode()).digest()))
    figures = {}
    for name, times in took.items():
        times.sort()
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            figures[f"{name}_ms_{label}"] = round(times[min(int(share * rounds), rounds - 1)], 4)
    return figures


def _ms(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
