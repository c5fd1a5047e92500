"""The one next step of a route: which lever, in the order of adoption, and why none before its turn. Pure.

Each lever shrinks what the next one works on, so a later one that is measured first is measured on what will not be
there. A route goes on to the next lever when the one before is `on` for all of its sessions, or settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from fivelevers.order import LEVERS, Mode

Ends = tuple[Decimal, Decimal]
"""A saving in USD a month, from its low end to its high one."""

STAGES: Final = (10.0, 50.0, 100.0)
"""Percent of the sessions at which a lever with a control arm is watched before it gets more of them."""

_BY_NAME: Final = {lever.name: lever for lever in LEVERS}
_SETTLED: Final = (Mode.DOES_NOT_PAY, Mode.NOT_APPLICABLE)


class Basis(StrEnum):
    """How a saving is known."""

    MEASURED = "measured"  # treated against control
    METERED = "metered"  # attempt by attempt, from what was billed and what had been
    PROJECTED = "projected"  # from the traffic, as if the lever acted
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a lever on a route.

    ``told``: what was measured, with what confidence. ``lacks``: what has to be measured before it gets more sessions,
    by ``command`` where one does. ``cannot``: why it can not act here. ``retreated``: why the guard put it to shadow.
    ``off``: why, and by whom, it was switched off. ``contradicted``: what the holdout says against what is metered, or
    against all that acts.
    """

    lever: str
    mode: Mode
    percent: float = 100.0
    saving: Ends | None = None
    basis: Basis = Basis.UNKNOWN
    told: str = ""
    lacks: str = ""
    command: str = ""
    cannot: str = ""
    retreated: str | None = None
    off: str | None = None
    contradicted: str = ""

    @property
    def settled(self) -> bool:
        full = self.mode is Mode.ON and self.percent >= STAGES[-1]
        acts = self.retreated is None and self.off is None and not self.contradicted
        return (full and acts) or self.mode in _SETTLED

    @property
    def loses(self) -> bool:
        """Nothing is to be gained even at the high end."""
        return self.saving is not None and self.saving[1] <= 0


@dataclass(frozen=True, slots=True)
class Step:
    """``change``: what to set in the policy at the lever, empty where there is nothing to change yet. ``saving``: what
    the step itself adds, USD a month; of a lever that does not act yet, all that it could."""

    lever: str
    what: str
    change: Mapping[str, Mode | float]
    saving: Ends | None = None
    basis: Basis = Basis.UNKNOWN
    command: str = ""


def next_step(known: Sequence[Known]) -> Step | None:
    """The step of the first lever that is not settled; None where all are. ``known`` in lever order, each once."""
    first = next((one for one in known if not one.settled), None)
    return None if first is None else _step(first)


def refusal(known: Sequence[Known]) -> tuple[tuple[str, ...], str]:
    """The levers whose turn it is not, and why, in one sentence. Those that are on, or settled, are not refused."""
    waiting = [one for one in known if not one.settled]
    later = tuple(one.lever for one in waiting[1:] if one.mode in (Mode.OFF, Mode.SHADOW))
    if not later:
        return (), ""
    first = _BY_NAME[waiting[0].lever]
    return later, f"each works on what {first.title} leaves, and not yet known is {first.must_be_measured}"


def _step(one: Known) -> Step:
    for rule in (_stopped, _retreated, _impossible, _contradicted, _not_worth_it, _off, _waits, _switch_on):
        step = rule(one)
        if step is not None:
            return step
    return _more(one)


def _stopped(one: Known) -> Step | None:
    if one.off is None:
        return None
    return Step(one.lever, f"wait: it is switched off ({one.off}): resume it first", {}, command=one.command)


def _contradicted(one: Known) -> Step | None:
    if not one.contradicted:
        return None
    what = f"wait: {one.contradicted}: find out why, or settle it as does-not-pay"
    return Step(one.lever, what, {}, one.saving, one.basis)


def _retreated(one: Known) -> Step | None:
    if one.retreated is None:
        return None
    what = f"the guard put it back to shadow ({one.retreated}): leave it so, or mend the cause and resume it"
    return Step(one.lever, what, {"mode": Mode.DOES_NOT_PAY}, one.saving, one.basis, one.command)


def _impossible(one: Known) -> Step | None:
    return Step(one.lever, f"settle it: {one.cannot}", {"mode": Mode.NOT_APPLICABLE}) if one.cannot else None


def _not_worth_it(one: Known) -> Step | None:
    if not one.loses:
        return None
    return Step(one.lever, "settle it: it does not pay here", {"mode": Mode.DOES_NOT_PAY}, one.saving, one.basis)


def _off(one: Known) -> Step | None:
    if one.mode is not Mode.OFF:
        return None
    what = "watch it in shadow: it decides and records, and changes nothing"
    return Step(one.lever, what, {"mode": Mode.SHADOW}, one.saving, one.basis, one.command if one.lacks else "")


def _waits(one: Known) -> Step | None:
    return Step(one.lever, f"wait: {one.lacks}", {}, one.saving, one.basis, one.command) if one.lacks else None


def _switch_on(one: Known) -> Step | None:
    if one.mode is not Mode.SHADOW:
        return None
    # The batch discount is a published price: there is no control arm to watch.
    percent = STAGES[-1] if one.lever == "batch" else STAGES[0]
    what = f"switch it on for {percent:g} % of the sessions"
    return Step(one.lever, what, {"mode": Mode.ON, "percent": percent}, _part(one, percent / 100), one.basis)


def _more(one: Known) -> Step:
    percent = next(stage for stage in STAGES if stage > one.percent)
    more = _part(one, percent / one.percent - 1)  # of what the present sessions save
    return Step(one.lever, f"give it {percent:g} % of the sessions", {"percent": percent}, more, one.basis)


def _part(one: Known, share: float) -> Ends | None:
    return None if one.saving is None else (one.saving[0] * Decimal(share), one.saving[1] * Decimal(share))
