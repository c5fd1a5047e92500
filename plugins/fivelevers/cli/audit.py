"""`fivelevers audit`: what the levers would have saved on the traffic of existing logs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fivelevers.audit.groups import By
from fivelevers.cli.logs import AsJson, PolicyPath, PriceMap, Prices, ShowText, go_through, price_book, progress
from fivelevers.errors import AuditError, FiveLeversError

if TYPE_CHECKING:
    from fivelevers.audit.calls import LoggedCall
    from fivelevers.audit.semantic_cache import SemanticCacheAudit

Logs = Annotated[
    list[str],
    typer.Argument(
        metavar="LOGS...",
        help="Files (.gz and .zst too), folders, globs, - for standard input, or a ledger: its URL or ledger.db.",
        show_default=False,
    ),
]
EmitPolicy = Annotated[
    Path | None, typer.Option(help="Write a policy with every lever that may save in shadow; with --policy, that one.")
]


def audit(
    *,
    logs: Logs,
    by: Annotated[By, typer.Option(help="One line for each model and ...")] = By.ROUTE,
    policy: PolicyPath = "",
    prices: Prices = "",
    price_map: PriceMap = "",
    as_json: AsJson = False,
    html: Annotated[Path | None, typer.Option(help="Write it as a page too, one file that opens offline.")] = None,
    emit_policy: EmitPolicy = None,
    sample: Annotated[
        float, typer.Option(min=0.001, max=1.0, help="Look at this share of the log alone, in blocks of six hours.")
    ] = 1.0,
    show_text: ShowText = False,
) -> None:
    """What the levers would have saved on the traffic of your logs. Offline: nothing is sent anywhere.

    Reads LiteLLM's spend logs, what its logging callbacks log, observations of Langfuse, requests with their responses
    as the OpenAI and Anthropic APIs have them, as JSON, JSON lines, CSV or Parquet, and our own ledger. The format of
    each row is told from its fields; what can not be read is counted, with the place of the first. Without --policy
    a route is a model alias. Bills of OpenAI and Anthropic beside a log tell how much of what was charged it holds.

    Lever 1 is projected by the decision that acts in the proxy, over the calls in the order in which they were sent.
    That needs the prompts. Token counts alone tell what was read from the providers' caches, and written for nothing.
    Lever 2 is projected on what is left: calls that are the same as an earlier one, and where prompts are in the log
    and MiniLM is installed (the extra minilm), questions that are similar to one.
    Lever 3 gathers what speaks for and against somebody waiting for an answer, and prices what is left at the rates of
    the providers' Batch APIs. Who waits is not decided: no log tells that.
    Lever 4 needs to know which answers were good. Where the log says so of several models on a route they are compared;
    else what routing would save is unknown, and what a benchmark takes is told.

    Exit code 0: the logs were read; 1: there is no usable call in them; 2: could not run.
    """
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.audit.audit import Audit
    from fivelevers.audit.bills import bills
    from fivelevers.audit.sample import Groups
    from fivelevers.cli.audit_tables import Found, audit_record, audit_tables
    from fivelevers.cli.emit_policy import emit, refuse_to_emit
    from fivelevers.pages.audit_page import audit_page
    from fivelevers.policy import load
    from fivelevers.providers.minilm import installed

    try:
        if emit_policy is not None:
            refuse_to_emit(emit_policy, by)
        book = price_book(prices, price_map)
        made, groups = Audit(book, similar=installed()), Groups(book) if sample < 1.0 else None

        def see(call: LoggedCall, route: str) -> None:
            made.see(call, route)
            if groups is not None:
                groups.see(call, route)

        done = go_through(logs, by, load(Path(policy)) if policy else None, see, share=sample, made=made)
        if done.account.calls and not done.account.drawn:
            told = f"draws none of the {len(done.account.blocks)} blocks of six hours in these logs"
            raise AuditError.of("--sample", sample, told, "take a larger share, or all")
        if made.answers.similar:
            _look_up(made.answers)
        found = Found(made, done, by, groups, bills(done.account.bills))
        record = audit_record(found, show_text=show_text)
        if emit_policy is not None:
            emit(made, done, by, policy, emit_policy)
            Console(stderr=True, highlight=False).print(f"Written: {emit_policy}", markup=False, soft_wrap=True)
        if html is not None:
            html.write_text(audit_page(record), encoding="utf-8")
    except (FiveLeversError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers audit: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(record, indent=2))  # noqa: T201
    else:
        Console(highlight=False).print(audit_tables(found, show_text=show_text))
    raise typer.Exit(0 if done.account.calls else 1)


def _look_up(answers: SemanticCacheAudit) -> None:
    """Embed the questions, and look each up among those before it. Raises EmbedderError."""
    import numpy as np

    from fivelevers.cli.labelled_pairs import embed

    questions = answers.questions
    with progress("embedding", len(questions)) as told:
        vectors = asyncio.run(embed([one.text for one in questions], told)) if questions else []
    with progress("looking up", len(questions)) as told:
        answers.look_up(questions, np.array(vectors, np.float32), told)
