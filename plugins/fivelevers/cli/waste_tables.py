"""How an audit's waste looks: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from fivelevers.audit.audit import Audit
from fivelevers.audit.waste import ON_PURPOSE, WINDOW_S, Name, Wasted
from fivelevers.cli.tables import money, table, usd

_SHOWN = 12


def waste_table(made: Audit, by: str) -> Table | None:
    """The dearest first; None where nothing was."""
    sums: dict[tuple[str, str], Wasted] = {}
    for (route, _), names in made.waste().items():
        for name, some in names.items():
            sums.setdefault((name, route), Wasted()).add(some.calls, some.tokens, some.usd)
    if not sums:
        return None
    shown = table("Waste, in this log", by, "paid to no use", "calls", "tokens", "cost")
    ranked = sorted(sums.items(), key=lambda item: (-item[1].usd, -item[1].calls, item[0]))
    for (name, route), some in ranked[:_SHOWN]:
        cost = "?" if name == Name.NO_PRICE else money(some.usd)
        shown.add_row(route, name, f"{some.calls:,}" if some.calls else "-", f"{some.tokens:,}", cost)
    if len(ranked) > _SHOWN:
        shown.caption = f"{len(ranked) - _SHOWN} more: --json has them all."
    return shown


def waste_notes(made: Audit, calls: int) -> Iterator[str]:
    """What the names mean, and what is not known."""
    names = {name for found in made.waste().values() for name in found}
    if names - {Name.NO_PRICE}:
        yield "Waste is no sum with what levers save: 1 and 2 save some of it."
    if Name.AGAIN in names:
        yield f"Asked again: by the same end user or session within {WINDOW_S / 60:.0f} minutes; the answer before it."
    if Name.CUT_OFF in names:
        yield f"Cut off: all that such a call cost; of more than {ON_PURPOSE} tokens, since fewer are meant so."
    if nameless := made.asked.nameless:
        yield f"Not known: whether {nameless:,} of {calls:,} calls were asked again: no end user, session or prompt."
    if unknown := made.asked.ends_unknown:
        yield f"Not known: whether {unknown:,} of {calls:,} answers were cut off."


def waste_records(made: Audit, by: str) -> list[dict[str, Any]]:
    return [
        _record(by, *line, name, some)
        for line, names in made.waste().items()
        for name, some in sorted(names.items(), key=_dearest)
    ]


def _dearest(item: tuple[str, Wasted]) -> tuple[float, str]:
    return -float(item[1].usd), item[0]


def _record(by: str, route: str, model: str, name: str, some: Wasted) -> dict[str, Any]:
    cost = None if name == Name.NO_PRICE else usd(some.usd)
    return {by: route, "model": model, "what": name, "calls": some.calls, "tokens": some.tokens, "cost_usd": cost}
