"""Whether a lever does harm: its sessions against those of its control, evidence that may be read at every tick.

What is compared is cost per successful output (failure costs included) and the success rate. The session is the unit,
since its requests share prompt, user and trouble. With ``d`` the difference between the arms (a ratio of sums in each)
and ``v`` its variance over sessions, the evidence against "no worse" is the likelihood ratio of N(d; effect, v), mixed
over harmful effects by a half-normal prior: Robbins' (1970) mixture, one-sided. It is a running likelihood ratio in
1 / v, so that it ever exceeds 1 / a has probability a at most, in the limit of many sessions (asymptotic confidence
sequences: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024, Annals of Statistics 52(6)). A session that grows from
look to look only correlates the looks more than independent steps would, which makes crossings rarer (Slepian 1962).

The limit comes late for heavy tails, so what one session can do is bounded, alike in both arms: it weighs as
``MOST_OUTCOMES`` outcomes at most, its cost per outcome counts up to a cap that the first sessions of both arms set,
and the variance is never taken below that of both arms together: the few sessions of a small arm may all be lucky.

One fleet, one promise: guard number ``k`` ever started has the share C / ((k + C - 1)(k + C)) of the fleet's alpha.
These sum to 1 over all k, so any number may start later. Both tests share the guard's, by the mean of their evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from math import erfc, exp, inf, log, sqrt
from typing import Final

from fivelevers.metering.interval import Coverage, Reason, Withheld, coverage_problem

ALPHA: Final = 0.05  # that any guard of a fleet ever calls back a lever that does no harm
MIN_SESSIONS: Final = 30  # of each arm
SETTING: Final = 100  # sessions, of both arms together, that set the cap
MOST_OUTCOMES: Final = 3
_EQUALS: Final = 100  # C: about so many guards share alpha almost equally
_USUAL_RISE: Final = 0.2  # the prior's scale: harm of this size is found soonest
_USUAL_LOSS: Final = 0.03


@dataclass(frozen=True, slots=True)
class Session:
    """One session in one arm: USD of its requests with a known outcome, USD of its failures' damage, and counts.

    ``size``: of its first prompt, in any unit: what no lever can have changed.
    """

    cost_usd: float
    failure_usd: float
    known: int
    successes: int
    size: float = 0.0


@dataclass(frozen=True, slots=True)
class Caps:
    """Up to which a session's cost per outcome (USD) and its first prompt's size count."""

    cost_usd: float
    size: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Of one arm: sums over sessions of capped cost x, successes s, outcomes n, size z and their products. Replicas may
    add theirs in any order, as long as no two have the same session.
    """

    sessions: int = 0
    x: float = 0.0
    s: float = 0.0
    n: float = 0.0
    z: float = 0.0
    xx: float = 0.0
    xs: float = 0.0
    ss: float = 0.0
    sn: float = 0.0
    nn: float = 0.0
    xz: float = 0.0
    sz: float = 0.0
    zz: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def success_residual(self, rate: float) -> float:
        """Sum over sessions of (s - rate n)^2."""
        return max(0.0, self.ss - 2 * rate * self.sn + rate * rate * self.nn)

    def cost_residual(self, rate: float, slope: float, mean_size: float) -> float:
        """Sum over sessions of (x - rate s - slope (z - mean_size))^2."""
        plain = self.xx - 2 * rate * self.xs + rate * rate * self.ss
        explained = 2 * slope * self.covariation(rate, mean_size)
        return max(0.0, plain - explained + slope * slope * self.size_variation(mean_size))

    def covariation(self, rate: float, mean_size: float) -> float:
        """Sum over sessions of (x - rate s)(z - mean_size)."""
        return self.xz - rate * self.sz - mean_size * (self.x - rate * self.s)

    def size_variation(self, mean_size: float) -> float:
        """Sum over sessions of (z - mean_size)^2."""
        return max(0.0, self.zz - 2 * mean_size * self.z + self.sessions * mean_size * mean_size)


