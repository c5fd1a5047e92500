"""How the places look where prompts part: in a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.cli.tables import money, short, table, usd
from fivelevers.levers.prompt_cache.tally import Parted, Place

_NOTHING: Mapping[Place, str] = {}


def ranked(sums: Mapping[Place, Parted]) -> list[tuple[Place, Parted]]:
    """The dearest first."""
    return sorted(sums.items(), key=lambda item: (-item[1].usd, -item[1].tokens, -item[1].times))


def difference_tables(
    sums: Mapping[Place, Parted], by: str = "route", at_most: int = 10, examples: Mapping[Place, str] = _NOTHING
) -> RenderableType:
    """One row for each place, what to do about each kind of it, and with ``examples`` the text around it."""
    places = ranked(sums)
    shown = table("Where like prompts part", by, "model", "what differs first", "times", "tokens", "cost")
    fixes: dict[str, None] = {}
    for place, parted in places[:at_most]:
        told = place.difference(parted.offset)
        counts = (f"{parted.times:,}", f"{parted.tokens:,}", money(parted.usd))
        shown.add_row(place.route, short(place.model), str(told), *counts)
        fixes[told.fix] = None
    notes = [Text(f"- {fix}") for fix in fixes]
    if len(places) > at_most:
        rest = sum((parted.usd for _, parted in places[at_most:]), Decimal(0))
        notes.insert(0, Text(f"{len(places) - at_most} more places, {money(rest)}: --json shows them all."))
    return Group(shown, *notes, *_texts(places[:at_most], examples))


def _texts(places: list[tuple[Place, Parted]], examples: Mapping[Place, str]) -> list[RenderableType]:
    told = [(place, examples[place]) for place, _ in places if examples.get(place)]
    if not told:
        return []
    shown = Table(title="The text there, once", title_justify="left", title_style="bold", box=None, show_header=False)
    for place, text in told:
        shown.add_row(place.route, Text(repr(text)))
    return [Text(), shown]


def difference_records(
    sums: Mapping[Place, Parted], by: str = "route", examples: Mapping[Place, str] = _NOTHING
) -> list[dict[str, Any]]:
    return [_record(place, parted, by, examples) for place, parted in ranked(sums)]


def _record(place: Place, parted: Parted, by: str, examples: Mapping[Place, str]) -> dict[str, Any]:
    told = place.difference(parted.offset)
    record = {
        by: place.route,
        "model": place.model,
        "section": place.section.value,
        "segment": place.segment,
        "offset": parted.offset,
        "what": place.what.value,
        "parameter": place.parameter or None,
        "in_words": str(told),
        "times": parted.times,
        "tokens": parted.tokens,
        "cost_usd": usd(parted.usd),
        "fix": told.fix,
    }
    return {**record, "text": examples[place]} if place in examples else record
