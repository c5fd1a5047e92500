"""How likely a prefix is seen again, and how soon: reuse hazards by class, right-censored, learned online.

A visit of a prefix enters its class; the next visit of the same prefix resolves it with a gap. Visits that nothing has
resolved are no failures yet: the hazard of a gap is judged by those cohorts alone that have outlived it, so that answer
and silence have had the same time (Kaplan and Meier 1958, on cohorts). A class with few visits leans on the coarser one
that it is a part of, that one on its own, and the coarsest on the prior.

All of it is sums, of which replicas add increments in any order. A field is ``<tier><cohort>.<class>.<slot>``: ``n``
counts visits that entered, a number those that were seen again in that gap. Tier ``m`` (cohorts of a minute) and ``t``
(ten minutes) tell which visits are too young to judge and go when all are old enough; ``w`` (weeks) holds the totals,
of which the last week fades while the present one fills.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from fivelevers.levers.prompt_cache.classes import BIN_BITS, LEVELS, role_of
from fivelevers.levers.prompt_cache.node import Role

EDGES_S = (60, 300, 600, 900, 1200, 1800, 2700, 3600)
"""Ends of the gaps that are told apart; what comes back later was lost to every TTL and counts as not seen again."""

# Half of all prefixes come back within five minutes and two thirds within an hour; of tools and system prompts, which
# are there to be shared, three in five and nine in ten.
PRIOR = (0.3, 0.2857, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
HEAD_PRIOR = (0.4, 0.3333, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)
PRIOR_WEIGHT = 2.0
CLASS_WEIGHT = 8.0
# An entry that we believe live is there; in how many reads it was not, the provider's usage says.
KEPT_CLASS, KEPT_WEIGHT = 1, 50.0

_SPANS_S = {"m": 60, "t": 600, "w": 604_800}
_KEPT_COHORTS = {"m": 7, "t": 8, "w": 2}
_BY_MINUTE = bisect_left(EDGES_S, 300) + 1  # the gaps that tier m judges, tier t the others
_GAPS = range(len(EDGES_S))

Curve = tuple[float, ...]
"""One number for each of ``EDGES_S``."""

_Row = list[float]  # entered, then seen again by gap
_Key = tuple[int, int]  # a level and the class at it


def entered(class_id: int, at: float) -> list[str]:
    """The fields that a visit adds one to."""
    return [f"{tier}{int(at // span_s)}.{class_id}.n" for tier, span_s in _SPANS_S.items()]


def resolved(class_id: int, entered_at: float, now: float) -> list[str]:
    """The fields that the next visit of the same prefix adds one to."""
    gap = bisect_left(EDGES_S, now - entered_at)
    if gap == len(EDGES_S):
        return []
    tiers = ("m", "t", "w") if gap < _BY_MINUTE else ("t", "w")
    return [f"{tier}{int(entered_at // _SPANS_S[tier])}.{class_id}.{gap}" for tier in tiers]


def trusted(ttl_s: int, now: float, *, kept: bool) -> list[str]:
    """The fields that a read adds one to, of an entry that we believed live."""
    week, name = int(now // _SPANS_S["w"]), KEPT_CLASS + (ttl_s > EDGES_S[1])
    return [f"w{week}.{name}.n"] + ([] if kept else [f"w{week}.{name}.0"])


def expired(fields: Iterable[str], now: float) -> list[str]:
    """The fields that nobody needs any more: deleting them keeps the store's mapping bounded."""
    return [field for field in fields if not _needed(field.partition(".")[0], now)]


def _needed(cohort: str, now: float) -> bool:
    span_s = _SPANS_S.get(cohort[:1])
    if span_s is None or not cohort[1:].isdigit():
        return False
    return int(cohort[1:]) > now // span_s - _KEPT_COHORTS[cohort[0]]


