"""What an audit's page tells beside the levers: what was paid to no use, and what the bills say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from fivelevers.pages.markup import Markup
from fivelevers.pages.numbers import count, dollars, percent
from fivelevers.pages.parts import note, section, short_model, table

Record = Mapping[str, Any]


def waste(record: Record) -> Markup:
    found = sorted(record["waste"], key=lambda one: -Decimal(one["cost_usd"] or 0))
    if not found:
        return Markup("")
    rows = [
        (one["what"], one[record["by"]], short_model(one["model"]), f"{one['calls']:,}" if one["calls"] else "-",
         count(one["tokens"]), "?" if one["cost_usd"] is None else dollars(Decimal(one["cost_usd"])))
        for one in found[:12]
    ]  # fmt: skip
    return section(
        "What was paid to no use, in this log",
        note("This is no sum with what levers save: levers 1 and 2 save some of it."),
        table(("Waste", record["by"].capitalize(), "Model", "Calls", "Tokens", "Cost"), rows, texts=3),
    )


def bills(record: Record) -> Markup:
    if not record["bills"]:
        return Markup("")
    return section(
        "What the bills say",
        note("What levers save on the part of a bill that is not in the log is in no figure of this page."),
        table(("Bill", "Days of both", "Billed", "The log's calls", "Share"), list(_beside(record)), texts=2),
        table(("Bill", "Model", "Prompt tokens", "Read", "Cost"), list(_models(record)), texts=2),
    )


def _beside(record: Record) -> Iterator[tuple[str, ...]]:
    for bill in record["bills"]:
        told = bill["beside_the_log"]
        if told is None or told["log_share_of_bill"] is None:
            yield (bill["source"], "none", "-", "-", "-")
            continue
        amounts = (
            (f"{told['billed_tokens']:,} tokens", f"{told['log_tokens']:,} tokens")
            if told["billed_usd"] is None
            else (dollars(Decimal(told["billed_usd"])), dollars(Decimal(told["log_usd"])))
        )
        first, last = told["first_day"], told["last_day"]
        days = first if first == last else f"{first} to {last}"
        part = "" if told["whole_days"] else " (in part)"
        yield (bill["source"], f"{days}{part}", *amounts, percent(told["log_share_of_bill"]))


def _models(record: Record) -> Iterator[tuple[str, ...]]:
    for bill in record["bills"]:
        for one in bill["models"][:12]:
            prompt, read = one["prompt_tokens"], one["cache_read_tokens"]
            share = percent(read / prompt) if prompt and read is not None else "-"
            cost = "-" if one["usd"] is None else dollars(Decimal(one["usd"]))
            yield (bill["source"], short_model(one["model"]), "-" if prompt is None else count(prompt), share, cost)
