"""What the commands that read logs share: their options, and one pass over the calls with a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fivelevers.errors import PriceError
from fivelevers.prices import PriceBook, find_litellm_map

if TYPE_CHECKING:
    from rich.progress import Progress

    from fivelevers.audit.audit import Audit, Charged
    from fivelevers.audit.calls import Account, LoggedCall
    from fivelevers.audit.groups import By
    from fivelevers.audit.prompt_cache import Settled
    from fivelevers.policy import Policy

PolicyPath = Annotated[str, typer.Option("--policy", help="Sort calls into the routes of this policy.")]
Prices = Annotated[str, typer.Option("--prices", envvar="FIVELEVERS_PRICES", help="Price overrides: what you pay.")]
PriceMap = Annotated[str, typer.Option("--price-map", help="LiteLLM's price map; default: the installed LiteLLM's.")]
ShowText = Annotated[bool, typer.Option("--show-text", help="Show the text around what differs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Everything as JSON.")]

_DAY_S = 86_400.0
_TOLD_EVERY = 100  # calls
MONTH_S = 30 * _DAY_S


@dataclass(slots=True)
class Pass:
    """One pass over the logs: the account of their rows."""

    account: Account

    @property
    def first(self) -> float:
        """When the first call was sent, seconds since the epoch."""
        return self.account.first

    @property
    def last(self) -> float:
        return self.account.last

    @property
    def span_s(self) -> float:
        return max(self.last - self.first, 0.0)

    @property
    def of_all(self) -> float:
        """By what a count of the calls that were looked at is multiplied, to be one of all."""
        return self.account.calls / self.account.drawn if self.account.drawn else 1.0

    @property
    def month(self) -> Decimal | None:
        """By what an amount of the calls looked at is multiplied, to be a month's of all; None: of one moment."""
        return Decimal(MONTH_S / self.span_s * self.of_all) if self.span_s else None


def price_book(prices: str, price_map: str) -> PriceBook:
    """Raises PriceError."""
    from fivelevers.price_overrides import load_overrides

    try:
        found = Path(price_map) if price_map else find_litellm_map()
    except PriceError as error:
        fix = "install it, or name its map file with --price-map"
        raise PriceError.of("price map", None, "is not here: LiteLLM is not installed", fix) from error
    return PriceBook.from_litellm_map(found, load_overrides(Path(prices)) if prices else ())


def go_through(
    logs: list[str],
    by: By,
    policy: Policy | None,
    see: Callable[[LoggedCall, str], None],
    *,
    route: str | None = None,
    share: float = 1.0,
    made: Audit | None = None,
) -> Pass:
    """Hand every call, with its route, to ``see`` in arrival order; only those of ``route`` where one is named.

    ``made``: an audit that ``see`` hands them to, of which a process beside may do a part.
    Raises AuditError, LedgerError, ContentError, OSError.
    """
    from fivelevers.audit.calls import Account
    from fivelevers.audit.groups import group_of
    from fivelevers.audit.processes import sweeping_the_young
    from fivelevers.audit.sources import Sources

    sources, done = Sources.of(logs), Pass(Account(share))
    work = None if made is None else partial(_lever_1, made, by, policy)
    with sources.reading(share, work) as calls, _progress(sources.size) as (read, judged), sweeping_the_young():
        if made is not None:
            made.beside = calls.beside
        for number, call in enumerate(calls(done.account, read), 1):
            group = group_of(call, by, policy)
            if route is None or group == route:
                see(call, group)
            if not number % _TOLD_EVERY:
                judged(number, done.account.drawn)
        if made is not None:
            made.end()
    return done


def _lever_1(
    made: Audit, by: By, policy: Policy | None, calls: Iterator[LoggedCall]
) -> Generator[Charged, None, Settled]:
    from fivelevers.audit.groups import group_of

    return made.lever_1((call, group_of(call, by, policy)) for call in calls)


@contextmanager
def progress(description: str, total: int, beside: Callable[[], str] = lambda: "") -> Iterator[Callable[[int], None]]:
    """Told how many more of ``total`` are done; shown on a terminal alone, with what stands ``beside``."""
    with _bar("{task.fields[beside]}") as bar:
        task = bar.add_task(description, total=total, beside="")
        yield lambda count: bar.update(task, advance=count, beside=beside())


@contextmanager
def _progress(size: int) -> Iterator[tuple[Callable[[int], None], Callable[[int, int], None]]]:
    """(told of bytes that were read, told how many calls were judged out of so many)."""
    with _bar() as bar:
        reading = bar.add_task("reading", total=size or None)
        judging = bar.add_task("projecting", total=None)
        yield (
            lambda count: bar.advance(reading, count),
            lambda calls, of: bar.update(judging, completed=calls, total=of),
        )


def _bar(*beside: str) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    texts = map(TextColumn, ("{task.percentage:>3.0f} %", *beside))
    columns, console = (TextColumn("{task.description}"), BarColumn(), *texts), Console(stderr=True)
    return Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal)