@dataclass(frozen=True, slots=True)
class Gaps:
    """Of so many ``visits`` of prefixes, how many were followed by another after each of ``EDGES_S``, and no sooner
    than the one before it."""

    visits: int
    again: tuple[int, ...]


def gaps_of(counts: Mapping[str, float]) -> Gaps:
    """All weeks and classes together."""
    visits, again = 0.0, [0.0] * len(EDGES_S)
    for field, count in counts.items():
        cohort, name, slot = field.split(".")
        if cohort[0] != "w" or int(name) in (KEPT_CLASS, KEPT_CLASS + 1):
            continue
        if slot == "n":
            visits += count
        else:
            again[int(slot)] += count
    return Gaps(round(visits), tuple(round(count) for count in again))


class Hazards:
    """The reuse statistics of one route.

    ``counts`` maps a field to a sum: what ``Decision.counts`` of every replica adds up to. Not thread-safe.
    """

    def __init__(self, counts: Mapping[str, float] | None = None) -> None:
        self._cohorts: dict[str, dict[_Key, _Row]] = {}
        self._minute = -1
        self._judged: list[tuple[dict[_Key, _Row], float, range]] = []
        self._rates: dict[_Key, Curve] = {}
        self._curves: dict[_Key, Curve] = {}
        self._kept: dict[int, float] = {}
        self.replace(counts or {})

    @property
    def counts(self) -> dict[str, float]:
        return {field: count for cohort, rows in self._cohorts.items() for field, count in _flat(cohort, rows)}

    def add(self, counts: Mapping[str, float]) -> None:
        """Take increments in: a process learns from its own at once, with a store or without."""
        for field, count in counts.items():
            cohort, keys, at = _parsed(field)
            rows = self._cohorts.setdefault(cohort, {})
            for key in keys:
                row = rows.get(key)
                if row is None:
                    row = rows[key] = [0.0] * (1 + len(EDGES_S))
                row[at] += count

    def replace(self, counts: Mapping[str, float]) -> None:
        """The fleet's sums, with whatever of this process's the store does not have yet. Odd fields are left out."""
        self._cohorts = {}
        self.add({field: count for field, count in counts.items() if _well_formed(field)})
        self._minute = -1

    def curve(self, class_id: int, now: float, *, level: int = LEVELS[-1]) -> Curve:
        """Probabilities that a prefix of this class is seen again within each of ``EDGES_S``. Renewed once a minute.

        ``level``: how fine a class; at ``LEVELS[0]`` it is the mean over all of its role.
        """
        self._look(now)
        key = level, class_id >> BIN_BITS * level
        curve = self._curves.get(key)
        if curve is None:
            curve = self._curves[key] = _cumulative(self._hazards(class_id, level))
        return curve

    def kept(self, ttl_s: int, now: float) -> float:
        """The share of believed entries of this TTL that the provider still had when they were to be read.

        Renewed once a minute.
        """
        self._look(now)
        name = KEPT_CLASS + (ttl_s > EDGES_S[1])
        if name not in self._kept:
            exposed, again = self._sums((0, name))
            self._kept[name] = 1.0 - again[0] / (exposed[0] + KEPT_WEIGHT)
        return self._kept[name]

    def _hazards(self, class_id: int, level: int) -> Curve:
        """From the prior down to the class itself, each level the prior of the next.

        What a class has not outlived yet it takes from its prior, raised or lowered as the gaps that it has outlived
        were: a class that never came back within five minutes is not expected within the hour.
        """
        key = level, class_id >> BIN_BITS * level
        known = self._rates.get(key)
        if known is not None:
            return known
        if level == LEVELS[0]:
            weight = PRIOR_WEIGHT
            prior: Curve = HEAD_PRIOR if role_of(class_id) is Role.HEAD else PRIOR
        else:
            weight, prior = CLASS_WEIGHT, self._hazards(class_id, level + 1)
        exposed, again = self._sums(key)
        expected = sum([n * h for n, h in zip(exposed, prior, strict=True)])
        factor = (sum(again) + weight) / (expected + weight)
        rows = zip(again, exposed, prior, strict=True)
        rates = tuple([(a + weight * min(factor * h, 1.0)) / (n + weight) for a, n, h in rows])
        self._rates[key] = rates
        return rates

    def _sums(self, key: _Key) -> tuple[_Row, _Row]:
        """How many visits of a class were exposed to each gap, and how many of them were seen again in it."""
        exposed, again = [0.0] * len(EDGES_S), [0.0] * len(EDGES_S)
        for rows, weight, gaps in self._judged:
            row = rows.get(key)
            if row is not None:
                left = weight * (row[0] - sum(row[1 : gaps.start + 1]))
                for gap in gaps:
                    seen = weight * row[gap + 1]
                    exposed[gap] += left
                    again[gap] += seen
                    left -= seen
        # Late increments to a cohort may be on one side alone.
        again = [a if a > 0.0 else 0.0 for a in again]
        return [n if n > a else a for n, a in zip(exposed, again, strict=True)], again

    def _look(self, now: float) -> None:
        """Once a minute, tell the cohorts that can be judged from those that are too young, and drop the old ones.

        The present week counts whole and the last one fades; what is too young of either is taken off again.
        """
        minute = int(now // 60)
        if minute <= self._minute:
            return
        self._minute, self._curves, self._rates, self._kept = minute, {}, {}, {}
        for cohort in [cohort for cohort in self._cohorts if not _needed(cohort, now)]:
            del self._cohorts[cohort]
        for tier, span_s in _SPANS_S.items():  # the present ones fill after this look
            self._cohorts.setdefault(f"{tier}{int(now // span_s)}", {})
        week, fraction = divmod(now / _SPANS_S["w"], 1.0)
        weeks = {f"w{int(week)}": 1.0, f"w{int(week) - 1}": 1.0 - fraction}
        self._judged = [(rows, weeks[c], _GAPS) for c, rows in self._cohorts.items() if c in weeks]
        self._judged += [(rows, -1.0, gaps) for c, rows in self._cohorts.items() if (gaps := _too_young(c, now))]


@lru_cache(maxsize=2**14)  # of the present cohorts the same come again and again
def _parsed(field: str) -> tuple[str, tuple[_Key, ...], int]:
    """(cohort, where its class is counted, at which place of the row)."""
    cohort, name, slot = field.split(".")
    class_id = int(name)
    keys = tuple((level, class_id >> BIN_BITS * level) for level in LEVELS)
    return cohort, keys, 0 if slot == "n" else int(slot) + 1


def _too_young(cohort: str, now: float) -> range:
    """The gaps that some visit of this cohort has not outlived, of those that its tier judges."""
    tier = cohort[0]
    if tier == "w":
        return range(0)
    age_s = now - (int(cohort[1:]) + 1) * _SPANS_S[tier]
    first, end = (0, _BY_MINUTE) if tier == "m" else (_BY_MINUTE, len(EDGES_S))
    return range(max(first, bisect_right(EDGES_S, age_s)), end)


def _cumulative(hazards: Iterable[float]) -> Curve:
    unseen, curve = 1.0, []
    for hazard in hazards:
        unseen *= 1.0 - hazard
        curve.append(1.0 - unseen)
    return tuple(curve)


def _flat(cohort: str, rows: Mapping[_Key, _Row]) -> Iterator[tuple[str, float]]:
    for (level, class_id), row in rows.items():
        for slot, count in enumerate(row):
            if count and level == 0:
                yield f"{cohort}.{class_id}.{'n' if slot == 0 else slot - 1}", count


def _well_formed(field: str) -> bool:
    parts = field.split(".")
    if len(parts) != 3 or parts[0][:1] not in _SPANS_S or not parts[0][1:].isdigit() or not parts[1].isdigit():
        return False
    return parts[2] == "n" or (parts[2].isdigit() and int(parts[2]) < len(EDGES_S))
