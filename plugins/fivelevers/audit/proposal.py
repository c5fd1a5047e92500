"""A policy out of an audit: every lever that may save on a route is in shadow there, where it changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from glob import escape
from typing import Final

import yaml

from fivelevers.audit.steps import Step, Steps
from fivelevers.order import LEVERS, Mode
from fivelevers.policy.model import DEFAULT_ROUTE

_NAME_AT_MOST: Final = 60  # of the 63 characters of a route's name: some of one spelling get a number
_WIDTH: Final = max(len(lever.name) for lever in LEVERS) + 1


@dataclass(frozen=True, slots=True)
class Proposed:
    """One lever of one route, and why: a few words."""

    mode: Mode
    why: str


def proposed(step: Step, month: Decimal | None) -> Proposed:
    """``month``: what amounts of the log are to be multiplied by to be a month's; None: it is of one moment."""
    if step.saving is None:
        settled = Mode.NOT_APPLICABLE if step.lever.name == "quantization" and not _own(step) else Mode.OFF
        once = f"; to know costs ${step.to_prove[1]:,.2f} at most, once" if step.to_prove[1] else ""
        return Proposed(settled, f"{step.why_not or 'not known'}{once}")
    if step.saving[1] <= 0:
        return Proposed(Mode.OFF, "saves nothing in this log")
    low, high = (end * (month or 1) for end in step.saving)
    return Proposed(Mode.SHADOW, f"${low:,.2f} to ${high:,.2f} {'a month' if month else 'in this log'}")


def _own(step: Step) -> bool:
    return any(why.startswith("gate") for why in step.unknown)


def policy_text(routes: Mapping[str, Steps], about: str, month: Decimal | None) -> str:
    """YAML. ``routes``: by model alias, the dearest first; ``about``: the log, one line."""
    lines = [
        f"# What `fivelevers audit` proposes for {_line(about)}.",
        "# A lever that may save is in shadow: it decides and records, and changes nothing. `fivelevers check` tells",
        "# what this amounts to, `fivelevers plan` what is the next step on each route.",
        "version: 1",
        "",
        "routes:" if routes else "routes: []",
    ]
    names = _names(routes)
    for alias, steps in routes.items():
        lines += _route(names[alias], alias, steps, month)
    return "\n".join(lines) + "\n"


def _route(name: str, alias: str, steps: Steps, month: Decimal | None) -> Iterator[str]:
    paid = f"${steps.paid * (month or 1):,.2f} {'a month' if month else 'in this log'}"
    yield f"  - name: {_quoted(name)}  # {paid}"
    yield f"    match: {{model: {_quoted(escape(alias))}}}"
    yield "    levers:"
    for step in steps.steps:
        one = proposed(step, month)
        mode = f'"{one.mode}"' if one.mode is Mode.OFF else one.mode.value  # YAML reads a bare off as false
        yield f"      {step.lever.name + ':':{_WIDTH}} {{mode: {mode}}}  # {_line(one.why)}"


def _names(aliases: Mapping[str, object]) -> dict[str, str]:
    """A route's name for each alias: no two the same, none the default route's."""
    names: dict[str, str] = {}
    for alias in aliases:
        name = re.sub(r"[^a-z0-9_-]+", "-", alias.lower())[:_NAME_AT_MOST].lstrip("_-") or "route"
        taken = {DEFAULT_ROUTE, *names.values()}
        at = next(at for at in range(1, len(aliases) + 2) if (name if at == 1 else f"{name}-{at}") not in taken)
        names[alias] = name if at == 1 else f"{name}-{at}"
    return names


def _quoted(text: str) -> str:
    """Whatever an alias holds."""
    return str(yaml.safe_dump(text, default_style='"', width=10_000, allow_unicode=True)).strip()


def _line(text: str) -> str:
    return " ".join(text.split())
