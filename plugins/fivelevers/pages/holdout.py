"""The holdout's word beside the model's, and what the guards did about it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from fivelevers.metering.interval import Withheld
from fivelevers.metering.measured import Measured, Saving
from fivelevers.pages.markup import Markup
from fivelevers.pages.numbers import dollars
from fivelevers.pages.parts import items, note, section, table
from fivelevers.switch import Switch

_MEANING = "Modelled: each request priced anew without us. Measured: what requests cost in the holdout, less outside."


def against(measured: Sequence[Measured]) -> list[str]:
    """What the holdout says against the saving that is metered, a sentence a route."""
    found = []
    for one in measured:
        if one.disagrees and isinstance(one.saving, Saving):
            low, high = dollars(one.saving.low_usd), dollars(one.saving.high_usd)
            said = f"{dollars(one.saving.usd)} measured ({low} to {high}, 95 %)"
            found.append(f"The holdout disagrees on {one.route}: {said}, {dollars(one.modelled_usd)} metered.")
    return found


def forgone(measured: Sequence[Measured]) -> Decimal:
    """USD that the holdouts had saved outside of them; below 0: they cost less than the treated sessions."""
    return sum((one.forgone_usd for one in measured), Decimal(0))


def forgone_told(usd: Decimal) -> str:
    return f"{dollars(usd)} not saved" if usd >= 0 else f"{dollars(-usd)} less than treated"


def measured_section(measured: Sequence[Measured], retreats: Sequence[Switch]) -> Markup:
    """Empty where there is neither."""
    if not (measured or retreats):
        return Markup("")
    head = ("Route", "Held out", "Measured", "95 %", "Modelled", "")
    back = [f"{one.lever} on {one.route} is back in shadow: {one.reason or 'no reason kept'}." for one in retreats]
    return section(
        "Measured against the holdout",
        note(_MEANING),
        table(head, [_row(one) for one in measured]),
        items(back) if back else Markup(""),
    )


def _row(one: Measured) -> list[str]:
    if isinstance(one.saving, Withheld):
        cells, verdict = ["-", "-"], one.saving.detail
    else:
        cells = [dollars(one.saving.usd), f"{dollars(one.saving.low_usd)} to {dollars(one.saving.high_usd)}"]
        verdict = "disagree" if one.disagrees else "agree"
    return [one.route, f"{one.holdout.requests:,} requests", *cells, dollars(one.modelled_usd), verdict]
