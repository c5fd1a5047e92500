"""Lever 4 end to end: benchmark, fit and certify on one half, route the other, then a model gets worse.

    python -m benchmarks.routing_proxy --json OUT [--labelled 2000] [--served 600] [--seed 1] [--quick]

Arithmetic on the simulated tiers, long sums and short ones, by the simulator's truth. `fivelevers route benchmark` asks
both models the first half through the proxy, `route fit` certifies; then each prompt of the other half is asked of the
strong model alone and of the group that is routed: two bills. Last the cheap model answers wrongly half of the time (a
fault of the simulator), and what is counted is how many requests it takes until the watch sends the route to shadow.
Whether two answers say the same a judging model tells, as the watch of a route without validators has it.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.progress import track

from benchmarks.rig.machine import about
from benchmarks.rig.proxies import KEYS, ROOT
from fivelevers.cli.report_reading import read_lines
from fivelevers.embedded.stack import Stack
from fivelevers.metering.report import GroupBy
from fivelevers.output import Output

WEAK, STRONG, GROUP, JUDGE = "sums-weak", "sums-strong", "sums", "sums-judge"
MODELS = {WEAK: "gpt-4.1-mini", STRONG: "gpt-4.1", JUDGE: "gpt-4.1"}
_SETTLES_S = 5.0


@dataclass(frozen=True, slots=True)
class Sum:
    prompt: str
    value: int
    task: str

    def line(self) -> str:
        return json.dumps({"prompt": self.prompt, "sum": self.value, "route": self.task})


def sums(count: int, seed: int) -> list[Sum]:
    """Half of them long. The words before tell them apart where numbers alone would not."""
    rng = random.Random(seed)
    return [_sum(rng) for _ in range(count)]


def _sum(rng: random.Random) -> Sum:
    a, b, c = (rng.randint(12, 97) for _ in range(3))
    note = " ".join("".join(rng.choices("bdfgklmnprstaeiou", k=6)) for _ in range(12))
    if rng.random() < 0.5:
        value = a * b + b * c - a * c + a * a
        return Sum(f"Note: {note}.\n\nWhat is {a} * {b} + {b} * {c} - {a} * {c} + {a} * {a}?", value, "long")
    return Sum(f"Note: {note}.\n\nWhat is {a} + {b}?", a + b, "short")


def right(output: Output, line: Mapping[str, Any]) -> bool:
    """The checker of `route benchmark`."""
    return _holds(output.text, line["sum"])


def _holds(text: str, value: int) -> bool:
    return str(value) in re.findall(r"\d+", text.replace(",", ""))


def config() -> dict[str, Any]:
    """The shipped one with an alias for each model and one that holds both; each alias has a key, and so a bill."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text(encoding="utf-8"))
    for alias, key, model in (*((name, name, model) for name, model in MODELS.items()), *_tiers()):
        params = {"model": f"openai/{model}", "api_key": f"sk-{key}", "api_base": "os.environ/OPENAI_API_BASE"}
        found["model_list"].append({"model_name": alias, "litellm_params": params})
    return found


def _tiers() -> list[tuple[str, str, str]]:
    return [(GROUP, GROUP, MODELS[WEAK]), (GROUP, GROUP, MODELS[STRONG])]


def policy(mode: str, watch_share: float = 0.02) -> dict[str, Any]:
    judge = {"model": JUDGE, "usd_per_day": 100.0}
    routing = {"mode": mode, "artifact": "sums.route", "watch_share": watch_share, "watch_usd_per_day": 100.0}
    levers = {"routing": routing, "semantic_cache": {"mode": "off", "judge": judge}}
    return {"defaults": {"holdout": 0}, "routes": [{"name": GROUP, "match": {"model": GROUP}, "levers": levers}]}


def command(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "fivelevers", *words], capture_output=True, text=True, check=False)
    if done.returncode == 2:
        raise SystemExit(done.stderr + done.stdout)
    return done.stdout


def asked(stack: Stack, alias: str, one: Sum) -> tuple[bool, str]:
    """Whether the answer was right, and what the lever said."""
    body = {"model": alias, "max_tokens": 200, "messages": [{"role": "user", "content": one.prompt}]}
    headers = {"authorization": f"Bearer {stack.master_key}", "x-fivelevers-task": one.task}
    answer = httpx.post(f"{stack.envoy_url}/v1/chat/completions", json=body, headers=headers, timeout=120)
    text = answer.raise_for_status().json()["choices"][0]["message"]["content"]
    return _holds(text, one.value), answer.headers.get("x-fivelevers-routing", "").partition(";")[0]


def sent(stack: Stack, alias: str, batch: Sequence[Sum]) -> list[tuple[bool, str]]:
    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda one: asked(stack, alias, one), batch)
        return list(track(answers, total=len(batch), description=f"asking {alias}"))


def billed(stack: Stack) -> dict[str, float]:
    """USD by key."""
    found: dict[str, float] = {}
    for line in httpx.get(f"{stack.simulator_url}/sim/bill").json()["lines"]:
        key = line["key"].removeprefix("sk-")
        found[key] = found.get(key, 0.0) + float(line["usd"])
    return found


