"""From what was paid to what would be left: one step for each lever in its order, on what those before it left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from fivelevers.audit.answer_lines import ZERO
from fivelevers.audit.lines import Ends, Line
from fivelevers.audit.projections import Projections, Turn
from fivelevers.metering.cost import rounded
from fivelevers.order import LEVERS, Lever
from fivelevers.policy import Route
from fivelevers.policy.levers import SemanticCacheSwitch
from fivelevers.prices import Kind

HOLDOUT: Final = Decimal(str(Route.model_fields["holdout"].default))
"""Share of the sessions that a route leaves untreated unless its policy says otherwise."""

_HELD_OUT: Final = ("prompt_cache", "semantic_cache", "routing")  # a batch's discount is published: no control arm
_ASKED, _REPLIED = 150, 5  # tokens of what a judging model is told beside question and answers, and of its verdict
_CHARS_A_TOKEN = 4
_NOTHING: Final = (ZERO, ZERO)


@dataclass(frozen=True, slots=True)
class Step:
    """One lever. USD over the log, (low, high).

    The two ends are two stories: every lever saves the least, or every one the most, each on what those before it left
    in that story; no dollar is saved twice. ``saving``: of the lines where it pays; None where it is known of none.
    ``left``: after it and those before it, the low end where all saved most. ``unknown``: why it is not known, and USD
    of the lines of which it is not.
    ``to_prove``: USD, once, before it may act: the judging of lever 2, the benchmark of lever 4.
    """

    lever: Lever
    saving: Ends | None
    left: Ends
    unknown: Mapping[str, Decimal]
    to_prove: Ends = _NOTHING

    @property
    def why_not(self) -> str:
        """The reason that most of the money has; empty where there is none."""
        return max(self.unknown, key=lambda why: self.unknown[why], default="")


@dataclass(frozen=True, slots=True)
class Steps:
    """``paid``: USD of the calls with a price. ``held_out``: USD that the levers do not save, since a route's holdout
    is left alone to measure them by. ``left``: after all that."""

    paid: Decimal
    steps: tuple[Step, ...]
    held_out: Ends
    left: Ends


def steps(lines: Iterable[Line], told: Projections) -> Steps:
    """Of these lines together."""
    some = list(lines)
    paid = sum((line.cost_usd for line in some), ZERO)
    found, left, held_out = list[Step](), (paid, paid), _NOTHING
    turns = [(line, told.turns(line)) for line in some]
    for lever in LEVERS:
        step = _step(lever, turns, told, left)
        found.append(step)
        left = step.left
        if step.saving and lever.name in _HELD_OUT:
            held_out = held_out[0] + HOLDOUT * step.saving[0], held_out[1] + HOLDOUT * step.saving[1]
    return Steps(paid, tuple(found), held_out, (left[0] + held_out[1], left[1] + held_out[0]))


def _step(lever: Lever, turns: list[tuple[Line, dict[str, Turn | str]]], told: Projections, before: Ends) -> Step:
    saving: Ends | None = None
    to_prove = _NOTHING
    unknown: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line, by_lever in turns:
        turn = by_lever[lever.name]
        if isinstance(turn, str):
            unknown[turn] += line.cost_usd
        else:
            saving = _plus(saving or _NOTHING, turn.saving)
        to_prove = _plus(to_prove, _to_prove(line, lever, told))
    low, high = saving or _NOTHING
    return Step(lever, saving, (before[0] - high, before[1] - low), unknown, to_prove)


def _to_prove(line: Line, lever: Lever, told: Projections) -> Ends:
    if lever.name == "semantic_cache":
        return ZERO, _judging_usd(line, told)
    return told.routed(line).benchmark_usd() or _NOTHING if lever.name == "routing" else _NOTHING


def _judging_usd(line: Line, told: Projections) -> Decimal:
    """At most: where neither equal texts nor embeddings tell of any hit, and a model as dear as the line's judges."""
    answered, routed = told.answered(line), told.routed(line)
    rates = [routed.price.rate(kind, prompt_tokens=0) for kind in (Kind.INPUT, Kind.OUTPUT)]
    if not answered.similar.calls or not routed.left or rates[0] is None or rates[1] is None:
        return ZERO
    # NumPy and SciPy, which the plain install does not have; nor has it an embedder, so that it finds no such hits.
    from fivelevers.levers.semantic_cache.bound import needed
    from fivelevers.levers.semantic_cache.calibrate import STARTS_WITH

    judged = needed(STARTS_WITH, SemanticCacheSwitch.model_fields["max_wrong"].default)
    question = answered.question_chars // max(answered.asked, 1) // _CHARS_A_TOKEN
    prompt = _ASKED + question + 2 * routed.output_tokens // routed.left
    return rounded(judged * (prompt * rates[0] + _REPLIED * rates[1]))


def _plus(one: Ends, other: Ends) -> Ends:
    return one[0] + other[0], one[1] + other[1]
