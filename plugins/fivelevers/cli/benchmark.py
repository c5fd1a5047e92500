"""`fivelevers route benchmark`: a team's own prompts on each candidate, and which answers are right."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer

from fivelevers.cli.logs import AsJson, PriceMap, Prices, price_book
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.cli.route_told import told
from fivelevers.errors import CalibrationError

Models = Annotated[str, typer.Option(help="Aliases of the proxy with one model each, separated by commas.")]
ProxyUrl = Annotated[str, typer.Option(envvar="FIVELEVERS_URL", help="LiteLLM, or Envoy in front of it.")]
Key = Annotated[str, typer.Option(envvar=["FIVELEVERS_API_KEY", "LITELLM_MASTER_KEY"], help="A key of the proxy.")]
Prompts = Annotated[Path | None, typer.Option(help='Lines of {"prompt", "answer", "route"}, or of chat requests.')]
Python = Annotated[str, typer.Option(help="Right: package.module:callable(output, line) says True.")]
Labels = Annotated[Path | None, typer.Option(help='With --judge: lines of {"prompt", "answer", "right"} by people.')]


def benchmark(
    *,
    route: Annotated[str, typer.Option(help="The route of the policy that shall be routed.")],
    models: Models,
    out: Annotated[Path, typer.Option(help="The labelled prompts, as `fivelevers route fit` reads them.")],
    proxy: ProxyUrl,
    key: Key = "",
    prompts: Prompts = None,
    from_ledger: Annotated[bool, typer.Option("--from-ledger", help="What the route was asked and kept.")] = False,
    at_most: Annotated[int, typer.Option("--limit", min=1, help="Prompts drawn from the ledger.")] = 2500,
    days: Annotated[float, typer.Option(min=0.01, help="How far back the ledger is read.")] = 30.0,
    exact: Annotated[bool, typer.Option("--exact", help='Right: the line\'s "answer", but for looks.')] = False,
    regex: Annotated[str, typer.Option(help="Right: this pattern is found in the answer.")] = "",
    json_schema: Annotated[Path | None, typer.Option(help="Right: JSON that satisfies this schema.")] = None,
    python: Python = "",
    judge: Annotated[str, typer.Option(help="Right: this alias says so, in both orders of the answers.")] = "",
    rubric: Annotated[Path | None, typer.Option(help="With --judge: a text that says when an answer passes.")] = None,
    labels: Labels = None,
    budget_usd: Annotated[float, typer.Option(min=0, help="Kept, over all runs with this --out.")] = 5.0,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls at once.")] = 8,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of an answer whose request does not say.")] = 1000,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="For an answer; then it is tried again.")] = 120.0,
    batch: Annotated[bool, typer.Option("--batch", help="By the batch lane: cheaper, and in hours.")] = False,
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Ask for the tokens' log-probabilities: a cascade's scorer goes by them.")
    ] = False,
    poll_s: Annotated[float, typer.Option(min=0.1, help="With --batch: between two looks at a request.")] = 60.0,
    policy: Annotated[str, typer.Option(envvar="FIVELEVERS_POLICY", help="The policy file.")] = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
    prices: Prices = "",
    price_map: PriceMap = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before money is spent.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask each candidate a team's own prompts through the proxy, and label the answers: what `route fit` learns from.

    It says first what it will cost. Every answer is on the disk, in OUT.journal, before it counts: a run that was
    killed goes on where it was, and asks nothing that was answered again. What fails on the way is tried again, then
    left out and told. A model fails where it refuses a prompt, is filtered or cut off by the request's own limit, or is
    wrong. Without a check of its own, the route's validators decide.

    Both files hold text in the clear: delete them when they are not needed any more.

    Exit code 0: done; 1: the budget ended it; 2: could not run. The same command goes on.
    """
    with told("benchmark"):
        from fivelevers.cli.benchmark_grading import Grading
        from fivelevers.cli.benchmark_run import Run, Source, Way

        if from_ledger == (prompts is not None):
            raise CalibrationError("--prompts, --from-ledger: write one of them")
        names = tuple(dict.fromkeys(name.strip() for name in models.split(",") if name.strip()))
        if len(names) < 2:
            raise CalibrationError(f"--models: {models!r} is not two models; routing is between two or more")
        source = Source(route, prompts, policy, ledger_url(ledger, state_dir), at_most, days)
        budget = Decimal(str(budget_usd))
        way = Way(proxy, key, names, budget, concurrency, max_tokens, timeout_s, batch, poll_s, logprobs)
        grading = Grading(exact, regex, json_schema, python, judge, rubric, labels)
        run = Run(source, way, grading, out, price_book(prices, price_map), yes, as_json)
        raise typer.Exit(0 if asyncio.run(run.go()) else 1)
