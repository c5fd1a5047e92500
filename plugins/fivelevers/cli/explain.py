"""`fivelevers explain`: why something is as it is. Here: why prompts are not read from the providers' caches."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from fivelevers.audit.groups import By
from fivelevers.cli.difference_tables import difference_records, difference_tables
from fivelevers.cli.explain_route import route as route_of_request
from fivelevers.cli.logs import AsJson, PolicyPath, PriceMap, Prices, ShowText, go_through, price_book
from fivelevers.cli.switching import RedisUrl
from fivelevers.errors import AuditError, FiveLeversError, StoreError

if TYPE_CHECKING:
    from fivelevers.levers.prompt_cache.tally import Parted, Place
    from fivelevers.prices import PriceBook

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Say why a prefix is not read again, or a request went where it did.",
)
app.command("route")(route_of_request)
_DAY_S = 86_400.0
_NO_TEXT: Mapping[Place, str] = {}


@app.callback()
def _about() -> None:
    """Say why."""


@app.command()
def prefix(
    *,
    route: Annotated[str, typer.Option(help="Only this route; without a policy, this model alias.")] = "",
    days: Annotated[int, typer.Option(min=1, max=8, help="How far back the proxies' findings are shown.")] = 7,
    redis: RedisUrl = "",
    logs: Annotated[
        list[str] | None, typer.Option(help="Compare the prompts of these logs instead; again for more.")
    ] = None,
    policy: PolicyPath = "",
    prices: Prices = "",
    price_map: PriceMap = "",
    as_json: AsJson = False,
    show_text: ShowText = False,
) -> None:
    """Name the first thing that differs between like prompts, what it costs, and the fix.

    Providers cache prompts from their first token on, in the order tools, system, messages: behind the first difference
    nothing is read. A time in the system text, tools in changing order or a parameter that comes and goes are dear.

    Proxies compare the openings of prompts (tools and system text) on routes whose prompt_cache is in shadow or on, and
    keep in Redis where they differ and how often, and no text. This shows it. With --logs the prompts of log files are
    compared, in the order in which they were sent: any log that `fivelevers audit` reads and that holds prompts.

    Exit code 0: like prompts begin alike; 1: some do not; 2: could not be told.
    """
    try:
        if logs:
            sums, texts = _of_logs(logs, route or None, policy, price_book(prices, price_map))
        else:
            sums, texts = _of_proxies(redis, route or None, days), _NO_TEXT
    except (FiveLeversError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers explain: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    _show(sums, texts if show_text else _NO_TEXT, as_json=as_json)
    raise typer.Exit(1 if sums else 0)


def _of_proxies(redis: str, route: str | None, days: int) -> Mapping[Place, Parted]:
    from fivelevers.stores.difference_hash import DifferenceHash  # Redis loads here: `--help` shall not wait for it

    if not redis:
        raise StoreError("FIVELEVERS_REDIS_URL is not set: name the proxies' Redis (--redis), or logs (--logs)")
    hash_ = DifferenceHash(redis)
    try:
        now = time.time()
        found = hash_.read(now - (days - 1) * _DAY_S, now)
    finally:
        hash_.close()
    return {place: parted for place, parted in found.items() if route in (None, place.route)}


def _of_logs(
    logs: list[str], route: str | None, policy: str, prices: PriceBook
) -> tuple[Mapping[Place, Parted], Mapping[Place, str]]:
    from fivelevers.audit.differences import Differences
    from fivelevers.policy import load
    from fivelevers.providers.cache_rules import TermBook

    told = Differences(prices, TermBook(prices))
    go_through(logs, By.ROUTE, load(Path(policy)) if policy else None, told.see, route=route)
    if not told.compared:
        wanted = f" on {route}" if route else ""
        raise AuditError.of("--logs", ", ".join(logs), f"hold no prompt{wanted} that could be cached", "name others")
    return told.tally.sums(), told.examples


def _show(sums: Mapping[Place, Parted], texts: Mapping[Place, str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(difference_records(sums, examples=texts), indent=2))  # noqa: T201
    elif sums:
        Console(highlight=False).print(difference_tables(sums, examples=texts), _COUNTED)
    else:
        Console(highlight=False).print(Text("Like prompts begin alike: nothing that differs costs a cache read."))


_COUNTED = Text("times: prompts that left a like one there; tokens, cost: what they share behind it, beyond a read.")
