"""What routing is worth and what can be promised of it: ours beside random, length, LiteLLM's routers, kNN, an oracle.

    python -m benchmarks.routing --data FILE --weak A --strong B --json OUT [--seeds 10] [--train 1500]
    python -m benchmarks.routing --data FILE --weak A --strong B --json OUT --certify [--resplits 200] [--epsilon .02]
    python -m benchmarks.routing --data FILE --weak A --strong B --json OUT --cascade --answers CSV
    python -m benchmarks.routing --data FILE --json OUT

FILE: lines (gzip or not) {"prompt", "domain", "correct": {model: 0 or 1}}, `score` serves for `correct`; with "cost":
{model: USD}, else prices below and "out_chars". The domain stands for a team's route. Without models all of the file's
are routed among and scored by AIQ, on the file's own split. Everything is fitted to `--train` labels drawn by seed, and
scored on the rest. `--certify` splits, fits, certifies and reports with the product's code, each time anew: violations
are promises that the report's prompts break, naive ones those of the thriftiest policy that kept epsilon on the
calibration prompts without a bound. `--cascade` is cross-validated in 5 parts; CSV: RouteLLM's table of responses.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.rig.machine import about
from benchmarks.rig.routing_curves import Ranking, aiq, figures
from benchmarks.rig.routing_data import USD_PER_MILLION, Labelled, answers, load
from benchmarks.rig.routing_rivals import LiteLlm, Nearest, by_gain, fivelevers, length_only, oracle
from fivelevers.errors import FiveLeversError
from fivelevers.levers.routing.artifact import Artifact
from fivelevers.levers.routing.bound import Bound
from fivelevers.levers.routing.calibrate import calibrate, judged, strongest
from fivelevers.levers.routing.cascade import affordable
from fivelevers.levers.routing.certify import Promise, Verdict, point_of
from fivelevers.levers.routing.choose import choose, grid, turning_points
from fivelevers.levers.routing.examples import Examples, Rows
from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.fit import fit
from fivelevers.levers.routing.scorer import cascaded, looked_at
from fivelevers.levers.routing.split import Split, groups_of, split
from fivelevers.stores import route_artifact

FIT_PROMPTS = 10_000
FOLDS = 5
_PARTS = ("train", "test")
_TITLES = {"apgr": "APGR", "cpt50": "CPT50", "cpt80": "CPT80", "save95": "save95", "save98": "98", "save100": "100"}

Figures = dict[str, Any]


def main() -> None:
    args = _arguments()
    try:
        result = _measured(args)
    except (OSError, ValueError, FiveLeversError) as error:
        print(f"benchmarks.routing: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    result |= about("benchmarks.routing")
    _tell(result)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, metavar="FILE", help="labelled prompts")
    parser.add_argument("--weak", metavar="MODEL", help="the cheap model")
    parser.add_argument("--strong", metavar="MODEL", help="the model to be as good as")
    parser.add_argument("--price", action="append", default=[], metavar="MODEL=IN/OUT", help="USD per million tokens")
    parser.add_argument("--train", type=int, default=1500, metavar="N", help="labels to fit to (%(default)s)")
    parser.add_argument("--seeds", type=int, default=10, metavar="N", help="splits (%(default)s)")
    parser.add_argument("--no-knn", action="store_true", help="leave out the rival that embeds every prompt")
    parser.add_argument("--certify", action="store_true", help="how often the certificate's promise breaks")
    parser.add_argument("--resplits", type=int, default=200, metavar="N", help="certificates to make (%(default)s)")
    parser.add_argument("--epsilon", type=float, default=0.02, help="loss that is promised (%(default)s)")
    parser.add_argument(
        "--calibration", type=int, default=2000, metavar="N", help="prompts to certify on (%(default)s)"
    )
    parser.add_argument("--bound", type=Bound, choices=list(Bound), default=Bound.EXACT, help="(%(default)s)")
    parser.add_argument("--cascade", action="store_true", help="the cheap model's answer is looked at first")
    parser.add_argument("--answers", type=Path, metavar="CSV", help="what the models answered, for --cascade")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--quick", action="store_true", help="made-up prompts: whether it runs, no figures")
    args = parser.parse_args()
    if not (args.data or args.quick):
        parser.error("give --data FILE")
    if bool(args.weak) != bool(args.strong):
        parser.error("give both --weak and --strong, or neither")
    if (args.certify or args.cascade) and not args.weak:
        parser.error("--certify and --cascade are of two models: give --weak and --strong")
    if args.cascade and not args.answers:
        parser.error("--cascade looks at answers: give --answers CSV")
    return args


def _measured(args: argparse.Namespace) -> Figures:
    if args.quick:
        return _quick()
    prices = USD_PER_MILLION | dict(_price(given) for given in args.price)
    data = load(args.data, [args.weak, args.strong] if args.weak else [], prices)
    result: Figures = {"data": data.name, "prompts": len(data.texts), "left_out": data.left_out}
    result |= {"models": list(data.examples.models), "train": args.train}
    if args.cascade:
        data = looked(data, answers(args.answers, args.weak, data.texts))
    if args.certify:
        return result | certified(data, args)
    if args.cascade:
        return result | {"policies": {"fivelevers": cascade(data.examples, args.seeds)}, "seeds": args.seeds}
    if not args.weak:
        return result | among_all(data)
    nearest = None if args.no_knn else Nearest(data)
    return result | {"policies": compared(data, nearest, args.train, args.seeds), "seeds": args.seeds} | speed(data)


def _price(given: str) -> tuple[str, tuple[float, float]]:
    model, _, dollars = given.rpartition("=")
    first, _, second = dollars.partition("/")
    return model, (float(first), float(second or first))


def compared(data: Labelled, nearest: Nearest | None, size: int, seeds: int) -> dict[str, Figures]:
    """Each policy's mean over the splits, and the standard deviation of its APGR."""
    runs: dict[str, list[dict[str, float]]] = {}
    litellm = LiteLlm(data.texts)
    for seed in track(range(seeds), description="splits", transient=True):
        order = np.random.default_rng(100 + seed).permutation(len(data.texts))
        for name, ranking in _rankings(data, litellm, nearest, order[:size], order[size:]):
            runs.setdefault(name, []).append(figures(data.examples.take(order[size:]), ranking))
    return {name: _mean(found) for name, found in runs.items()}


