"""The holdout's word beside the model's, and what the guards did about it."""

from __future__ import annotations

from collections.abc import Sequence

from fivelevers.metering.interval import Withheld
from fivelevers.metering.measured import Measured
from fivelevers.pages.markup import Markup
from fivelevers.pages.numbers import dollars
from fivelevers.pages.parts import items, note, section, table
from fivelevers.switch import Switch

_MEANING = "Modelled: each request priced anew without us. Measured: what requests cost in the holdout, less outside."


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