@dataclass(frozen=True, slots=True)
class Reading:
    """What the sessions say. Costs in USD per successful output, as they count here (capped; of the treated as if their
    first prompts were as long as the control's); rates in 0..1; ``evidence`` that the lever does harm.
    """

    treated_usd: float
    control_usd: float
    treated_rate: float
    control_rate: float
    cost_evidence: float
    loss_evidence: float

    @property
    def evidence(self) -> float:
        return (self.cost_evidence + self.loss_evidence) / 2

    @property
    def why(self) -> str:
        """The stronger of the two, in words."""
        if self.cost_evidence >= self.loss_evidence:
            more = f"{self.treated_usd / self.control_usd - 1:.0%} more" if self.control_usd else "more than nothing"
            dear = f"${self.treated_usd:.6f} against ${self.control_usd:.6f}"
            return f"a successful output costs {more} than in the control ({dear})"
        lost = 100 * (self.control_rate - self.treated_rate)
        return f"{lost:.1f} points fewer succeed ({self.treated_rate:.1%} against {self.control_rate:.1%})"


@dataclass(frozen=True, slots=True)
class Side:
    """The sums over the sessions of one arm with a known outcome, and how much is known of it."""

    sums: Sums
    coverage: Coverage


@dataclass(frozen=True, slots=True)
class Seen:
    """One session in one arm, with all its requests; ``told`` None: no outcome of it is known, or not what it cost."""

    treated: bool
    requests: int
    told: Session | None


def sides(seen: Iterable[Seen]) -> tuple[Side, Side]:
    """(treated, control) of sessions in the order in which they began: the first ``SETTING`` that tell set the caps.

    No more than these are held at a time, however many come.
    """
    arms, waiting = {True: _Arm(), False: _Arm()}, list[tuple[_Arm, Session]]()
    most: Caps | None = None
    for one in seen:
        arm = arms[one.treated]
        arm.requests += one.requests
        if one.told is None:
            continue
        if most is not None:
            arm.add(one.told, most)
            continue
        waiting.append((arm, one.told))
        if len(waiting) == SETTING:
            most = _add_first(waiting)
    if most is None:
        _add_first(waiting)
    return arms[True].side, arms[False].side


def judge(treated: Side, control: Side, max_success_loss: float) -> Reading | Withheld:
    """What these sides say.

    Withheld: too few sessions, too few known outcomes, or arms so unequally known that it would show as harm.
    """
    missing = _too_few(treated, control)
    if missing is not None:
        return missing
    uneven = coverage_problem({"treated": treated.coverage, "control": control.coverage})
    if uneven is not None:
        return uneven
    return read(treated.sums, control.sums, max_success_loss)


def _too_few(treated: Side, control: Side) -> Withheld | None:
    counts = {"treated": treated.sums.sessions, "control": control.sums.sessions}
    told = ", ".join(f"{count:,} {arm}" for arm, count in counts.items())
    if min(counts.values()) < MIN_SESSIONS or sum(counts.values()) < SETTING:
        detail = f"{told} sessions with a known outcome; {MIN_SESSIONS} of each and {SETTING} in all needed"
        return Withheld(Reason.FEW_SESSIONS, detail)
    return None


def needed(number: int, alpha: float = ALPHA) -> float:
    """The evidence from which guard ``number`` (from 1) of a fleet calls its lever back."""
    return (number + _EQUALS - 1) * (number + _EQUALS) / (_EQUALS * alpha)


def caps(first: Sequence[Session]) -> Caps:
    """Three times the 90th percentile of the first sessions, of both arms together."""
    return Caps(_cap([one.cost_usd / one.known for one in first]), _cap([one.size for one in first]))