def labelled(stack: Stack, folder: Path, batch: Sequence[Sum], epsilon: float) -> dict[str, Any]:
    """Benchmark and fit, as a user does it."""
    (folder / "prompts.jsonl").write_text("".join(f"{one.line()}\n" for one in batch), encoding="utf-8")
    names = ("--models", f"{WEAK},{STRONG}", "--prompts", str(folder / "prompts.jsonl"), "--route", GROUP)
    way = ("--proxy", stack.litellm_url, "--key", stack.master_key, "--budget-usd", "100", "--yes", "--json")
    out = ("--out", str(folder / "labelled.jsonl"))
    done = json.loads(command("route", "benchmark", *names, *way, *out, "--python", "benchmarks.routing_proxy:right"))
    fit = ("route", "fit", str(folder / "labelled.jsonl"), "--out", str(folder / "sums.route"), "--json")
    made = json.loads(command(*fit, "--epsilon", str(epsilon)))
    return {"benchmark": {name: done[name] for name in ("calls", "labelled", "models", "spent_usd")}, "fit": made}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    every = sums(args.labelled + args.served + args.worse, args.seed)
    first, rest = every[: args.labelled], every[args.labelled :]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(config()))
        (folder / "policy.yaml").write_text(yaml.safe_dump(policy("off")))
        stack = Stack(
            folder / "state", workers=args.workers, config=folder / "config.yaml", policy=folder / "policy.yaml",
            keys=KEYS, simulator_args=("--latency-scale", "0"),
        )  # fmt: skip
        with stack:
            certified = labelled(stack, folder, first, args.epsilon)
            (folder / "policy.yaml").write_text(yaml.safe_dump(policy("on")))
            time.sleep(_SETTLES_S)
            since, before = time.time(), billed(stack)
            alone = sent(stack, STRONG, rest[: args.served])
            routed = sent(stack, GROUP, rest[: args.served])
            time.sleep(_SETTLES_S)
            after, report = billed(stack), _report(stack, since)
            # More is watched, so that it takes minutes here and not a day.
            (folder / "policy.yaml").write_text(yaml.safe_dump(policy("on", args.watch)))
            time.sleep(_SETTLES_S)
            worse = _until_retreat(stack, rest[args.served :])
    return {"certified": certified, **_figures(alone, routed, before, after), "report": report, "worse": worse}


def _report(stack: Stack, since: float) -> dict[str, str]:
    lines = [one for one in read_lines(stack.state_dir, stack.ledger_url, GroupBy.ROUTE, since) if one.group == GROUP]
    return {f"{lever}/{basis}": str(usd) for line in lines for lever, basis, usd in line.savings}


def _until_retreat(stack: Stack, batch: Sequence[Sum]) -> dict[str, Any]:
    """How many requests it takes once the cheap model answers half of what it is asked wrongly."""
    fault = {"fault": "wrong", "rate": 0.5, "match": {"model": MODELS[WEAK], "key": f"sk-{GROUP}"}}
    httpx.post(f"{stack.simulator_url}/sim/faults", json=fault).raise_for_status()
    for at in range(0, len(batch), 20):
        answers = sent(stack, GROUP, batch[at : at + 20])
        if any(said.startswith("shadow") for _, said in answers):
            return {"requests_to_retreat": at + 20}
        time.sleep(0.5)
    return {"requests_to_retreat": None, "requests": len(batch)}


def _figures(
    alone: Sequence[tuple[bool, str]], routed: Sequence[tuple[bool, str]], before: Mapping[str, float],
    after: Mapping[str, float],
) -> dict[str, Any]:  # fmt: skip
    usd = {key: after.get(key, 0.0) - before.get(key, 0.0) for key in (STRONG, GROUP, JUDGE)}
    rights = sum(ok for ok, _ in alone), sum(ok for ok, _ in routed)
    why: dict[str, int] = {}
    for _, said in routed:
        why[said] = why.get(said, 0) + 1
    # The pairs of the watch are on the group's key and the judge's: what verification costs is in the routed figure.
    costs = usd[STRONG], usd[GROUP] + usd[JUDGE]
    return {
        "served": len(routed),
        "why": why,
        "right": {"strong": rights[0] / len(alone), "routed": rights[1] / len(routed)},
        "loss": round((rights[0] - rights[1]) / len(routed), 4),
        "bill_usd": {key: round(value, 6) for key, value in usd.items()},
        "usd_per_1k_success": {
            "strong": round(1000 * costs[0] / max(rights[0], 1), 5),
            "routed": round(1000 * costs[1] / max(rights[1], 1), 5),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing_proxy", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--labelled", type=int, default=2000, help="prompts to fit and certify with (%(default)s)")
    parser.add_argument("--served", type=int, default=600, help="that are routed and scored (%(default)s)")
    parser.add_argument("--worse", type=int, default=800, help="at most, while the cheap model is worse (%(default)s)")
    parser.add_argument("--watch", type=float, default=0.3, help="share that is watched meanwhile (%(default)s)")
    parser.add_argument("--epsilon", type=float, default=0.03, help="that is certified (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the proxy (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="few prompts: whether it runs, no figures")
    args = parser.parse_args()
    if args.quick:
        args.labelled, args.served, args.worse = 60, 10, 20
    result = measure(args) | {"epsilon": args.epsilon, "seed": args.seed, **about("benchmarks.routing_proxy")}
    for name, value in result.items():
        print(f"{name}: {value}")
    kept = result["loss"] <= args.epsilon
    fell = result["usd_per_1k_success"]["routed"] < result["usd_per_1k_success"]["strong"]
    retreated = result["worse"]["requests_to_retreat"] is not None
    targets = {"loss within epsilon": kept, "cost per success falls": fell, "the watch retreats": retreated}
    for said, met in targets.items():
        print(f"target {said}: {'met' if met else 'MISSED'}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