def _rankings(
    data: Labelled, litellm: LiteLlm, nearest: Nearest | None, train: Rows, test: Rows
) -> Iterator[tuple[str, Ranking]]:
    truth = data.examples.take(test)
    yield "fivelevers", fivelevers(data.examples.take(train), truth)
    chance = np.random.default_rng(train[:4]).random(len(test))
    yield "random", Ranking(chance, chance)
    yield "length_only", length_only(truth)
    yield "litellm_complexity_v1", Ranking(litellm.complexity_v1[test], litellm.complexity_v1[test])
    yield "litellm_heuristic_v2", Ranking(litellm.heuristic_v2[test], litellm.heuristic_v2[test])
    if nearest is not None:
        yield "knn", nearest.rank(train, test)
    yield "oracle", oracle(truth)


def _mean(runs: list[dict[str, float]]) -> Figures:
    found = {name: round(float(np.mean([run[name] for run in runs])), 3) for name in runs[0]}
    return found | {"apgr_sd": round(float(np.std([run["apgr"] for run in runs])), 4)}


def certified(data: Labelled, args: argparse.Namespace) -> Figures:
    """Certificates of many splits, each held against the prompts that neither fitted nor calibrated it."""
    promise, groups = Promise(args.epsilon, bound=args.bound), groups_of(data.examples.plain.features)
    shares = args.train / len(data.texts), args.calibration / len(data.texts)
    if sum(shares) >= 1:
        raise ValueError(f"{len(data.texts):,} prompts are too few to train, calibrate and report; lower --calibration")
    tally = Counter[str]()
    broken, naive, savings = 0, 0, []
    for number in track(range(args.resplits), description="certificates", transient=True):
        parts = split(data.texts, groups, shares, salt=str(number))
        made = calibrate(data.examples, parts, promise, strong=args.strong)
        tally[made.certificate.verdict.value] += 1
        routed = made.certificate.verdict is Verdict.ROUTE and made.report is not None
        savings.append(made.report.saving if routed and made.report else 0.0)
        broken += bool(routed and made.report and made.report.pairs.loss > args.epsilon)
        kept = [point for point in made.certificate.curve if point.pairs.loss <= args.epsilon]
        if kept:
            threshold = max(kept, key=lambda point: point.saving).threshold
            unseen = judged(made.model, data.examples.take(parts.report), args.strong)
            naive += point_of(unseen, 1, threshold, promise).pairs.loss > args.epsilon
    return {
        "violations": round(broken / args.resplits, 4),
        "saving": round(float(np.mean(savings)), 4),
        "naive_violations": round(naive / args.resplits, 4),
        "verdict": tally.most_common(1)[0][0],
        "verdicts": dict(tally),
        "epsilon": args.epsilon,
        "calibration": args.calibration,
        "bound": args.bound.value,
        "resplits": args.resplits,
    }


def looked(data: Labelled, texts: list[str]) -> Labelled:
    """The same prompts for a cascade. ``texts``: what the cheap model answered."""
    pair = data.examples
    looks = [looked_at(one, *both) for one, *both in zip(pair.features, data.texts, texts, strict=True)]
    return replace(data, examples=cascaded(pair, looks))


def cascade(examples: Examples, seeds: int) -> Figures:
    """Each prompt's look by a model that was fitted to the other parts."""
    pair, runs = examples.plain, []
    for seed in track(range(seeds), description="splits", transient=True):
        part = np.random.default_rng(seed).permutation(len(pair)) % FOLDS
        success = np.zeros_like(pair.success)
        for number in range(FOLDS):
            held = examples.take(np.flatnonzero(part == number))
            model = fit(examples.take(np.flatnonzero(part != number)))
            success[part == number] = model.all_success(held.features, held.routes)
        runs.append(figures(examples, by_gain(success, examples.cost_usd), float(pair.cost_usd[:, 1].sum())))
    first_usd, strong_usd = pair.cost_usd.mean(axis=0)
    rule = {"first_over_strong": round(float(first_usd / strong_usd), 4)}
    return _mean(runs) | rule | {"affordable": affordable(float(first_usd), 0.0, float(strong_usd))}


