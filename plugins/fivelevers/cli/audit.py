"""`fivelevers audit`: what the levers would have saved on the traffic of existing logs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.audit.groups import By
from fivelevers.cli.logs import AsJson, PolicyPath, PriceMap, Prices, ShowText, go_through, price_book
from fivelevers.errors import FiveLeversError

Logs = Annotated[
    list[str],
    typer.Argument(
        metavar="LOGS...",
        help="Files (.gz too), globs, - for standard input, or a ledger: its URL or ledger.db.",
        show_default=False,
    ),
]


def audit(
    *,
    logs: Logs,
    by: Annotated[By, typer.Option(help="One line for each model and ...")] = By.ROUTE,
    policy: PolicyPath = "",
    prices: Prices = "",
    price_map: PriceMap = "",
    as_json: AsJson = False,
    show_text: ShowText = False,
) -> None:
    """What the levers would have saved on the traffic of your logs. Offline: nothing is sent anywhere.

    Reads LiteLLM's spend logs (JSON, JSON lines, CSV), the JSON lines of its logging callbacks, requests with their
    responses as the OpenAI and Anthropic APIs have them, and our own ledger. The format of each row is told from its
    fields; what can not be read is counted, with the place of the first. Without --policy a route is a model alias.

    Lever 1 is projected by the decision that acts in the proxy, over the calls in the order in which they were sent.
    That needs the prompts. Token counts alone tell what was read from the providers' caches, and written for nothing.

    Exit code 0: the logs were read; 1: there is no usable call in them; 2: could not run.
    """
    # SQLAlchemy loads here: `fivelevers --help` shall not wait for it.
    from fivelevers.audit.prompt_cache import PromptCacheAudit
    from fivelevers.cli.audit_tables import audit_json, audit_tables
    from fivelevers.policy import load

    try:
        told = PromptCacheAudit(price_book(prices, price_map))
        done = go_through(logs, by, load(Path(policy)) if policy else None, told.see)
    except (FiveLeversError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers audit: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if as_json:
        print(audit_json(told, done, by, show_text=show_text))  # noqa: T201
    else:
        Console(highlight=False).print(audit_tables(told, done, by, show_text=show_text))
    raise typer.Exit(0 if done.account.calls else 1)
