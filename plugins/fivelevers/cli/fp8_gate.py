"""`fivelevers fp8 gate`: is the quantised model as good on a route's own items, and cheaper on the target hardware."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from fivelevers.cli.fp8_told import told
from fivelevers.cli.logs import AsJson
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.errors import QuantizationError

Baseline = Annotated[str, typer.Option(help="The URL of the original's server (BF16).")]
Candidate = Annotated[str, typer.Option(help="The URL of the quantised model's server.")]
Items = Annotated[Path | None, typer.Option(help='Lines of {"prompt", "answer", "route"}, or of chat requests.')]
Samples = Annotated[Path | None, typer.Option(help="lm_eval's --output_path of the original, with --log_samples.")]
Checkpoint = Annotated[
    Path | None, typer.Option(help="The quantised checkpoint, with a manifest; `register` needs it.")
]
Report = Annotated[Path | None, typer.Option(help="Names the load tests of both models; without: no verdict on cost.")]


def gate(
    *,
    route: Annotated[str, typer.Option(help="The route whose items these are.")],
    baseline: Baseline,
    candidate: Candidate,
    out: Annotated[Path, typer.Option("--out", help="The verdict's file; OUT.journal keeps the answers.")],
    model: Annotated[str, typer.Option(help="As it is asked for; default: the only one that a server has.")] = "",
    candidate_model: Annotated[str, typer.Option(help="The same of the candidate; default: as --model.")] = "",
    items: Items = None,
    from_ledger: Annotated[bool, typer.Option("--from-ledger", help="What the route was asked and kept.")] = False,
    at_most: Annotated[int, typer.Option("--limit", min=1, help="Items drawn from the ledger.")] = 1500,
    days: Annotated[float, typer.Option(min=0.01, help="How far back the ledger is read.")] = 30.0,
    baseline_samples: Samples = None,
    candidate_samples: Annotated[Path | None, typer.Option(help="The same of the candidate.")] = None,
    again_samples: Annotated[Path | None, typer.Option(help="The same of the original, run once more.")] = None,
    exact: Annotated[bool, typer.Option("--exact", help='Right: the line\'s "answer", but for looks.')] = False,
    regex: Annotated[str, typer.Option(help="Right: this pattern is found in the answer.")] = "",
    json_schema: Annotated[Path | None, typer.Option(help="Right: JSON that satisfies this schema.")] = None,
    python: Annotated[str, typer.Option(help="Right: package.module:callable(output, line) says True.")] = "",
    checkpoint: Checkpoint = None,
    hardware_report: Report = None,
    gpu_hour_usd: Annotated[float, typer.Option(min=0, help="Of one GPU; goes with --hardware-report.")] = 0.0,
    utilisation: Annotated[
        float, typer.Option(min=0.01, max=1, help="Of the throughput, the share that is had.")
    ] = 0.5,
    margin: Annotated[float, typer.Option(min=0.001, max=0.5, help="Successes per item that may be lost.")] = 0.02,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.9999, help="That no more is lost.")] = 0.95,
    repeat: Annotated[float, typer.Option(min=0, max=1, help="Share of items that the original is asked twice.")] = 0.3,
    texts: Annotated[int, typer.Option(min=0, help="Texts whose probabilities are compared, where vLLM tells.")] = 100,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls at once, to each server.")] = 8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer whose request does not say.")] = 1000,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="For an answer; then it is tried again.")] = 300.0,
    key: Annotated[str, typer.Option(envvar="VLLM_API_KEY", help="Of both servers.")] = "",
    policy: Annotated[str, typer.Option(envvar="FIVELEVERS_POLICY", help="The policy file.")] = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
    picture: Annotated[Path | None, typer.Option(help="Write the verdict as a picture (SVG).")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the original and the quantised model a route's own items, and judge: as good, and cheaper?

    Both are asked greedily, each item once, a share of them twice of the original: what it flips by itself is the
    noise floor. Quality passes where the loss is within --margin by its one-sided bound, no part of the route is
    significantly worse, and perplexity and KL divergence, where the servers tell them, keep their limits. Economics
    passes where a successful output costs less by --hardware-report (docs/quantization.md shows one). Too few items
    are inconclusive, and it says how many more.

    Answers are on the disk before they count: run it again, and it goes on. A server that dies leaves it inconclusive.

    Exit code 0: both pass; 1: one fails or is inconclusive; 2: could not run, such as for two servers that are one.
    """
    with told("gate"):
        from fivelevers.cli.benchmark_grading import Grading
        from fivelevers.cli.fp8_gate_run import Hardware, Run, Servers, Source

        sources = (items is not None) + from_ledger + (baseline_samples is not None)
        if sources == 0 or (items is not None and from_ledger):
            raise QuantizationError("--items, --from-ledger, --baseline-samples: write what both models are asked")
        if (baseline_samples is None) != (candidate_samples is None):
            raise QuantizationError("--baseline-samples, --candidate-samples: write both, or neither")
        hardware = Hardware(hardware_report, gpu_hour_usd, utilisation)
        asked = Source(route, items, policy, ledger_url(ledger, state_dir), at_most, days, from_ledger=from_ledger)
        servers = Servers(baseline, candidate, model, candidate_model or model, key, timeout_s, concurrency)
        grading = Grading(exact, regex, json_schema, python)
        samples = None
        if baseline_samples is not None and candidate_samples is not None:
            samples = baseline_samples, candidate_samples, again_samples
        limits = (margin, round(1 - confidence, 10))
        run = Run(asked, servers, grading, hardware, samples, checkpoint, out, limits, repeat, texts, max_tokens)
        found = asyncio.run(run.go())
        run.tell(found, picture, as_json=as_json)
        raise typer.Exit(0 if found.passed else 1)