def _cap(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return (3 * ordered[int(0.9 * len(ordered))] or ordered[-1]) if ordered else inf


def add_up(sessions: Iterable[Session], most: Caps) -> Sums:
    """The sums of sessions with at least one known outcome each."""
    arm = _Arm()
    for one in sessions:
        arm.add(one, most)
    return arm.sums


class _Arm:
    """What is added up of one arm, session by session."""

    def __init__(self) -> None:
        self.requests = self._known = self._sessions = 0
        self._totals = [0.0] * 12

    def add(self, one: Session, most: Caps) -> None:
        weight = min(1.0, MOST_OUTCOMES / one.known)
        n, s, z = weight * one.known, weight * one.successes, min(one.size, most.size)
        x = n * min(one.cost_usd / one.known, most.cost_usd) + weight * one.failure_usd
        self._known += one.known
        self._sessions += 1
        parts = (x, s, n, z, x * x, x * s, s * s, s * n, n * n, x * z, s * z, z * z)
        for at, value in enumerate(parts):
            self._totals[at] += value

    @property
    def sums(self) -> Sums:
        return Sums(self._sessions, *self._totals)

    @property
    def side(self) -> Side:
        return Side(self.sums, Coverage(self._known, self.requests))


def _add_first(waiting: Sequence[tuple[_Arm, Session]]) -> Caps:
    most = caps([one for _, one in waiting])
    for arm, one in waiting:
        arm.add(one, most)
    return most


def read(treated: Sums, control: Sums, max_success_loss: float) -> Reading:
    """What the sums of two arms say; each has an outcome.

    A loss of success within ``max_success_loss`` (0..1) is allowed: only a measured one above it is evidence.
    """
    rates = treated.s / treated.n, control.s / control.n
    loss = rates[1] - rates[0]
    lost = _evidence(loss, _success_variance(treated, control), _USUAL_LOSS) if loss > max_success_loss else 0.0
    if not (treated.s and control.s):  # then the success rates tell
        return Reading(inf, inf, *rates, 0.0, lost)
    slope, mean_size = _slope(treated, control)
    control_usd, usual = control.x / control.s, (treated.x + control.x) / (treated.s + control.s)
    dearer = treated.x / treated.s - control_usd - slope * (_mean_size(treated) - _mean_size(control))
    dear = _evidence(dearer, _cost_variance(treated, control, slope, mean_size), _USUAL_RISE * usual)
    return Reading(control_usd + dearer, control_usd, *rates, dear, lost)


def _mean_size(arm: Sums) -> float:
    return arm.z / arm.sessions


def _slope(treated: Sums, control: Sums) -> tuple[float, float]:
    """By how many USD per success the size of the first prompt shifts an arm, and the mean size.

    What varies less needs fewer outcomes: the control variate of Deng, Xu, Kohavi and Walker (2013, WSDM: CUPED). The
    sizes of the arms differ by chance alone, so taking their part out moves no mean.
    """
    mean_size = (treated.z + control.z) / (treated.sessions + control.sessions)
    shared = sum(arm.covariation(arm.x / arm.s, mean_size) / (arm.s * arm.sessions) for arm in (treated, control))
    own = sum(arm.size_variation(mean_size) / arm.sessions**2 for arm in (treated, control))
    return (shared / own if own > 0 else 0.0), mean_size


def _success_variance(treated: Sums, control: Sums) -> float:
    arms, both = (treated, control), treated + control
    pooled = both.success_residual(both.s / both.n)
    return _variance(arms, [arm.success_residual(arm.s / arm.n) for arm in arms], pooled, [arm.n for arm in arms])


def _cost_variance(treated: Sums, control: Sums, slope: float, mean_size: float) -> float:
    """Of the difference between the arms, with the size's part taken out."""
    arms = (treated, control)
    usual = (treated.x + control.x) / (treated.s + control.s)
    slopes = [slope * arm.s / arm.sessions for arm in arms]
    own = [arm.cost_residual(arm.x / arm.s, by, _mean_size(arm)) for arm, by in zip(arms, slopes, strict=True)]
    pooled = sum(arm.cost_residual(usual, by, mean_size) for arm, by in zip(arms, slopes, strict=True))
    return _variance(arms, own, pooled, [arm.s for arm in arms])


def _variance(arms: tuple[Sums, Sums], own: Sequence[float], pooled: float, denominators: Sequence[float]) -> float:
    """Of a difference of ratios: by each arm's residuals, or by those of both together where that is more."""
    weights = [arm.sessions / below**2 for arm, below in zip(arms, denominators, strict=True)]
    each = sum(w * r / (arm.sessions - 1) for w, r, arm in zip(weights, own, arms, strict=True))
    return max(each, sum(weights) * pooled / (arms[0].sessions + arms[1].sessions - 1))


def _evidence(d: float, v: float, scale: float) -> float:
    """The likelihood ratio of N(d; effect, v) to N(d; 0, v), the effect half-normal with ``scale``."""
    if v <= 0 or scale <= 0:
        return 0.0
    spread = v + scale * scale
    z = d * scale / sqrt(v * spread)
    side = erfc(-z / sqrt(2))  # twice the normal distribution's mass below z
    if side <= 0:
        return 0.0
    return exp(min(z * z / 2 + log(side) + log(v / spread) / 2, 700.0))