def among_all(data: Labelled) -> Figures:
    """Routing among all models of the file, fitted to its own training part; the policies' thresholds come from it."""
    train, test = (data.examples.take(np.flatnonzero([one == part for one in data.splits])) for part in _PARTS)
    if not len(train) or not len(test):
        raise ValueError(f"{data.name} has no split of its own: give --weak and --strong")
    model, strong = fit(train), train.models.index(strongest(train))
    seen = judged(model, train, strongest(train))
    unseen = judged(model, test, strongest(train))
    prices = [0.0, *(point for point in grid(turning_points(seen.success, seen.cost_usd, strong), 200) if point > 0)]
    routed = [_point(test, choose(unseen.success, unseen.cost_usd, strong, price)) for price in prices]
    best = [_point(test, choose(test.success.copy(), test.cost_usd, strong, price)) for price in prices]
    single = np.stack([test.cost_usd.mean(axis=0), test.success.mean(axis=0)], axis=1)
    costs = single[:, 0]
    found = {"fivelevers": aiq(np.array(routed), costs), "mix_of_single_models": aiq(single, costs)}
    found["oracle"] = aiq(np.array(best), costs)
    return {"aiq": round(found["fivelevers"], 4), "aiq_of": {name: round(value, 4) for name, value in found.items()}}


def _point(truth: Examples, chosen: Rows) -> tuple[float, float]:
    rows = np.arange(len(truth))
    return float(truth.cost_usd[rows, chosen].mean()), float(truth.success[rows, chosen].mean())


def speed(data: Labelled, prompts: int = FIT_PROMPTS) -> Figures:
    """All that a fit does, on prompts drawn from the file with replacement; then decisions, one at a time."""
    drawn = data.take(np.random.default_rng(1).integers(0, len(data.texts), prompts))
    started, cpu = time.perf_counter(), time.process_time()
    features = [features_of(text) for text in drawn.texts]
    groups_of(features)
    every = np.arange(prompts)
    made = calibrate(drawn.examples, Split(every, every[::5], every[1::5]), Promise(epsilon=1.0))
    fit_s, fit_cpu_s = time.perf_counter() - started, time.process_time() - cpu
    with tempfile.TemporaryDirectory() as folder:
        size = route_artifact.write(Path(folder, "artifact"), made)
    took = sorted(_decided_ms(made, text, route) for text, route in zip(data.texts, data.examples.routes, strict=True))
    found = {"decision_ms_p50": took[len(took) // 2], "decision_ms_p95": took[len(took) * 95 // 100]}
    found |= {"fit_s": fit_s, "fit_cpu_s": fit_cpu_s}
    return {name: round(figure, 4) for name, figure in found.items()} | {"artifact_bytes": size}


def _decided_ms(made: Artifact, text: str, route: str) -> float:
    started = time.perf_counter()
    made.decide(features_of(text), route, len(text))
    return (time.perf_counter() - started) * 1e3


def _quick() -> Figures:
    rng = np.random.default_rng(1)
    words = [["hello", "thanks", "welcome", "friend", "day"], ["court", "appeal", "clause", "tort", "party"]]
    hard = rng.integers(0, 2, 400)
    texts = [" ".join(rng.choice(words[kind], 12)) for kind in hard]
    success = (rng.random((400, 2)) < np.array([[0.95, 0.95], [0.4, 0.9]])[hard]).astype(float)
    chars = np.array([len(text) for text in texts], float)
    routes = [("chat", "law")[kind] for kind in hard]
    examples = Examples(
        ("weak", "strong"), list(map(features_of, texts)), routes, chars, success, chars[:, None] * [[1e-8, 1e-6]]
    )
    data = Labelled("made up", texts, examples, [""] * 400, 0)
    head = {"data": data.name, "prompts": 400, "models": ["weak", "strong"], "train": 200, "seeds": 2}
    return head | {"policies": compared(data, None, 200, 2)} | speed(data, 400)


def _tell(result: Figures) -> None:
    if "policies" in result:
        Console().print(_table(result))
    for name, value in result.items():
        if name != "policies":
            print(f"{name}: {value}")


def _table(result: Figures) -> Table:
    title = f"{result['data']}, {' to '.join(result['models'])}, {result['seeds']} splits"
    table = Table(title=title)
    table.add_column("policy")
    for column in _TITLES.values():
        table.add_column(column, justify="right")
    for name, found in result["policies"].items():
        shown = [f"{found['apgr']:.3f}", *(f"{found[key]:.1f}" for key in list(_TITLES)[1:])]
        table.add_row(name, *shown)
    return table


if __name__ == "__main__":
    main()
